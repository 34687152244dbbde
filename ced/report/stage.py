"""The end of stage 5: an evaluation -> results.json, the table in three forms, report.html and the paper's figures.

What a report is made of is read from the outputs of `ced evaluate` or `ced run`, which `find` looks for in a store.
With other pictures or channels it is drawn again, without a pixel being measured. `run_vision` makes that of Table 3.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ced import __version__
from ced.config import Config, FiguresConfig, as_dict
from ced.core import jpeg
from ced.core.spectrum import Spectrum
from ced.errors import ConfigError, FormatError, InputError
from ced.evaluation import evaluate, pool
from ced.evaluation.runner import FILE, ORIGINAL, PICTURES
from ced.report import html, results, tables
from ced.report.figures import comparison, figures
from ced.report.model import Curve, Drawing, Picture, Report, Spectra
from ced.store import finished
from ced.store.outputs import MANIFEST, Making, Output, check_small, make, write_bytes, write_text
from ced.store.session import Session
from ced.tracking.runs import public_settings
from ced.training.job import read_reports
from ced.vision import backends
from ced.vision import evaluate as vision
from ced.vision import results as vision_results
from ced.vision.evaluate import Sources

RESULTS, PAGE, TABLE = "results.json", "report.html", "table"
COMPARISONS, FIGURES = "strips", "figures"  # folders
_FORM, _VISION_FORM = 4, 3  # of what is made of Tables 2 and 3; another number makes it again
_PACKAGES = ("torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow")
_VISION_PACKAGES = ("onnxruntime", "ai-edge-litert", "torchvision")
_FITS = {"native": "at their own size", "scaled": "scaled to its input"}
_JPEG = "jpeg"


@dataclass(frozen=True)
class Evaluation:
    """An output of `ced evaluate` or `ced run`, the models it was made with, and what decided its results."""

    evaluated: Output
    trained: dict[str, Output]  # by model; none where it was not made by a pipeline
    described: dict[str, Any]  # as `public_settings` does


def run(config: Config, evaluated: Output, trained: dict[str, Output], session: Session) -> Output:
    """Make the report of an evaluation, or find it made. Raises ConfigError."""
    return redraw(Evaluation(evaluated, trained, public_settings(config)), config.figures, session)


def redraw(evaluation: Evaluation, chosen: FiguresConfig, session: Session) -> Output:
    """The report with the figures as `chosen`. Raises ConfigError for a picture or crop that is not there."""
    evaluated, trained = evaluation.evaluated, evaluation.trained
    described = {**evaluation.described, "figures": as_dict(chosen)}
    _check_crop(pictures(evaluated, chosen.images), chosen)  # before anything is written
    inputs = {name: output.manifest.content for name, output in {"evaluate": evaluated, **trained}.items()}
    produce = partial(_produce, Evaluation(evaluated, trained, described), chosen)
    return make(session.store, "report", {"config": described, "version": __version__, "form": _FORM}, inputs, produce)


def run_vision(sources: Sources, evaluated: Output, session: Session) -> Output:
    """Make report.html, results.json, table.md, .tex and .csv and pictures/*.png of Table 3, or find them."""
    models = {"detector": backends.title(sources.detector), "segmenter": backends.title(sources.segmenter)}
    config = evaluated.manifest.config
    described = {"version": __version__, "form": _VISION_FORM, "config": config, **models}
    inputs = {"evaluate-vision": evaluated.manifest.content}
    return make(session.store, "report-vision", described, inputs, partial(_produce_vision, sources, models, evaluated))


def find(folder: Path) -> Evaluation:
    """The evaluation in `folder`: the folder itself, or one below it. Raises InputError and FormatError.

    Of several it is the newest that has a report: a publication measures a champion, too, and reports nothing.
    """
    below = finished.find([folder])
    evaluations = _of(below, "evaluate")
    if not evaluations:
        raise InputError(f"{folder}: no finished evaluation in it; make one with ced run or ced evaluate")
    is_itself = len(below) == 1 and folder.resolve().parent.name == "evaluate"
    outputs = finished.find([folder.resolve().parent.parent]) if is_itself else below
    reports = {output.manifest.inputs.get("evaluate"): output.manifest for output in _of(outputs, "report")}
    evaluated = max(evaluations, key=lambda output: (output.manifest.content in reports, _age(output)))
    check_small(evaluated.path, evaluated.manifest)
    former = reports.get(evaluated.manifest.content)
    if former is None:
        config = evaluated.manifest.config
        return Evaluation(evaluated, {}, {"images": [], "test_images": config["dataset"], "evaluate": config})
    models = {output.manifest.content: output for output in outputs if output.manifest.stage.startswith("train-")}
    trained = {name: models[content] for name, content in former.inputs.items() if content in models}
    for output in trained.values():
        check_small(output.path, output.manifest)
    return Evaluation(evaluated, trained, former.config["config"])


def versions(*others: str) -> dict[str, str]:
    """Versions of ced, Python and the packages under it, and of the `others` that are installed."""
    installed = {"ced": __version__, "python": platform.python_version()}
    for name in (*_PACKAGES, *others):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def pictures(evaluated: Output, chosen: Sequence[str] = ()) -> tuple[Picture, ...]:
    """The pictures that an evaluation kept, at each of its quality factors; `chosen` ones in that order, else all.

    A picture is chosen by its number, from 1, or its name, with or without folder and suffix. A method without a
    picture is left out there. Raises ConfigError for a picture that was not kept.
    """
    config = evaluated.manifest.config
    names = _kept(evaluated)
    numbers = [_number(names, text) for text in chosen] or list(names)
    labels = tuple(dict.fromkeys((ORIGINAL, _JPEG, *config["methods"])))
    kept = []
    for number in numbers:
        for quality in config["qualities"]:
            planes = ((label, _plane(evaluated, number, quality, label)) for label in labels)
            there = tuple((label, plane) for label, plane in planes if plane is not None)
            kept.append(Picture(names[number], quality, there))
    return tuple(kept)


def drawings(evaluated: Output) -> dict[str, Drawing]:
    """The kept drawings of Table 3 by file name: the images in their order, in each its versions in the order of the
    table."""
    columns = ["image_id", "colour", "quality", "method"]
    rows = pq.read_table(evaluated.path / FILE, columns=columns).to_pylist()
    numbers = {name: number for number, name in enumerate(dict.fromkeys(row["image_id"] for row in rows))}
    kept = {}
    for row in sorted(rows, key=lambda row: (numbers[row["image_id"]], row["colour"], row["quality"])):
        version = (row["colour"], row["quality"], row["method"])
        path = evaluated.path / PICTURES / vision.picture_name(numbers[row["image_id"]], *version)
        if path.exists():
            kept[path.name] = Drawing(row["image_id"], *version, path.read_bytes())
    return kept


def spectra(evaluated: Output) -> Spectra | None:
    """The pooled coefficients at the first quality factor; None where the evaluation has none. Raises FormatError."""
    config = evaluated.manifest.config
    quality = config["qualities"][0]
    pooled = []
    for name in (ORIGINAL, *config["methods"]):
        path = pool.spectrum_file(evaluated.path, quality, name)
        if path.exists():
            try:
                pooled.append((name, Spectrum.from_bytes(path.read_bytes())))
            except ValueError as error:
                raise FormatError(f"{path}: {error}; remove {evaluated.path} to have it made again") from error
    has_original = bool(pooled) and pooled[0][0] == ORIGINAL
    return Spectra(config["dataset"], quality, tuple(pooled)) if has_original else None


def blends(evaluated: Output) -> tuple[tuple[str, ...], ...]:
    """The lines of blended methods: their names by weight, with those that they blend where these were measured too."""
    config, inputs = evaluated.manifest.config, evaluated.manifest.inputs
    measured = {inputs.get(name, ""): name for name in config["methods"]}  # the JPEG has no content
    lines: dict[tuple[str, str], dict[float, str]] = {}
    for name, (weight, first, second) in config.get("blends", {}).items():
        ends = {0.0: measured.get(first, ""), 1.0: measured.get(second, "")}
        lines.setdefault((first, second), ends)[weight] = name
    return tuple(tuple(line[weight] for weight in sorted(line) if line[weight]) for line in lines.values())


def curves(trained: dict[str, Output]) -> tuple[Curve, ...]:
    """How each model learned."""
    return tuple(Curve(model, tuple(read_reports(output.path))) for model, output in trained.items())


def facts(evaluation: Evaluation, installed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Name and value of what stands in the head of the page."""
    described, images = evaluation.described, evaluation.evaluated.manifest.counts["images"]
    # An evaluation of its own trains nothing, and does not know what its methods were trained on.
    pairs = [("trained on", ", ".join(described["images"]))] if described["images"] else []
    pairs.append(("tested on", f"{described['test_images']} ({images} image{'' if images == 1 else 's'})"))
    for model, output in evaluation.trained.items():
        steps = output.manifest.counts["steps"]
        pairs.append((f"training of {model}", f"{steps} steps, {output.manifest.seconds:.0f} s"))
    return (*pairs, *_machine_facts(installed))


def _produce(evaluation: Evaluation, chosen: FiguresConfig, making: Making) -> None:
    evaluated, rows, installed = evaluation.evaluated, evaluate.rows_of(evaluation.evaluated), versions()
    report = Report(
        title=f"ced: {' and '.join(dict.fromkeys(row.dataset for row in rows))}",
        rows=rows,
        curves=curves(evaluation.trained),
        pictures=pictures(evaluated, chosen.images),
        facts=facts(evaluation, installed),
        spectra=spectra(evaluated),
        channels=chosen.channels,
        crop=chosen.box,
        blends=blends(evaluated),
    )
    drawn = figures(report)
    files: dict[str, str | bytes] = {
        RESULTS: results.results_json(rows, installed, evaluation.described),
        f"{TABLE}.md": tables.markdown(rows),
        f"{TABLE}.tex": tables.latex(rows),
        f"{TABLE}.csv": results.sheet(rows),
        PAGE: html.page(report, drawn),
    }
    files |= {f"{FIGURES}/{figure.name}.png": figure.png for figure in drawn}
    files |= {f"{FIGURES}/{figure.name}.svg": figure.svg for figure in drawn}
    for number, picture in enumerate(report.pictures):
        files[f"{COMPARISONS}/{number:02d}.png"] = comparison(picture, report.crop)
    _write_files(making.folder, files)
    making.counts.update(rows=len(rows), pictures=len(report.pictures), figures=len(drawn))


def _produce_vision(sources: Sources, models: dict[str, str], evaluated: Output, making: Making) -> None:
    rows, kept, installed = vision_results.rows_of(evaluated), drawings(evaluated), versions(*_VISION_PACKAGES)
    manifest, table = evaluated.manifest, tables.table_3(rows, sources)
    facts = (
        ("images", f"{manifest.counts['images']}, with {manifest.counts['objects']} objects"),
        ("detector", models["detector"]),
        ("segmenter", f"{models['segmenter']}, images {_FITS[manifest.config['fit']]}"),
        ("RGB is restored", manifest.config["through"] or "as the model was trained: rgb, or each channel of YCbCr"),
        *_machine_facts(installed),
    )
    title = f"ced: {manifest.config['dataset']}, detection and segmentation"
    files: dict[str, str | bytes] = {
        RESULTS: results.vision_json(rows, installed, {**manifest.config, **models, "inputs": manifest.inputs}),
        f"{TABLE}.md": tables.markdown_3(table),
        f"{TABLE}.tex": tables.latex_3(table),
        f"{TABLE}.csv": results.vision_sheet(rows),
        PAGE: html.vision_page(title, facts, tables.table_3(rows, sources, "In grey"), kept.values()),
    }
    _write_files(making.folder, files | {f"{PICTURES}/{name}": drawing.png for name, drawing in kept.items()})
    making.counts.update(rows=len(rows), pictures=len(kept))


def _machine_facts(installed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What the head of a page says of the machine and its packages."""
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return ("machine", machine), ("versions", ", ".join(f"{name} {number}" for name, number in installed.items()))


def _write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write what a report is made of, by name."""
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_bytes(folder / name, content)


def _check_crop(pictures: Sequence[Picture], chosen: FiguresConfig) -> None:
    right, bottom = chosen.box[2:] if chosen.box else (0, 0)
    for picture in pictures:
        if right > picture.width or bottom > picture.height:
            size = f"{picture.width} x {picture.height}"
            raise ConfigError(
                f"figures.crop = {chosen.crop!r} reaches outside {picture.name}, which is {size} pixels; "
                "take a smaller one, or name the pictures with figures.images"
            )


def _plane(evaluated: Output, number: int, quality: int, label: str) -> np.ndarray | None:
    """A kept picture. Evaluations of before kept the JPEG only where it was measured: it is made again there."""
    kept = evaluate.picture(evaluated, number, quality, label)
    if kept is None and label == _JPEG and _JPEG not in evaluated.manifest.config["methods"]:
        original = evaluate.picture(evaluated, number, quality, ORIGINAL)
        return None if original is None else jpeg.decode(jpeg.encode(original, quality))
    return kept


def _kept(evaluated: Output) -> dict[int, str]:
    """The numbers and names of the images whose pictures are there."""
    names = dict.fromkeys(str(row["image_id"]) for row in evaluate.per_image(evaluated))
    folder = evaluated.path / PICTURES
    numbers = sorted(int(path.name.partition("-")[0]) for path in folder.glob(f"*-{ORIGINAL}.png"))
    return dict(zip(numbers, names, strict=False))


def _number(names: dict[int, str], text: str) -> int:
    for position, (number, name) in enumerate(names.items(), start=1):
        path = PurePath(name)
        if text in (str(position), name, path.name, path.stem):
            return number
    known = ", ".join(f"{n} {name}" for n, name in enumerate(names.values(), start=1)) or "none"
    raise ConfigError(f"image {text!r} was not kept (kept: {known}); keep more with --set evaluate.pictures=N")


def _of(outputs: list[Output], stage: str) -> list[Output]:
    """Those of a stage, the newest last."""
    return sorted((output for output in outputs if output.manifest.stage == stage), key=_age)


def _age(output: Output) -> float:
    return (output.path / MANIFEST).stat().st_mtime
