"""Table 2 for people (terminal, Markdown) and for programs (results.json)."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ced.report import paper
from ced.report.groups import COLUMNS, Column, Group, colour_name, display_name, groups
from ced.report.model import Row
from ced.report.results import Results, parse_results, results_json

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Results", "markdown", "parse_results", "results_json", "terminal"]

_WIDEST = 100  # columns, where no width is given
_NARROWEST = 72  # below that a figure would be cut
_NOTES = {"star": "* the best of its test set", "paper": "in brackets: the paper's Table 2"}


def terminal(rows: Iterable[Row], width: int | None = None, styled: bool = False) -> str:
    """The table as text, at most `width` columns wide (100 unless told; never below 72).

    The best figure of each column within a test set carries a star, or is bold and green where `styled`
    (ANSI escapes, for a terminal). The paper's own figure follows in brackets where there is one and room for it.
    """
    from rich.console import Console
    from rich.measure import Measurement

    found = groups(rows)
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(width or _WIDEST, _NARROWEST),
        force_terminal=styled,
        color_system="standard" if styled else None,
        legacy_windows=False,
        _environ={},  # the text depends on the arguments alone
    )
    with_paper = _has_paper(found)
    table = _table(found, styled, with_paper)
    unlimited = console.options.update(width=10_000)
    if with_paper and Measurement.get(console, unlimited, table).minimum > console.width:
        with_paper = False
        table = _table(found, styled, with_paper)
    console.print(table)
    notes = [_NOTES["star"]] * (not styled and _has_best(found)) + [_NOTES["paper"]] * with_paper
    console.print(" " + "; ".join(notes), style="dim", highlight=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def markdown(rows: Iterable[Row]) -> str:
    """The table in GitHub's Markdown; the best figures bold, the paper's own figures in brackets."""
    found = groups(rows)
    lines = [
        "| Test set | QF | Method | " + " | ".join(c.heading.replace(">", "&gt;") for c in COLUMNS) + " |",
        "| --- | ---: | --- | " + " | ".join("---:" for _ in COLUMNS) + " |",
    ]
    for group in found:
        name = _cell(group.dataset) + ("" if group.colour == "y" else f" ({_cell(colour_name(group.colour))})")
        for row in group.rows:
            figures = (_markdown_figure(group, row, column) for column in COLUMNS)
            lines.append(f"| {name} | {group.quality} | {_cell(display_name(row.method))} | {' | '.join(figures)} |")
    if _has_paper(found):
        lines += ["", f"Bold: the best of its test set; {_NOTES['paper']}."]
    return "\n".join(lines) + "\n"


def _table(found: tuple[Group, ...], styled: bool, with_paper: bool) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("Test set", overflow="fold", min_width=12)
    table.add_column("QF", justify="right", no_wrap=True)
    table.add_column("Images", justify="right", no_wrap=True)
    table.add_column("Method", overflow="fold", min_width=8)
    for column in COLUMNS:
        table.add_column(column.heading, justify="right", no_wrap=True, min_width=14 if with_paper else 6)
    for group in found:
        name = group.dataset if group.colour == "y" else f"{group.dataset} ({colour_name(group.colour)})"
        for number, row in enumerate(group.rows):
            head = (name, str(group.quality)) if number == 0 else ("", "")
            images = str(row.images) if number == 0 or row.images != group.rows[0].images else ""
            figures = [_styled_figure(group, row, column, styled, with_paper) for column in COLUMNS]
            table.add_row(*map(_plain, (*head, images, display_name(row.method))), *figures)
        table.add_section()
    return table


def _styled_figure(group: Group, row: Row, column: Column, styled: bool, with_paper: bool) -> str:
    text = column.text(getattr(row, column.field))
    best = group.is_best(row, column)
    if styled:
        text = f"[bold green]{text}[/]" if best else text
    elif _has_best((group,)):
        text += "*" if best else " "
    line = paper.printed(row)
    if with_paper and line is not None:
        text += f" [dim]({column.text(getattr(line, column.field))})[/]"
    return text


def _markdown_figure(group: Group, row: Row, column: Column) -> str:
    text = column.text(getattr(row, column.field))
    text = f"**{text}**" if group.is_best(row, column) else text
    line = paper.printed(row)
    return text if line is None else f"{text} ({column.text(getattr(line, column.field))})"


def _has_paper(found: tuple[Group, ...]) -> bool:
    return any(paper.printed(row) for group in found for row in group.rows)


def _has_best(found: tuple[Group, ...]) -> bool:
    return any(group.is_best(row, column) for group in found for row in group.rows for column in COLUMNS)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(" ".join(text.split()))


def _cell(text: str) -> str:
    flat = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
