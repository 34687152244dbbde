"""`ced evaluate`, `ced evaluate-vision`, `ced report`: test images and methods -> Tables 2 and 3, and their pages."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced import environment, networks
from ced.cli.options import MODELS, STORE, StoreOptions, option, refuse_ignored, written_as
from ced.config import AS_FOUND, DAMAGES, PAIRS, WITH_CED, Config, EvaluateConfig, FiguresConfig, VisionConfig, override
from ced.errors import ConfigError, unknown
from ced.evaluation import evaluate as evaluation
from ced.evaluation import metrics
from ced.evaluation.runner import FILE as PER_IMAGE
from ced.evaluation.runner import ORIGINAL
from ced.methods.method import JPEG, SELF_ENSEMBLE, TRAINED, parse, split
from ced.pipeline import track
from ced.pipeline.session import open_store, session
from ced.report import deliver, stage, tables
from ced.store.session import Session
from ced.vision import evaluate as vision
from ced.vision import results

_DEFAULT = EvaluateConfig(methods=("jpeg",))  # what is measured where nothing is named: nothing is trained for it
# The settings that count.
_COUNTING = ("evaluate.*", "figures.*", "publish.experiment", "cluster.data_workers")
_COUNTING_IN_VISION = ("evaluate.timeout", "publish.experiment", "cluster.data_workers")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(StoreOptions):
    images: str | None = option("SRC", "test images: a folder, archive, list, s3:// address or builtin:test")
    pairs: str | None = option("DIR", "instead of them: DIR/damaged, JPEG files, and DIR/original, of the same names")
    damage: str | None = option(
        "HOW", "jpeg (default); double: saved again at 90; shifted, resized: cut or reduced in between", choices=DAMAGES
    )
    name: str | None = option("NAME", "what the data set is called; default: the folder's name")
    quality: list[int] = option("QF", "JPEG quality factor; repeatable")
    colour: str | None = option("y|rgb", "code luminance (y) or the colour image", choices=("y", "rgb"))
    methods: list[str] = option(
        "A,B,...",
        f"{', '.join((*networks.methods(), *WITH_CED))}, or NAME=WHERE: a restorer's folder, models:/NAME@ALIAS, "
        "folder:DIR of restored images, network:FILE of others, command:PROGRAM {input} {output}; repeatable, and a "
        "command takes the whole of its own",
    )
    models: str | None = written_as(MODELS)
    judges: list[str] = option(
        "A,B,...", "what eyes would say, by packages that are extra: kid, dists-like, ssimulacra2, lpips, dists, fid"
    )
    lpips: bool = option(help="the same as --judges lpips")
    report: str | None = option("DIR", "copy the report, results.json and the tables here")


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


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    folder: str | None = option(
        "DIR", "an evaluation's folder, or one with evaluations; default: the store", positional=True
    )
    out: str | None = option("DIR", "copy report.html, results.json, figures and strips here", short="-o")
    images: str | None = option("A,B,...", "pictures to show, by number or name; default: all kept")
    crop: str | None = option("L,T,W,H", "region of figures 1, 4 and 5; default: where most detail is")
    channels: str | None = option("1-1,...", "of figure 6: row and column (1-1,1-2,2-2,4-4,8-8)")
    store: str | None = written_as(STORE)


def evaluate(options: EvaluateOptions) -> None:
    """Test images to the table and the report."""
    config = configuration(options)
    deliver.check(options.report)
    metrics.measured(config.evaluate)  # judges that cannot be had are told before Ray starts
    with session(options.store, options.ray_address, config.cluster.data_workers) as running:
        evaluated = evaluation.run(config.evaluate, config.test_images, {}, running)
        reported = stage.run(config, evaluated, {}, running)
        rows = evaluation.rows_of(evaluated)
        print(tables.terminal(rows, tables.room(), styled=sys.stdout.isatty()))
        if options.report:
            deliver.deliver(reported, Path(options.report))
        print(f"report: {Path(options.report or reported.path, stage.PAGE).resolve()}", flush=True)
        figures, experiment = evaluation.figures_of(rows), config.publish.experiment
        recorded = track.run(evaluated, reported, figures, running, experiment)
        print(f"MLflow: run {track.run_id(recorded)} of {experiment}")


def evaluate_vision(options: VisionOptions) -> None:
    """Labelled images to mAP, mIoU and the table."""
    overridden = override(Config(), options.settings)
    refuse_ignored(options.settings, _COUNTING_IN_VISION, {})
    config = VisionConfig(
        methods=vision_methods(options.methods or [f"{ORIGINAL},{JPEG}"], options.models),
        qualities=tuple(options.quality or (10,)),
        colours=tuple(options.colour or ("rgb",)),
        through=options.through or "",
        fit=options.fit,
        pictures=options.pictures,
        timeout=overridden.evaluate.timeout,
    )
    sources = vision.Sources(options.voc, options.split or "", options.detector, options.segmenter)
    deliver.check(options.report)
    with session(options.store, options.ray_address, overridden.cluster.data_workers) as running:
        evaluated = vision.run(config, sources, running)
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


def report(options: ReportOptions) -> None:
    """Draw, or find drawn, and say where it is."""
    chosen = FiguresConfig(
        images=_items(options.images),
        crop=(options.crop or "").replace(" ", ""),
        channels=_items(options.channels) or FiguresConfig.channels,
    )
    deliver.check(options.out)
    folder = Path(options.folder or options.store or environment.load().store)
    evaluation = stage.find(folder)
    reported = stage.redraw(evaluation, chosen, Session(open_store(options.store)))
    if options.out:
        deliver.deliver(reported, Path(options.out))
    drawn = Path(options.out or reported.path).resolve()
    print(f"of:      {evaluation.evaluated.path}")
    print(f"report:  {drawn / stage.PAGE}")
    print(f"figures: {drawn / stage.FIGURES}")


def configuration(options: EvaluateOptions) -> Config:
    """What is evaluated, and how. Raises ConfigError."""
    if (options.images is None) == (options.pairs is None):
        raise ConfigError("give test images with --images SRC, or damaged files and their originals with --pairs DIR")
    images = options.images or options.pairs or ""
    config = override(Config(test_images=images, evaluate=_DEFAULT), options.settings)
    instead: dict[str, Any] = {  # of a setting: its option
        "methods": options.methods,
        "qualities": tuple(dict.fromkeys(options.quality)),
        "colour": options.colour,
        "name": options.name,
        "lpips": options.lpips,
        "judges": tuple(judge for text in options.judges for judge in _items(text)),
        "damage": options.damage,
    }
    instead = {key: value for key, value in instead.items() if value}
    names = {f"evaluate.{key}": "--quality" if key == "qualities" else f"--{key}" for key in instead}
    refuse_ignored(options.settings, _COUNTING, names)
    if options.pairs:
        if given := [name for key, name in names.items() if key in ("evaluate.qualities", "evaluate.damage")]:
            raise ConfigError(f"{given[0]} beside --pairs: the files are damaged already; leave it out")
        instead |= {"damage": PAIRS, "qualities": (AS_FOUND,), "colour": options.colour or "rgb"}
    instead["methods"] = methods(options.methods or list(config.evaluate.methods), options.models)
    return dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, **instead))


def methods(texts: list[str], models: str | None, others: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The methods of all `--methods`; bare names, but for `others`, are looked up in the folder `models`.

    Raises ConfigError.
    """
    items = [item for text in texts for item in split(text)]
    if models is not None and all(item in others or parse(item).kind != TRAINED for item in items):
        raise ConfigError(f"--models {models}: no trained method is asked for; name some with --methods, as ed,ced-gt")
    return tuple(item if item in others else _placed(item, models) for item in items)


def vision_methods(texts: list[str], models: str | None) -> tuple[str, ...]:
    """As `methods`, and the original. Raises ConfigError."""
    placed = methods(texts, models, others=(ORIGINAL,))
    names = [item.partition("=")[0].strip().lower() for item in placed]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--methods: {name} is named twice")
    return placed


def _placed(text: str, models: str | None) -> str:
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


def _items(text: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())
