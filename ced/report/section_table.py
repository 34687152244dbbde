"""Table 2 on the page: ours, the paper's figures beside them, and what the columns mean."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from ced.report import paper
from ced.report.groups import COLUMNS, Column, Group, colour_name, display_name, groups, images_of
from ced.report.model import Row


def table_section(rows: Iterable[Row]) -> str:
    """The table with its legend; "" where there are no rows."""
    found = groups(rows)
    if not found:
        return ""
    with_paper = any(paper.table(group.rows[0]) for group in found)
    heads = "".join(_head(column) for column in COLUMNS)
    note = '<p class="note">In grey: the paper’s own figures, from its Table 2.</p>\n' if with_paper else ""
    legend = (files("ced.report") / "assets" / "columns.html").read_text(encoding="utf-8")
    return (
        f'<div class="scroll"><table class="results{" with-paper" if with_paper else ""}">\n'
        f'<thead><tr><th scope="col">Method</th>{heads}</tr></thead>\n'
        f"{''.join(map(_body, found))}</table></div>\n{note}{_other_works(found)}{legend}"
    )


def _head(column: Column) -> str:
    arrow = "↓" if column.better == "lower" else "↑"
    unit = " <small>dB</small>" if column.field.startswith("psnr") else ""
    hint = f"{column.better} is better"
    return f'<th scope="col"><abbr title="{hint}">{escape(column.heading)}{unit}&nbsp;{arrow}</abbr></th>'


def _body(group: Group) -> str:
    about = f"QF&nbsp;{group.quality} · {escape(colour_name(group.colour))} · {group.images}"
    lines = [
        f'<tr class="group"><th colspan="{1 + len(COLUMNS)}" scope="rowgroup">'
        f"<b>{escape(group.dataset)}</b> <span>{about}</span></th></tr>"
    ]
    for row in group.rows:
        cells = "".join(_cell(group, row, column) for column in COLUMNS)
        failed = f" <small>{escape(images_of(row))}</small>" if row.failures else ""
        lines.append(f'<tr><th scope="row">{escape(display_name(row.method))}{failed}</th>{cells}</tr>')
    return "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n"


def _cell(group: Group, row: Row, column: Column) -> str:
    text = column.text(getattr(row, column.field))
    ours = f"<strong>{text}</strong>" if group.is_best(row, column) else f"<span>{text}</span>"
    line = paper.printed(row)
    if line is None:
        return f"<td>{ours}</td>"
    theirs = column.text(getattr(line, column.field))
    return f'<td>{ours}<span class="paper"><span class="unseen">, the paper: </span>{theirs}</span></td>'


def _other_works(found: Iterable[Group]) -> str:
    # What the paper compares itself with, folded away.
    bodies = []
    for group in found:
        lines = paper.others(group.rows[0])
        if lines:
            title = f"<b>{escape(group.dataset)}</b> <span>QF&nbsp;{group.quality}</span>"
            head = f'<tr class="group"><th colspan="{1 + len(COLUMNS)}" scope="rowgroup">{title}</th></tr>'
            bodies.append("<tbody>" + head + "\n".join(map(_printed, lines)) + "</tbody>")
    if not bodies:
        return ""
    heads = "".join(_head(column) for column in COLUMNS)
    return (
        '<details class="others"><summary>The other works in the paper’s Table 2</summary>\n'
        f'<div class="scroll"><table class="results"><thead><tr><th scope="col">Method</th>{heads}</tr></thead>\n'
        f"{''.join(bodies)}</table></div>\n"
        '<p class="note">An asterisk marks what the paper took from the authors’ own publications; '
        "the other figures it reproduced.</p></details>\n"
    )


def _printed(line: paper.Printed) -> str:
    cells = "".join(f"<td>{column.text(getattr(line, column.field))}</td>" for column in COLUMNS)
    return f'<tr><th scope="row">{escape(line.method)}</th>{cells}</tr>'
