"""The end of stage 5: an evaluation -> results.json, the table in three forms, report.html and the paper's figures.

What a report is made of is read from the outputs of `ced evaluate` or `ced run`, which `find` looks for in a store.
With other pictures or channels it is drawn again, without a pixel being measured.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ced import __version__
from ced.config import Config, FiguresConfig, as_dict
from ced.core import jpeg
from ced.core.spectrum import Spectrum
from ced.errors import ConfigError, FormatError, InputError
from ced.evaluation import evaluate, pool
from ced.evaluation.means import rows_of
from ced.evaluation.measure import ORIGINAL
from ced.evaluation.runner import PICTURES
from ced.report import html, results, text
from ced.report.figures import comparison, figures
from ced.report.model import Curve, Picture, Report, Spectra
from ced.store import finished
from ced.store.outputs import MANIFEST, Making, Output, check_small, make, write_bytes, write_text
from ced.store.session import Session
from ced.tracking import provenance
from ced.training import metrics

RESULTS, PAGE, TABLE = "results.json", "report.html", "table"
COMPARISONS, FIGURES = "strips", "figures"  # folders
_FORM = 3  # of what is made; another number makes it again
_PACKAGES = ("torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow")
_JPEG = "jpeg"


@dataclass(frozen=True)
class Evaluation:
    """An output of `ced evaluate` or `ced run`, the models it was made with, and what decided its results."""

    evaluated: Output
    trained: dict[str, Output]  # by model; none where it was not made by a pipeline
    described: dict[str, Any]  # as `provenance` does


def run(config: Config, evaluated: Output, trained: dict[str, Output], session: Session) -> Output:
    """Make the report of an evaluation, or find it made. Raises ConfigError."""
    return redraw(Evaluation(evaluated, trained, provenance.described(config)), config.figures, session)


def redraw(evaluation: Evaluation, chosen: FiguresConfig, session: Session) -> Output:
    """The report with the figures as `chosen`. Raises ConfigError for a picture or crop that is not there."""
    evaluated, trained = evaluation.evaluated, evaluation.trained
    described = {**evaluation.described, "figures": as_dict(chosen)}
    _check_crop(pictures(evaluated, chosen.images), chosen)  # before anything is written
    inputs = {name: output.manifest.content for name, output in {"evaluate": evaluated, **trained}.items()}
    produce = partial(_produce, Evaluation(evaluated, trained, described), chosen)
    return make(session.store, "report", {"config": described, "version": __version__, "form": _FORM}, inputs, produce)


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


def machine_facts(installed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What the head of a page says of the machine and its packages."""
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return ("machine", machine), ("versions", ", ".join(f"{name} {number}" for name, number in installed.items()))


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write what a report is made of, by name."""
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_bytes(folder / name, content)


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


def curves(trained: dict[str, Output]) -> tuple[Curve, ...]:
    """How each model learned."""
    return tuple(Curve(model, tuple(metrics.read(output.path))) for model, output in trained.items())


def facts(evaluation: Evaluation, installed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Name and value of what stands in the head of the page."""
    described, images = evaluation.described, evaluation.evaluated.manifest.counts["images"]
    # An evaluation of its own trains nothing, and does not know what its methods were trained on.
    pairs = [("trained on", ", ".join(described["images"]))] if described["images"] else []
    pairs.append(("tested on", f"{described['test_images']} ({images} image{'' if images == 1 else 's'})"))
    for model, output in evaluation.trained.items():
        steps = output.manifest.counts["steps"]
        pairs.append((f"training of {model}", f"{steps} steps, {output.manifest.seconds:.0f} s"))
    return (*pairs, *machine_facts(installed))


def _produce(evaluation: Evaluation, chosen: FiguresConfig, making: Making) -> None:
    evaluated, rows, installed = evaluation.evaluated, rows_of(evaluation.evaluated), versions()
    report = Report(
        title=f"ced: {' and '.join(dict.fromkeys(row.dataset for row in rows))}",
        rows=rows,
        curves=curves(evaluation.trained),
        pictures=pictures(evaluated, chosen.images),
        facts=facts(evaluation, installed),
        spectra=spectra(evaluated),
        channels=chosen.channels,
        crop=chosen.box,
    )
    drawn = figures(report)
    files: dict[str, str | bytes] = {
        RESULTS: results.results_json(rows, installed, evaluation.described),
        f"{TABLE}.md": text.markdown(rows),
        f"{TABLE}.tex": text.latex(rows),
        f"{TABLE}.csv": results.sheet(rows),
        PAGE: html.page(report, drawn),
    }
    files |= {f"{FIGURES}/{figure.name}.png": figure.png for figure in drawn}
    files |= {f"{FIGURES}/{figure.name}.svg": figure.svg for figure in drawn}
    for number, picture in enumerate(report.pictures):
        files[f"{COMPARISONS}/{number:02d}.png"] = comparison(picture, report.crop)
    write_files(making.folder, files)
    making.counts.update(rows=len(rows), pictures=len(report.pictures), figures=len(drawn))


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
    """A kept picture; the JPEG, which all are compared with, is made again where it was not measured."""
    if label == _JPEG and _JPEG not in evaluated.manifest.config["methods"]:
        original = evaluate.picture(evaluated, number, quality, ORIGINAL)
        return None if original is None else jpeg.decode(jpeg.encode(original, quality))
    return evaluate.picture(evaluated, number, quality, label)


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
