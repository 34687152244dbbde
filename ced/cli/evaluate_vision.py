"""`ced evaluate-vision`: Table 3, how well a detector and a segmenter see restored images."""

import argparse
from pathlib import Path

from ced.config import Config, VisionConfig, override
from ced.errors import ConfigError
from ced.report import table3
from ced.stages import evaluate_vision as evaluation
from ced.stages import report, report_vision, restorers
from ced.stages.evaluate_vision import Sources
from ced.stages.session import session
from ced.stages.vision_methods import BUILT_IN, JPEG, ORIGINAL


def evaluate_vision(arguments: argparse.Namespace) -> None:
    """Labelled images to mAP, mIoU and the table."""
    folders = methods(arguments.methods or f"{ORIGINAL},{JPEG}", arguments.models)
    config = VisionConfig(
        methods=tuple(folders),
        qualities=tuple(arguments.quality or (10,)),
        colours=tuple(arguments.colour or ("rgb",)),
        through=arguments.through or "",
        fit=arguments.fit,
        pictures=arguments.pictures,
    )
    sources = Sources(arguments.voc, arguments.split or "", arguments.detector, arguments.segmenter)
    workers = override(Config(), arguments.settings).cluster.data_workers
    with session(arguments.store, arguments.ray_address) as running:
        given = {name: restorers.given(name, folder) for name, folder in folders.items() if folder}
        evaluated = evaluation.run(config, sources, given, running.store, workers)
        reported = report_vision.run(sources, evaluated, running.store)
        if arguments.report:
            report.copy(reported, Path(arguments.report))
    print(table3.terminal(report_vision.rows_of(evaluated), report_vision.models(sources)))
    print(f"results: {Path(arguments.report or reported.path, report_vision.RESULTS).resolve()}")
    print(f"per image: {evaluated.path / evaluation.FILE}")


def methods(text: str, models: str | None) -> dict[str, Path | None]:
    """Each method's folder, None for original and jpeg. `text` is like "original,jpeg,ed=DIR"; a bare name is looked
    up in `models`. Raises ConfigError."""
    found: dict[str, Path | None] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, given, folder = item.partition("=")
        if name in found:
            raise ConfigError(f"--methods: {name} is named twice")
        if name in BUILT_IN and given:
            raise ConfigError(f"--methods {item}: {name} is no restorer; give the restorer another name")
        if name in BUILT_IN:
            found[name] = None
        elif folder:
            found[name] = Path(folder)
        elif models:
            found[name] = Path(models, f"restorer-{name}")
        else:
            raise ConfigError(f"--methods {name}: say where it is, as {name}=DIR or with --models DIR")
    return found
