"""`ced evaluate`: test images and methods -> Table 2, in the terminal and as files."""

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path

from ced.config import METHODS, RELEASED, Config, override, unknown
from ced.errors import ConfigError
from ced.methods.spec import TRAINED, parse, split
from ced.stages import deliver, record, report
from ced.stages import evaluate as evaluation
from ced.stages.session import session


def evaluate(arguments: argparse.Namespace) -> None:
    """Test images to the table and the report."""
    config = configuration(arguments)
    deliver.check(arguments.report)
    with session(arguments.store, arguments.ray_address) as running:
        evaluated = evaluation.run(config.evaluate, arguments.images, {}, running.store, config.cluster.data_workers)
        reported = report.run(config, evaluated, {}, running.store)
        from ced.report import table

        columns = shutil.get_terminal_size().columns
        rows = report.rows_of(evaluated)
        print(table.terminal(rows, columns, styled=sys.stdout.isatty()))
        if arguments.report:
            deliver.deliver(reported, Path(arguments.report))
        print(f"report: {Path(arguments.report or reported.path, report.PAGE).resolve()}", flush=True)
        figures, experiment = report.figures_of(rows), config.publish.experiment
        recorded = record.run(evaluated, reported, figures, running.store, running.tracking_uri, experiment)
        print(f"MLflow: run {record.run_id(recorded)} of {experiment}")


def configuration(arguments: argparse.Namespace) -> Config:
    """What is evaluated, and how. Raises ConfigError."""
    config = override(Config(images=(), test_images=arguments.images), arguments.settings)
    wanted: dict[str, object] = {"methods": methods(arguments.methods or ["jpeg"], arguments.models)}
    if arguments.quality:
        wanted["qualities"] = tuple(dict.fromkeys(arguments.quality))
    for name in ("colour", "name"):
        if getattr(arguments, name) is not None:
            wanted[name] = getattr(arguments, name)
    if arguments.lpips:
        wanted["lpips"] = True
    return dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, **wanted))  # type: ignore[arg-type]


def methods(texts: list[str], models: str | None) -> tuple[str, ...]:
    """The methods of all `--methods`; bare names are looked up in the folder `models`. Raises ConfigError."""
    return tuple(placed(item, models) for text in texts for item in split(text))


def placed(text: str, models: str | None) -> str:
    """A method with its place: a bare name is looked up in the folder `models`. Raises ConfigError."""
    asked = parse(text)
    if asked.kind != TRAINED:
        return text
    if asked.name not in METHODS:
        raise ConfigError(f"--methods: {unknown('method', asked.name, (*METHODS, RELEASED))}")
    if not models:
        raise ConfigError(f"--methods {asked.name}: say where it is, as {asked.name}=DIR or with --models DIR")
    return f"{asked.name}={Path(models, f'restorer-{asked.name}')}"
