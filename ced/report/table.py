"""Table 2 for people, in the terminal and in Markdown: the paper's columns, then what the paper does not print."""

import io
import math
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ced.report import paper
from ced.report.groups import COLUMNS, MORE, Column, Group, colour_name, display_name, groups, images_of
from ced.report.model import Row
from ced.report.results import Results, parse_results, results_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Results", "markdown", "parse_results", "results_json", "terminal"]

_EVERYTHING = 250
_WIDEST = 100  # columns, where no width is given
_NARROWEST = 72  # below that a figure would be cut
_NOTES = {
    "star": "* the best of its test set",
    "paper": "in brackets: the paper's Table 2",
    "dagger": "† failed on the others: a mean over other images",
}
_INTERVALS = ("psnr", "psnr_b", "ssim", "w1", "energy")  # shown in the second table
_LEVEL = "95 %: bootstrap over the images"


def room() -> int:
    """The columns of the terminal; of a pipe or file as many as everything takes."""
    return shutil.get_terminal_size((_EVERYTHING, 24)).columns


def terminal(rows: Iterable[Row], width: int | None = None, styled: bool = False) -> str:
    """The tables as text, at most `width` columns wide (100 unless told; never below 72).

    The best figure of each column within a test set carries a star, or is bold and green where `styled`
    (ANSI escapes, for a terminal). The paper's own figure follows in brackets where there is one and room for it,
    and confidence intervals stand in the second table where there is room.
    """
    from rich.console import Console

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
    if with_paper and _width(console, table) > console.width:
        with_paper = False
        table = _table(found, styled, with_paper)
    console.print(table)
    notes = [_NOTES["star"]] * (not styled and _has_best(found)) + [_NOTES["paper"]] * with_paper
    notes += [_NOTES["dagger"]] * any(group.differs for group in found)
    if notes:
        console.print(" " + "; ".join(notes), style="dim", highlight=False)
    more = _columns(found)
    if more:
        _second(console, found, more, styled)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def markdown(rows: Iterable[Row]) -> str:
    """The tables in GitHub's Markdown; the best figures bold, the paper's own figures in brackets."""
    found = groups(rows)
    lines = _markdown_table(found, COLUMNS, with_paper=True)
    notes = [f"Bold: the best of its test set; {_NOTES['paper']}."] * _has_paper(found)
    notes += [f"{_NOTES['dagger']}."] * any(group.differs for group in found)
    lines += ["", " ".join(notes)] * bool(notes)
    more = _columns(found)
    if more:
        lines += ["", *_markdown_table(found, more, with_paper=False)]
    if _has_intervals(found):
        lines += ["", f"{_LEVEL}."]
    return "\n".join(lines) + "\n"


def interval(row: Row, column: Column) -> str:
    """A figure's confidence interval as text; "" where it has none."""
    ends = row.interval(column.field)
    return f"{column.text(ends[0])}..{column.text(ends[1])}" if ends else ""


def _markdown_table(found: tuple[Group, ...], columns: tuple[Column, ...], with_paper: bool) -> list[str]:
    shown = () if with_paper else _shown_intervals(found)
    headings = [c.heading.replace(">", "&gt;") for c in columns] + [f"{c.heading} 95 %" for c in shown]
    dagger = any(group.differs for group in found) and with_paper
    lines = [
        "| Test set | QF | Method | " + "Images | " * dagger + " | ".join(headings) + " |",
        "| --- | ---: | --- | " + "---: | " * dagger + " | ".join("---:" for _ in headings) + " |",
    ]
    for group in found:
        name = _cell(group.dataset) + ("" if group.colour == "y" else f" ({_cell(colour_name(group.colour))})")
        for row in group.rows:
            figures = [_markdown_figure(group, row, column, with_paper) for column in columns]
            figures = [images_of(row)] * dagger + figures + [interval(row, column) for column in shown]
            lines.append(f"| {name} | {group.quality} | {_cell(display_name(row.method))} | {' | '.join(figures)} |")
    return lines


def _table(found: tuple[Group, ...], styled: bool, with_paper: bool) -> "Table":
    table = _empty_table()
    table.add_column("Test set", overflow="fold", min_width=12)
    table.add_column("QF", justify="right", no_wrap=True)
    table.add_column("Images", justify="right", no_wrap=True)
    table.add_column("Method", overflow="fold", min_width=8)
    for column in COLUMNS:
        table.add_column(column.heading, justify="right", no_wrap=True, min_width=14 if with_paper else 6)
    for group in found:
        for number, row in enumerate(group.rows):
            head = (_test_set(group), str(group.quality)) if number == 0 else ("", "")
            images = images_of(row) if number == 0 or images_of(row) != images_of(group.rows[0]) else ""
            figures = [_styled_figure(group, row, column, styled, with_paper) for column in COLUMNS]
            table.add_row(*map(_plain, (*head, images, display_name(row.method))), *figures)
        table.add_section()
    return table


def _second(console: "Console", found: tuple[Group, ...], columns: tuple[Column, ...], styled: bool) -> None:
    """Print what the paper does not: as many intervals as there is room for."""
    shown = _shown_intervals(found)
    while shown and _width(console, _more_table(found, columns, shown, styled)) > console.width:
        shown = shown[:-1]
    while columns and _width(console, _more_table(found, columns, shown, styled)) > console.width:
        columns = columns[:-1]
    console.print(_more_table(found, columns, shown, styled))
    if shown:
        console.print(f" {_LEVEL}", style="dim", highlight=False)


def _more_table(
    found: tuple[Group, ...], columns: tuple[Column, ...], shown: tuple[Column, ...], styled: bool
) -> "Table":
    table = _empty_table()
    table.add_column("Test set", overflow="fold", min_width=8)
    table.add_column("QF", justify="right", no_wrap=True)
    table.add_column("Method", overflow="fold", min_width=8)
    for heading in [c.heading for c in columns] + [f"{c.heading} 95 %" for c in shown]:
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for group in found:
        for number, row in enumerate(group.rows):
            head = (_test_set(group), str(group.quality)) if number == 0 else ("", "")
            figures = [_styled_figure(group, row, column, styled, False) for column in columns]
            ends = [interval(row, column) for column in shown]
            table.add_row(*map(_plain, (*head, display_name(row.method))), *figures, *ends)
        table.add_section()
    return table


def _test_set(group: Group) -> str:
    return group.dataset if group.colour == "y" else f"{group.dataset} ({colour_name(group.colour)})"


def _empty_table() -> "Table":
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)


def _width(console: "Console", table: "Table") -> int:
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(width=10_000), table).minimum


def _columns(found: tuple[Group, ...]) -> tuple[Column, ...]:
    """Those columns that the paper does not print and some row has a figure for."""
    rows = [row for group in found for row in group.rows]
    return tuple(c for c in MORE if not all(math.isnan(getattr(row, c.field)) for row in rows))


def _shown_intervals(found: tuple[Group, ...]) -> tuple[Column, ...]:
    rows = [row for group in found for row in group.rows]
    return tuple(c for c in (*COLUMNS, *MORE) if c.field in _INTERVALS and any(row.interval(c.field) for row in rows))


def _has_intervals(found: tuple[Group, ...]) -> bool:
    return bool(_shown_intervals(found))


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


def _markdown_figure(group: Group, row: Row, column: Column, with_paper: bool) -> str:
    text = column.text(getattr(row, column.field))
    text = f"**{text}**" if group.is_best(row, column) else text
    line = paper.printed(row) if with_paper else None
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
