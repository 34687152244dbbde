"""`ced evaluate-vision`: Table 3, how well a detector and a segmenter see restored images."""

from dataclasses import dataclass
from pathlib import Path

from ced.cli.evaluate import placed, refuse_models
from ced.cli.options import MODELS, StoreOptions, option, refuse_ignored, written_as
from ced.config import Config, VisionConfig, override
from ced.errors import ConfigError
from ced.evaluation.runner import FILE as PER_IMAGE
from ced.evaluation.runner import ORIGINAL
from ced.methods import split
from ced.methods.method import JPEG
from ced.pipeline import track
from ced.pipeline.session import session
from ced.report import deliver, stage, tables
from ced.vision import evaluate as evaluation
from ced.vision import results
from ced.vision.evaluate import Sources

_COUNTING = ("evaluate.timeout", "publish.experiment", "cluster.data_workers")  # the settings that do


@dataclass(frozen=True, kw_only=True)
class VisionOptions(StoreOptions):
    voc: str = option("DIR", "a VOC folder with boxes and masks")
    split: str | None = option("NAME", "one of its image sets, such as val; default: all images")
    detector: str = option("SPEC", "an ONNX file of the YOLOX layout, or torchvision:NAME")
    segmenter: str = option("SPEC", "a TFLite or ONNX file with VOC's classes, or torchvision:NAME")
    methods: list[str] = option(
        "A,B,...", "original, and all that `ced evaluate` takes: jpeg, NAME=WHERE (original,jpeg); repeatable"
    )
    models: str | None = written_as(MODELS)
    quality: list[int] = option("QF", "JPEG quality factor (10); repeatable")
    colour: list[str] = option("COLOUR", "rgb, or y for luminance (rgb); repeatable")
    through: str | None = option("HOW", "RGB by an rgb model, or by one of luminance: ycbcr (every channel) or luma")
    fit: str = option("HOW", "segment images at native size (default), or scaled to the input", default="native")
    pictures: int = option("N", "images drawn with boxes and masks (4)", default=4)
    report: str | None = option("DIR", "copy the table and results.json here")


def evaluate_vision(options: VisionOptions) -> None:
    """Labelled images to mAP, mIoU and the table."""
    overridden = override(Config(), options.settings)
    refuse_ignored(options.settings, _COUNTING, {})
    config = VisionConfig(
        methods=methods(options.methods or [f"{ORIGINAL},{JPEG}"], options.models),
        qualities=tuple(options.quality or (10,)),
        colours=tuple(options.colour or ("rgb",)),
        through=options.through or "",
        fit=options.fit,
        pictures=options.pictures,
        timeout=overridden.evaluate.timeout,
    )
    sources = Sources(options.voc, options.split or "", options.detector, options.segmenter)
    deliver.check(options.report)
    with session(options.store, options.ray_address, overridden.cluster.data_workers) as running:
        evaluated = evaluation.run(config, sources, running)
        reported = stage.run_vision(sources, evaluated, running)
        if options.report:
            deliver.deliver(reported, Path(options.report))
        rows = results.rows_of(evaluated)
        print(tables.terminal_3(tables.table_3(rows, sources)))
        print(f"report:    {Path(options.report or reported.path, stage.PAGE).resolve()}")
        print(f"per image: {evaluated.path / PER_IMAGE}", flush=True)
        figures = results.figures_of(rows)
        experiment = overridden.publish.experiment
        recorded = track.run(evaluated, reported, figures, running, experiment)
        print(f"MLflow:    run {track.run_id(recorded)} of {experiment}")


def methods(texts: list[str], models: str | None) -> tuple[str, ...]:
    """The methods of all `--methods`, as for `ced evaluate`, and the original. Raises ConfigError."""
    items = [item for text in texts for item in split(text)]
    refuse_models(models, [item for item in items if item != ORIGINAL])
    methods = tuple(item if item == ORIGINAL else placed(item, models) for item in items)
    names = [item.partition("=")[0].strip().lower() for item in methods]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--methods: {name} is named twice")
    return methods
