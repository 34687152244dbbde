"""The end of stage 5: per_image.parquet -> the table, results.json, report.html and the paper's figures."""

import platform
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ced import __version__
from ced.config import Config, FiguresConfig, as_dict
from ced.errors import ConfigError
from ced.evaluation.means import rows_of
from ced.report import html, pictures, results, shown, text
from ced.report.figure import Figure
from ced.report.figures import figures
from ced.report.model import Picture, Report
from ced.store.outputs import Making, Output, make, write_bytes, write_text
from ced.store.session import Session
from ced.tracking import provenance

RESULTS, PAGE, TABLE = "results.json", "report.html", "table"
STRIPS, FIGURES = "strips", "figures"  # folders
_FORM = 3  # of what is made; another number makes it again
_PACKAGES = ("torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow")


def run(config: Config, evaluated: Output, trained: dict[str, Output], session: Session) -> Output:
    """Make results.json, report.html, figures/ and strips/ of an evaluation, or find them made. Raises ConfigError."""
    return redraw(provenance.described(config), config.figures, evaluated, trained, session)


def redraw(
    told: dict[str, Any], chosen: FiguresConfig, evaluated: Output, trained: dict[str, Output], session: Session
) -> Output:
    """The same from what decided the results, told by `provenance`. Raises ConfigError for a picture or crop."""
    told = {**told, "figures": as_dict(chosen)}
    _check_crop(shown.pictures(evaluated, chosen.images), chosen)  # before anything is written
    inputs = {name: output.manifest.content for name, output in {"evaluate": evaluated, **trained}.items()}
    produce = partial(_produce, told, chosen, evaluated, trained)
    return make(session.store, "report", {"config": told, "version": __version__, "form": _FORM}, inputs, produce)


def _produce(
    told: dict[str, Any], chosen: FiguresConfig, evaluated: Output, trained: dict[str, Output], making: Making
) -> None:
    rows = rows_of(evaluated)
    write_text(making.folder / RESULTS, results.results_json(rows, versions(), told))
    for suffix, render in (("md", text.markdown), ("tex", text.latex), ("csv", results.sheet)):
        write_text(making.folder / f"{TABLE}.{suffix}", render(rows))
    report = Report(
        title=f"ced: {' and '.join(dict.fromkeys(row.dataset for row in rows))}",
        rows=rows,
        curves=shown.curves(trained),
        pictures=shown.pictures(evaluated, chosen.images),
        facts=shown.facts(told, evaluated, trained, versions()),
        spectra=shown.spectra(evaluated),
        channels=chosen.channels,
        crop=chosen.box,
    )
    drawn = figures(report)
    write_text(making.folder / PAGE, html.page(report, drawn))
    _write_figures(making.folder / FIGURES, drawn)
    for number, picture in enumerate(report.pictures):
        strip = pictures.strip(picture, report.crop)
        write_bytes(making.folder / STRIPS / f"{number:02d}.png", strip)
    making.counts.update(rows=len(rows), pictures=len(report.pictures), figures=len(drawn))


def _write_figures(folder: Path, drawn: Sequence[Figure]) -> None:
    for figure in drawn:
        write_bytes(folder / f"{figure.name}.png", figure.png)
        write_text(folder / f"{figure.name}.svg", figure.svg)


def _check_crop(shown_ones: Sequence[Picture], chosen: FiguresConfig) -> None:
    right, bottom = chosen.box[2:] if chosen.box else (0, 0)
    for picture in shown_ones:
        if right > picture.width or bottom > picture.height:
            size = f"{picture.width} x {picture.height}"
            raise ConfigError(
                f"figures.crop = {chosen.crop!r} reaches outside {picture.name}, which is {size} pixels; "
                "take a smaller one, or name the pictures with figures.images"
            )


def versions(*others: str) -> dict[str, str]:
    """Versions of ced, Python and the packages under it, and of the `others` that are installed."""
    found = {"ced": __version__, "python": platform.python_version()}
    for name in (*_PACKAGES, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
