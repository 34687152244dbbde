"""The report as one HTML file that needs nothing else: no request leaves it, and images are embedded as PNG.

The markup lies in templates/, where every text is escaped; style and script lie in assets/.
"""

import functools
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from ced import drawing
from ced.core.images import png
from ced.evaluation.metrics import Row
from ced.report.charts import curve_charts
from ced.report.figures import busiest_square, detail_side
from ced.report.model import Curve, Drawing, Figure, Picture, Report, Table, display_name
from ced.report.plane import link
from ced.report.tables import COLOURS, beyond_the_paper, intervals, other_works, table_2

_LENS = 64  # pixels that the enlarged region spans at first, where the picture has room
_SIDES = (32, 64, 128)  # pixels that it can span


def page(report: Report, figures: Sequence[Figure] = ()) -> str:
    """The page of Table 2. Parts without content are left out. The same report gives the same text.

    It holds the table (with the paper's figures beside ours on the paper's test sets), the pictures with
    a before/after divide and a lens that all versions share, `figures` as they were drawn of the report, the
    training curves and the facts of the run.
    """
    sections = [
        ("results", "Results", table_section(report.rows)),
        ("pictures", "Pictures", pictures_section(report.pictures)),
        ("figures", "Figures", figures_section(figures)),
        ("training", "Training", curves_section(report.curves)),
    ]
    return _page(report.title, report.facts, sections)


def vision_page(title: str, facts: Sequence[tuple[str, str]], table: Table, drawings: Iterable[Drawing] = ()) -> str:
    """The page of Table 3: the table, and what a detector and a segmenter saw."""
    return _page(title, facts, [("vision", "Detection and segmentation", vision_section(table, drawings))])


def _page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[tuple[str, str, Markup]]) -> str:
    return render(
        "page.html",
        title=title,
        facts=facts,
        sections=[section for section in sections if section[2]],
        style=Markup(asset("style.css")),
        script=Markup(asset("script.js")),
    )


def table_section(rows: Iterable[Row]) -> Markup:
    """Table 2, what the paper does not print, and the legend; "" where there are no rows."""
    rows = tuple(rows)
    if not rows:
        return Markup()
    others, ends = beyond_the_paper(rows), intervals(rows, " – ", everything=True)
    shown = (table_2(rows), table_2(rows, others), table_2(rows, ends), other_works(rows))
    return render_macro("tables.html", "table_2", *shown)


def vision_section(table: Table, drawings: Iterable[Drawing] = ()) -> Markup:
    """Table 3, its notes and the drawings, each image and colour together; "" where nothing was looked at."""
    if not table.blocks:
        return Markup()
    plates: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for drawn in drawings:
        name = display_name(drawn.method) + (f", QF {drawn.quality}" if drawn.quality else "")
        plates.setdefault((drawn.image, COLOURS[drawn.colour]), []).append((name, drawing.data_url(drawn.png)))
    return render_macro("tables.html", "table_3", table, plates)


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


def _lens(picture: Picture) -> dict[str, object]:
    """The region of a picture that its versions show enlarged: where it is at first, and what it can be."""
    shorter = min(picture.height, picture.width)
    left, top, right, bottom = busiest_square(picture.original, detail_side(picture, most=_LENS))
    side = min(right - left, bottom - top)
    sides = sorted({side, *(choice for choice in _SIDES if choice <= shorter)})
    return {"left": left, "top": top, "side": side, "sides": sides}


def render(template: str, **values: object) -> str:
    """A whole template of templates/. A value that it asks for in vain is an error."""
    return _environment().get_template(template).render(**values)


def render_macro(template: str, macro: str, *values: object) -> Markup:
    """What one of a template's macros makes of the values: safe to embed."""
    module: Any = _environment().get_template(template).module
    return Markup(getattr(module, macro)(*values))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ced.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(display_name=display_name, data_url=_data_url, link=link)
    return environment


def _data_url(pixels: np.ndarray) -> str:
    return drawing.data_url(png(pixels))
