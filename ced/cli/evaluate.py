"""`ced evaluate`: test images and methods -> Table 2, in the terminal and as files."""

import argparse
import dataclasses
import sys
from pathlib import Path

from ced.cli import heeded
from ced.config import METHODS, WITH_CED, Config, EvaluateConfig
from ced.errors import ConfigError, unknown
from ced.evaluation import evaluate as evaluation
from ced.methods.spec import JPEG, SELF_ENSEMBLE, TRAINED, parse, split
from ced.overrides import override
from ced.pipeline import record
from ced.pipeline.session import session
from ced.report import deliver, stage

_ALONE = EvaluateConfig(methods=("jpeg",))  # what is measured where nothing is named: nothing is trained for it
_OPTIONS = {"methods": "methods", "qualities": "quality", "colour": "colour", "name": "name", "lpips": "lpips"}
_HEEDED = ("evaluate.*", "figures.*", "publish.experiment", "cluster.data_workers")


def evaluate(arguments: argparse.Namespace) -> None:
    """Test images to the table and the report."""
    config = configuration(arguments)
    deliver.check(arguments.report)
    with session(arguments.store, arguments.ray_address, config.cluster.data_workers) as running:
        evaluated = evaluation.run(config.evaluate, arguments.images, {}, running)
        reported = stage.run(config, evaluated, {}, running)
        from ced.evaluation import means
        from ced.report import text

        rows = means.rows_of(evaluated)
        print(text.terminal(rows, text.room(), styled=sys.stdout.isatty()))
        if arguments.report:
            deliver.deliver(reported, Path(arguments.report))
        print(f"report: {Path(arguments.report or reported.path, stage.PAGE).resolve()}", flush=True)
        figures, experiment = means.figures_of(rows), config.publish.experiment
        recorded = record.run(evaluated, reported, figures, running, experiment)
        print(f"MLflow: run {record.run_id(recorded)} of {experiment}")


def configuration(arguments: argparse.Namespace) -> Config:
    """What is evaluated, and how. Raises ConfigError."""
    config = override(Config(images=(), test_images=arguments.images, evaluate=_ALONE), arguments.settings)
    given = {name: getattr(arguments, option) for name, option in _OPTIONS.items()}
    wanted = {name: value for name, value in given.items() if value not in (None, False)}
    heeded.check(arguments.settings, _HEEDED, {f"evaluate.{name}": f"--{_OPTIONS[name]}" for name in wanted})
    texts = arguments.methods or list(config.evaluate.methods)
    wanted["methods"] = methods(texts, arguments.models)
    if "qualities" in wanted:
        wanted["qualities"] = tuple(dict.fromkeys(arguments.quality))
    return dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, **wanted))


def methods(texts: list[str], models: str | None) -> tuple[str, ...]:
    """The methods of all `--methods`; bare names are looked up in the folder `models`. Raises ConfigError."""
    items = [item for text in texts for item in split(text)]
    heeded.models(models, items)
    return tuple(placed(item, models) for item in items)


def placed(text: str, models: str | None) -> str:
    """A method with its place: a bare name is looked up in the folder `models`, `ed+` is `ed` with self-ensemble.

    Raises ConfigError.
    """
    asked = parse(text)
    if asked.kind != TRAINED:
        return text
    model = asked.name.removesuffix("+")
    if model not in METHODS or asked.name == f"{JPEG}+":
        raise ConfigError(f"--methods: {unknown('method', asked.name, (*METHODS, *WITH_CED))}")
    if not models:
        raise ConfigError(f"--methods {asked.name}: say where it is, as {asked.name}=DIR or with --models DIR")
    ensemble = f"{SELF_ENSEMBLE}:" if asked.name != model else ""
    return f"{asked.name}={ensemble}{Path(models, f'restorer-{model}')}"
