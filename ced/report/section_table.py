"""Tables 2 and 3 on the page, with what it takes to read them: notes, legend, intervals, and what the models saw."""

import base64
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ced.evaluation.metrics import Row
from ced.report.groups import display_name
from ced.report.tables import COLOURS, Table, beyond_the_paper, intervals, other_works, table_2, table_3
from ced.vision.results import Vision

if TYPE_CHECKING:
    from markupsafe import Markup


def table_section(rows: Iterable[Row]) -> str:
    """Table 2, what the paper does not print, and the legend; "" where there are no rows."""
    rows = tuple(rows)
    if not rows:
        return ""
    ends = intervals(rows, " – ", everything=True)
    return _render("table_2", table_2(rows), beyond_the_paper(rows), ends, other_works(rows))


def vision_section(vision: Vision | None) -> str:
    """Table 3, its notes and the drawings, each image and colour together; "" where nothing was looked at."""
    if vision is None or not vision.rows:
        return ""
    plates: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for drawing in vision.drawings:
        name = display_name(drawing.method) + (f", QF {drawing.quality}" if drawing.quality else "")
        png = base64.b64encode(drawing.png).decode("ascii")
        plates.setdefault((drawing.image, COLOURS[drawing.colour]), []).append((name, png))
    return _render("table_3", table_3(vision.rows, vision.models, "In grey"), plates)


def html(table: Table) -> str:
    """The markup of one table and nothing around it."""
    return _render("table", table)


def _render(macro: str, *values: object) -> "Markup":
    """What a macro of templates/tables.html makes of values: escaped, and safe to embed."""
    rendered: Markup = getattr(_macros(), macro)(*values)
    return rendered


@functools.cache
def _macros() -> object:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("ced.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("tables.html").module
