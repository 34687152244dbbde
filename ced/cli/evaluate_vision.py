"""`ced evaluate-vision`: Table 3, how well a detector and a segmenter see restored images."""

import argparse
from pathlib import Path

from ced.cli import heeded
from ced.cli.evaluate import placed
from ced.config import Config, VisionConfig
from ced.errors import ConfigError
from ced.evaluation.runner import FILE as PER_IMAGE
from ced.methods import split
from ced.overrides import override
from ced.pipeline import record
from ced.pipeline.session import session
from ced.report import deliver, text, vision_stage
from ced.report.tables import table_3
from ced.vision import evaluate as evaluation
from ced.vision import results
from ced.vision.evaluate import Sources
from ced.vision.methods import JPEG, ORIGINAL

_HEEDED = ("evaluate.timeout", "publish.experiment", "cluster.data_workers")


def evaluate_vision(arguments: argparse.Namespace) -> None:
    """Labelled images to mAP, mIoU and the table."""
    overridden = override(Config(), arguments.settings)
    heeded.check(arguments.settings, _HEEDED, {})
    config = VisionConfig(
        methods=methods(arguments.methods or [f"{ORIGINAL},{JPEG}"], arguments.models),
        qualities=tuple(arguments.quality or (10,)),
        colours=tuple(arguments.colour or ("rgb",)),
        through=arguments.through or "",
        fit=arguments.fit,
        pictures=arguments.pictures,
        timeout=overridden.evaluate.timeout,
    )
    sources = Sources(arguments.voc, arguments.split or "", arguments.detector, arguments.segmenter)
    deliver.check(arguments.report)
    with session(arguments.store, arguments.ray_address, overridden.cluster.data_workers) as running:
        evaluated = evaluation.run(config, sources, running)
        reported = vision_stage.run(sources, evaluated, running)
        if arguments.report:
            deliver.deliver(reported, Path(arguments.report))
        rows = results.rows_of(evaluated)
        print(text.terminal_3(table_3(rows, results.Models.of(sources))))
        print(f"report:    {Path(arguments.report or reported.path, vision_stage.PAGE).resolve()}")
        print(f"per image: {evaluated.path / PER_IMAGE}", flush=True)
        figures = results.figures_of(rows)
        experiment = overridden.publish.experiment
        recorded = record.run(evaluated, reported, figures, running, experiment)
        print(f"MLflow:    run {record.run_id(recorded)} of {experiment}")


def methods(texts: list[str], models: str | None) -> tuple[str, ...]:
    """The methods of all `--methods`, as for `ced evaluate`, and the original. Raises ConfigError."""
    items = [item for text in texts for item in split(text)]
    heeded.models(models, [item for item in items if item != ORIGINAL])
    found = tuple(item if item == ORIGINAL else placed(item, models) for item in items)
    names = [item.partition("=")[0].strip().lower() for item in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--methods: {name} is named twice")
    return found
