"""`ced evaluate`: test images and methods -> Table 2, in the terminal and as files."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced import networks
from ced.cli.options import MODELS, StoreOptions, option, refuse_ignored, written_as
from ced.config import WITH_CED, Config, EvaluateConfig, override
from ced.errors import ConfigError, unknown
from ced.evaluation import evaluate as evaluation
from ced.methods.method import JPEG, SELF_ENSEMBLE, TRAINED, parse, split
from ced.pipeline import track
from ced.pipeline.session import session
from ced.report import deliver, stage

_DEFAULT = EvaluateConfig(methods=("jpeg",))  # what is measured where nothing is named: nothing is trained for it
_COUNTING = ("evaluate.*", "figures.*", "publish.experiment", "cluster.data_workers")  # the settings that do


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(StoreOptions):
    images: str = option("SRC", "test images: a folder, archive, list, s3:// address or builtin:test")
    name: str | None = option("NAME", "what the data set is called; default: the folder's name")
    quality: list[int] = option("QF", "JPEG quality factor; repeatable")
    colour: str | None = option("y|rgb", "code luminance (y) or the colour image", choices=("y", "rgb"))
    methods: list[str] = option(
        "A,B,...",
        f"{', '.join((*networks.methods(), *WITH_CED))}, or NAME=WHERE: a restorer's folder, models:/NAME@ALIAS, "
        "folder:DIR of restored images, command:PROGRAM {input} {output}; repeatable, and a command takes the whole of "
        "its own",
    )
    models: str | None = written_as(MODELS)
    lpips: bool = option(help="measure LPIPS too (its package is extra)")
    report: str | None = option("DIR", "copy the report, results.json and the tables here")


def evaluate(options: EvaluateOptions) -> None:
    """Test images to the table and the report."""
    config = configuration(options)
    deliver.check(options.report)
    with session(options.store, options.ray_address, config.cluster.data_workers) as running:
        evaluated = evaluation.run(config.evaluate, options.images, {}, running)
        reported = stage.run(config, evaluated, {}, running)
        from ced.report import tables

        rows = evaluation.rows_of(evaluated)
        print(tables.terminal(rows, tables.room(), styled=sys.stdout.isatty()))
        if options.report:
            deliver.deliver(reported, Path(options.report))
        print(f"report: {Path(options.report or reported.path, stage.PAGE).resolve()}", flush=True)
        figures, experiment = evaluation.figures_of(rows), config.publish.experiment
        recorded = track.run(evaluated, reported, figures, running, experiment)
        print(f"MLflow: run {track.run_id(recorded)} of {experiment}")


def configuration(options: EvaluateOptions) -> Config:
    """What is evaluated, and how. Raises ConfigError."""
    config = override(Config(test_images=options.images, evaluate=_DEFAULT), options.settings)
    instead: dict[str, Any] = {  # of a setting: its option
        "methods": options.methods,
        "qualities": tuple(dict.fromkeys(options.quality)),
        "colour": options.colour,
        "name": options.name,
        "lpips": options.lpips,
    }
    instead = {key: value for key, value in instead.items() if value}
    names = {f"evaluate.{key}": "--quality" if key == "qualities" else f"--{key}" for key in instead}
    refuse_ignored(options.settings, _COUNTING, names)
    instead["methods"] = methods(options.methods or list(config.evaluate.methods), options.models)
    return dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, **instead))


def methods(texts: list[str], models: str | None) -> tuple[str, ...]:
    """The methods of all `--methods`; bare names are looked up in the folder `models`. Raises ConfigError."""
    items = [item for text in texts for item in split(text)]
    refuse_models(models, items)
    return tuple(placed(item, models) for item in items)


def placed(text: str, models: str | None) -> str:
    """A method with its place: a bare name is looked up in the folder `models`, `ed+` is `ed` with self-ensemble.

    Raises ConfigError.
    """
    asked = parse(text)
    if asked.kind != TRAINED:
        return text
    model = asked.name.removesuffix("+")
    if model not in networks.methods() or asked.name == f"{JPEG}+":
        raise ConfigError(f"--methods: {unknown('method', asked.name, (*networks.methods(), *WITH_CED))}")
    if not models:
        raise ConfigError(f"--methods {asked.name}: say where it is, as {asked.name}=DIR or with --models DIR")
    ensemble = f"{SELF_ENSEMBLE}:" if asked.name != model else ""
    return f"{asked.name}={ensemble}{Path(models, f'restorer-{model}')}"


def refuse_models(folder: str | None, texts: Sequence[str]) -> None:
    """Raises ConfigError for a folder --models where all of the methods, as they are written, say where they are."""
    if folder is not None and all(parse(text).kind != TRAINED for text in texts):
        raise ConfigError(f"--models {folder}: no trained method is asked for; name some with --methods, as ed,ced-gt")
