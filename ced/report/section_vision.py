"""Table 3 on the page: what a detector and a segmenter still find, and what they saw."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from ced.report.groups import display_name
from ced.report.model import Drawing, Vision
from ced.report.table3 import COLOURS, HEADINGS, Column, Line, Table

_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="Table, wider than a narrow window">'


def vision_section(vision: Vision | None) -> str:
    """The table, its notes and the drawings; "" where nothing was looked at."""
    if vision is None or not vision.rows:
        return ""
    table = Table(vision.rows)
    with_paper = any(table.paper(line, column) for line in table for column in table.columns)
    notes = [*table.notes, table.note(vision.models, "In grey")]
    parts = [
        f'<p class="lead">{escape(table.title)}: how much a detector and a segmenter still find.</p>',
        _table(table, "results with-paper" if with_paper else "results"),
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        _drawings(vision.drawings),
    ]
    return "\n".join(part for part in parts if part)


def _table(table: Table, kind: str) -> str:
    heads = "".join(f'<th scope="col">{_heading(column)}</th>' for column in table.columns)
    lines = "\n".join(f"<tr>{_head(line)}{_cells(table, line)}</tr>" for line in table)
    return (
        f'{_SCROLL}<table class="{kind}">\n<thead><tr><th scope="col">Method</th>{heads}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def _heading(column: Column) -> str:
    measure, colour = column
    return f'<abbr title="higher is better">{HEADINGS[measure]} <small>{COLOURS[colour]}</small></abbr>'


def _head(line: Line) -> str:
    quality, method = line
    about = f" <small>QF&nbsp;{quality}</small>" if quality else ""
    return f'<th scope="row">{escape(display_name(method))}{about}</th>'


def _cells(table: Table, line: Line) -> str:
    return "".join(_cell(table, line, column) for column in table.columns)


def _cell(table: Table, line: Line, column: Column) -> str:
    ours = table.figure(line, column)
    shown = f"<strong>{ours}</strong>" if table.is_best(line, column) else f"<span>{ours}</span>"
    theirs = table.paper(line, column)
    if not theirs:
        return f"<td>{shown}</td>"
    return f'<td>{shown}<span class="paper"><span class="unseen">, the paper: </span>{theirs}</span></td>'


def _drawings(drawings: Sequence[Drawing]) -> str:
    """The drawings of each image and colour together; "" where there are none."""
    if not drawings:
        return ""
    groups: dict[tuple[str, str], list[Drawing]] = {}
    for drawing in drawings:
        groups.setdefault((drawing.image, drawing.colour), []).append(drawing)
    plates = [_plate(image, colour, some) for (image, colour), some in groups.items()]
    lead = (
        '<h3>What they saw</h3>\n<p class="note">Left: boxes found with a score of 0.3 or more, and the labelled ones '
        "in white. Right: the classes of the pixels.</p>\n"
    )
    return lead + "\n".join(plates)


def _plate(image: str, colour: str, drawings: Iterable[Drawing]) -> str:
    cells = "\n".join(_drawing(image, drawing) for drawing in drawings)
    title = f"<h3>{escape(image)} <small>{COLOURS[colour]}</small></h3>"
    return f'<figure class="plate">\n{title}\n<div class="cells seen">\n{cells}\n</div></figure>'


def _drawing(image: str, drawing: Drawing) -> str:
    name = display_name(drawing.method) + (f", QF {drawing.quality}" if drawing.quality else "")
    data = base64.b64encode(drawing.png).decode("ascii")
    alt = escape(f"{image}, {name}: boxes and classes")
    return (
        f'<div class="cell"><p>{escape(name)}</p>'
        f'<div class="photo"><img src="data:image/png;base64,{data}" alt="{alt}"></div></div>'
    )
