"""The end of stage 5: per_image.parquet -> the table, results.json and report.html."""

import dataclasses
import platform
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ced import __version__
from ced.adapters import photographs
from ced.adapters.storage import Making, Output, Place, make, write_bytes, write_text
from ced.config import Config, as_dict
from ced.core.metrics import bef_mse_bound
from ced.report import html, pictures, table
from ced.report.model import Curve, Picture, Report, Row
from ced.stages import evaluate, train

RESULTS, PAGE = "results.json", "report.html"
_PACKAGES = ("torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow")


def run(config: Config, evaluated: Output, trained: dict[str, Output], place: Place) -> Output:
    """Make results.json, report.html and strips/*.png of an evaluation, or find them made."""
    inputs = {name: output.manifest.content for name, output in {"evaluate": evaluated, **trained}.items()}
    produce = partial(_produce, config, evaluated, trained)
    return make(place, "report", {"config": described(config), "version": __version__}, inputs, produce)


def described(config: Config) -> dict[str, Any]:
    """What decided the results: all settings but `cluster`, the sources without queries and passwords."""
    images = tuple(map(photographs.shown, config.images))
    told = dataclasses.replace(config, images=images, test_images=photographs.shown(config.test_images))
    return {key: value for key, value in as_dict(told).items() if key != "cluster"}


def rows_of(evaluated: Output) -> tuple[Row, ...]:
    """The rows of Table 2: means over the images, by data set, quality factor and method in the order measured."""
    groups: dict[tuple[str, int, str, str], list[dict[str, float]]] = {}
    for one in evaluate.per_image(evaluated):
        key = (one["dataset"], one["quality"], one["colour"], one["method"])
        groups.setdefault(key, []).append(one)  # type: ignore[arg-type]
    return tuple(_row(key, ones) for key, ones in groups.items())


def _row(key: tuple[str, int, str, str], ones: Sequence[dict[str, float]]) -> Row:
    dataset, quality, colour, method = key
    psnr, psnr_b, ssim = (float(np.mean([one[m] for one in ones])) for m in ("psnr", "psnr_b", "ssim"))
    return Row(dataset, quality, colour, method, len(ones), psnr, psnr_b, ssim, bef_mse_bound(psnr, psnr_b))


def _produce(config: Config, evaluated: Output, trained: dict[str, Output], making: Making) -> None:
    rows = rows_of(evaluated)
    write_text(making.folder / RESULTS, table.results_json(rows, versions(), described(config)))
    shown = _pictures(config, evaluated)
    curves = tuple(Curve(model, tuple(train.curve(output))) for model, output in trained.items())
    title = f"ced: {' and '.join(dict.fromkeys(row.dataset for row in rows))}"
    write_text(making.folder / PAGE, html.page(Report(title, rows, curves, shown, _facts(config, evaluated, trained))))
    for number, picture in enumerate(shown):
        write_bytes(making.folder / "strips" / f"{number:02d}.png", pictures.strip(picture))
    making.counts.update(rows=len(rows), pictures=len(shown))


def _pictures(config: Config, evaluated: Output) -> tuple[Picture, ...]:
    ones = evaluate.per_image(evaluated)
    names = list(dict.fromkeys(str(one["image_id"]) for one in ones))[: config.evaluate.pictures]
    versions_shown = ("original", *dict.fromkeys(("jpeg", *config.evaluate.methods)))
    shown = []
    for number, name in enumerate(names):
        for quality in config.evaluate.qualities:
            kept = (v for v in versions_shown if v in ("original", *config.evaluate.methods))
            planes = tuple((v, evaluate.picture(evaluated, number, quality, v)) for v in kept)
            shown.append(Picture(name, quality, planes))
    return tuple(shown)


def _facts(config: Config, evaluated: Output, trained: dict[str, Output]) -> tuple[tuple[str, str], ...]:
    facts = [
        ("trained on", ", ".join(described(config)["images"]) or "nothing"),
        ("tested on", f"{photographs.shown(config.test_images)} ({evaluated.manifest.counts['images']} images)"),
    ]
    for model, output in trained.items():
        counts = output.manifest.counts
        facts.append((f"training of {model}", f"{counts['steps']} steps, {output.manifest.seconds:.0f} s"))
    facts.append(("machine", f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"))
    facts.append(("versions", ", ".join(f"{name} {number}" for name, number in versions().items())))
    return tuple(facts)


def versions(*others: str) -> dict[str, str]:
    """Versions of ced, Python and the packages under it, and of the `others` that are installed."""
    found = {"ced": __version__, "python": platform.python_version()}
    for name in (*_PACKAGES, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def copy(reported: Output, folder: Path) -> None:
    """Copy a finished report into a folder of the user's. Raises OutputError."""
    for name in reported.manifest.parts:
        write_bytes(folder / name, (reported.path / name).read_bytes())
