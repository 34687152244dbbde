"""Table 2 on the page: ours, the paper's figures beside them, what the paper does not print, and what it all means."""

import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from ced.report import paper
from ced.report.groups import COLUMNS, MORE, Column, Group, colour_name, display_name, groups, images_of
from ced.report.model import Row

_ARROWS = {
    "lower": ("\N{NO-BREAK SPACE}↓", "lower is better"),
    "higher": ("\N{NO-BREAK SPACE}↑", "higher is better"),
    "one": ("\N{NO-BREAK SPACE}→1", "nearest to 1 is best"),
    "none": ("", "no contest"),
}
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="Table, wider than a narrow window">'
_UNITS = {"psnr": "dB", "psnr_b": "dB"}
_FAILED = "† The method failed on the other images: its means are over other images than the others’, and not compared."


def table_section(rows: Iterable[Row]) -> str:
    """The tables with their legend; "" where there are no rows."""
    found = groups(rows)
    if not found:
        return ""
    with_paper = any(paper.printed(row) for group in found for row in group.rows)
    more = tuple(column for column in MORE if any(_has(row, column) for group in found for row in group.rows))
    notes = ["In grey: the paper’s own figures, from its Table 2."] * with_paper
    notes += [_FAILED] * any(group.differs for group in found)
    parts = [
        _table(found, COLUMNS, "results with-paper" if with_paper else "results"),
        *(f'<p class="note">{note}</p>' for note in notes),
        _other_works(found),
        f"<h3>What the paper does not print</h3>\n{_table(found, more, 'results')}" if more else "",
        _intervals(found, (*COLUMNS, *more)),
        _legend((*COLUMNS, *more)),
    ]
    return "\n".join(part for part in parts if part)


def _has(row: Row, column: Column) -> bool:
    return not math.isnan(getattr(row, column.field))


def _table(found: Sequence[Group], columns: Sequence[Column], kind: str) -> str:
    bodies = "".join(_body(group, columns) for group in found)
    return f'{_SCROLL}<table class="{kind}">\n{_heads(columns)}\n{bodies}</table></div>'


def _heads(columns: Iterable[Column]) -> str:
    return f'<thead><tr><th scope="col">Method</th>{"".join(map(_head, columns))}</tr></thead>'


def _head(column: Column) -> str:
    arrow, hint = _ARROWS[column.better]
    unit = f" <small>{_UNITS[column.field]}</small>" if column.field in _UNITS else ""
    return f'<th scope="col"><abbr title="{hint}">{escape(column.heading)}{unit}{arrow}</abbr></th>'


def _body(group: Group, columns: Sequence[Column]) -> str:
    lines = [_group_head(group, columns)]
    for row in group.rows:
        cells = "".join(_cell(group, row, column) for column in columns)
        lines.append(f"<tr>{_row_head(row)}{cells}</tr>")
    return "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n"


def _group_head(group: Group, columns: Sequence[Column]) -> str:
    about = f"QF&nbsp;{group.quality} · {escape(colour_name(group.colour))} · {group.images}"
    return (
        f'<tr class="group"><th colspan="{1 + len(columns)}" scope="rowgroup">'
        f"<b>{escape(group.dataset)}</b> <span>{about}</span></th></tr>"
    )


def _row_head(row: Row) -> str:
    failed = f" <small>{escape(images_of(row))}</small>" if row.failures else ""
    return f'<th scope="row">{escape(display_name(row.method))}{failed}</th>'


def _cell(group: Group, row: Row, column: Column) -> str:
    text = column.text(getattr(row, column.field))
    ours = f"<strong>{text}</strong>" if group.is_best(row, column) else f"<span>{text}</span>"
    line = paper.printed(row)
    if line is None or column not in COLUMNS:
        return f"<td>{ours}</td>"
    theirs = column.text(getattr(line, column.field))
    return f'<td>{ours}<span class="paper"><span class="unseen">, the paper: </span>{theirs}</span></td>'


def _intervals(found: Sequence[Group], columns: Iterable[Column]) -> str:
    """Confidence intervals, folded away; "" where there are none."""
    shown = [c for c in columns if any(row.interval(c.field) for group in found for row in group.rows)]
    if not shown:
        return ""
    bodies = []
    for group in found:
        lines = [f"<tr>{_row_head(row)}{''.join(_ends(row, column) for column in shown)}</tr>" for row in group.rows]
        bodies.append("<tbody>" + "\n".join([_group_head(group, shown), *lines]) + "</tbody>")
    return (
        '<details class="others"><summary>95&nbsp;% confidence intervals of the means</summary>\n'
        f'{_SCROLL}<table class="results">{_heads(shown)}\n{"".join(bodies)}</table></div>\n'
        '<p class="note">Bootstrap: the images are drawn again and again with replacement, and the means of the '
        "draws lie within these bounds 95 times in 100.</p></details>\n"
    )


def _ends(row: Row, column: Column) -> str:
    ends = row.interval(column.field)
    return f"<td>{column.text(ends[0])} – {column.text(ends[1])}</td>" if ends else "<td>–</td>"


def _legend(columns: Iterable[Column]) -> str:
    """What the columns mean: those that are shown."""
    headings = {escape(column.heading) for column in columns}
    lines = (files("ced.report") / "assets" / "columns.html").read_text(encoding="utf-8").splitlines(keepends=True)
    terms = [(line, re.search("<dt>(.*?)</dt>", line)) for line in lines]
    return "".join(line for line, term in terms if term is None or term.group(1) in headings)


def _other_works(found: Iterable[Group]) -> str:
    # What the paper compares itself with, folded away.
    bodies = []
    for group in found:
        lines = next(filter(None, map(paper.others, group.rows)), ())  # a method that failed somewhere has none
        if lines:
            title = f"<b>{escape(group.dataset)}</b> <span>QF&nbsp;{group.quality}</span>"
            head = f'<tr class="group"><th colspan="{1 + len(COLUMNS)}" scope="rowgroup">{title}</th></tr>'
            bodies.append("<tbody>" + head + "\n".join(map(_printed, lines)) + "</tbody>")
    if not bodies:
        return ""
    return (
        '<details class="others"><summary>The other works in the paper’s Table 2</summary>\n'
        f'{_SCROLL}<table class="results">{_heads(COLUMNS)}\n'
        f"{''.join(bodies)}</table></div>\n"
        '<p class="note">An asterisk marks what the paper took from the authors’ own publications; '
        "the other figures it reproduced.</p></details>\n"
    )


def _printed(line: paper.Printed) -> str:
    cells = "".join(f"<td>{column.text(getattr(line, column.field))}</td>" for column in COLUMNS)
    return f'<tr><th scope="row">{escape(line.method)}</th>{cells}</tr>'
