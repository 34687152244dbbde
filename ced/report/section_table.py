"""Tables 2 and 3 on the page, with what it takes to read them: notes, legend, intervals, and what the models saw."""

import base64
from collections.abc import Iterable

from markupsafe import Markup

from ced.evaluation.metrics import Row
from ced.report.groups import display_name
from ced.report.tables import COLOURS, Table, beyond_the_paper, intervals, other_works, table_2, table_3
from ced.report.templating import render_macro
from ced.vision.results import Vision


def table_section(rows: Iterable[Row]) -> Markup:
    """Table 2, what the paper does not print, and the legend; "" where there are no rows."""
    rows = tuple(rows)
    if not rows:
        return Markup()
    ends = intervals(rows, " – ", everything=True)
    return render_macro("tables.html", "table_2", table_2(rows), beyond_the_paper(rows), ends, other_works(rows))


def vision_section(vision: Vision | None) -> Markup:
    """Table 3, its notes and the drawings, each image and colour together; "" where nothing was looked at."""
    if vision is None or not vision.rows:
        return Markup()
    plates: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for drawing in vision.drawings:
        name = display_name(drawing.method) + (f", QF {drawing.quality}" if drawing.quality else "")
        png = base64.b64encode(drawing.png).decode("ascii")
        plates.setdefault((drawing.image, COLOURS[drawing.colour]), []).append((name, png))
    return render_macro("tables.html", "table_3", table_3(vision.rows, vision.models, "In grey"), plates)


def html(table: Table) -> Markup:
    """The markup of one table and nothing around it."""
    return render_macro("tables.html", "table", table)
