"""The report as one HTML file that needs nothing else: no request leaves it, and images are embedded as PNG.

The markup lies in templates/, where every text is escaped; style and script lie in assets/.
"""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

from markupsafe import Markup

from ced.report.charts import curve_charts
from ced.report.figures import busiest_square, detail_side
from ced.report.model import Curve, Figure, Picture, Report
from ced.report.section_table import table_section, vision_section
from ced.report.templating import render, render_macro

_LENS = 64  # pixels that the enlarged region spans at first, where the picture has room
_SIDES = (32, 64, 128)  # pixels that it can span


class Lens(NamedTuple):
    """The region of a picture that its versions show enlarged: where it is at first, and what it can be."""

    left: int
    top: int
    side: int
    sides: tuple[int, ...]


def page(report: Report, figures: Sequence[Figure] = ()) -> str:
    """The whole page. Parts without content are left out. The same report gives the same text.

    It holds the table (with the paper's figures beside ours on the paper's test sets), the pictures with
    a before/after divide and a lens that all versions share, `figures` as they were drawn of the report, the
    training curves and the facts of the run.
    """
    sections = [
        ("results", "Results", table_section(report.rows)),
        ("vision", "Detection and segmentation", vision_section(report.vision)),
        ("pictures", "Pictures", pictures_section(report.pictures)),
        ("figures", "Figures", figures_section(figures)),
        ("training", "Training", curves_section(report.curves)),
    ]
    return render(
        "page.html",
        title=report.title,
        facts=report.facts,
        sections=[section for section in sections if section[2]],
        style=Markup(asset("style.css")),
        script=Markup(asset("script.js")),
    )


def pictures_section(pictures: Sequence[Picture]) -> Markup:
    """A viewer for each picture; "" where there are none. Without scripts the whole versions are still shown."""
    return _section("pictures", [(picture, _lens(picture)) for picture in pictures])


def figures_section(figures: Sequence[Figure]) -> Markup:
    """The figures on the page; "" where there are none."""
    return _section("figures", figures)


def curves_section(curves: Iterable[Curve]) -> Markup:
    """The charts of each model; models without anything to draw are left out, and "" where none is left."""
    return _section("curves", [(curve.model, charts) for curve in curves if (charts := curve_charts(curve))])


def asset(name: str) -> str:
    """The text of a file in ced/report/assets."""
    return (files("ced.report") / "assets" / name).read_text(encoding="utf-8")


def _section(macro: str, content: Sequence[object]) -> Markup:
    return render_macro("sections.html", macro, content) if content else Markup()


def _lens(picture: Picture) -> Lens:
    shorter = min(picture.height, picture.width)
    left, top, right, bottom = busiest_square(picture.original, detail_side(picture, most=_LENS))
    side = min(right - left, bottom - top)
    return Lens(left, top, side, tuple(sorted({side, *(choice for choice in _SIDES if choice <= shorter)})))
