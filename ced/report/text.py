"""Tables as text: aligned for the terminal, Markdown, and LaTeX with booktabs."""

import io
import itertools
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ced.evaluation import metrics
from ced.evaluation.metrics import Row
from ced.report.tables import FAILED, Block, Cell, Column, Line, Table, beyond_the_paper, intervals, table_2
from ced.terminal import grid

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

_EVERYTHING = 250
_WIDEST = 100  # columns, where no width is given
_NARROWEST = 72  # below that a figure would be cut
_BEST = "* the best of its test set"
_PAPER = "in brackets: the paper's Table 2"
_DAGGER = f"{FAILED} failed on the others: a mean over other images"
_LEVEL = "95 %: bootstrap over the images"
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}",
    FAILED: r"\textdagger",
}  # fmt: skip
_TEX_FIGURES = {"∞": r"$\infty$", "−∞": r"$-\infty$"}


def room() -> int:
    """The columns of the terminal; of a pipe or file as many as everything takes."""
    return shutil.get_terminal_size((_EVERYTHING, 24)).columns


def terminal(rows: Iterable[Row], width: int | None = None, styled: bool = False) -> str:
    """Table 2, and what the paper does not print, at most `width` columns wide (100 unless given; never below 72).

    The best figure of each column within a test set carries a star, or is bold and green where `styled`
    (ANSI escapes, for a terminal). The paper's own figure follows in brackets where there is one and room for it,
    and confidence intervals stand in the second table where there is room.
    """
    from rich.console import Console

    rows = tuple(rows)
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(width or _WIDEST, _NARROWEST),
        force_terminal=styled,
        color_system="standard" if styled else None,
        legacy_windows=False,
        _environ={},  # the text depends on the arguments alone
    )
    first, second, ends = table_2(rows), beyond_the_paper(rows), intervals(rows, "..")
    if not _fits(console, first, styled, counts=True):
        first = first.without_paper()
    console.print(_rich(first, styled, counts=True))
    notes = [_BEST] * (not styled and first.has_best) + [_PAPER] * first.has_paper + [_DAGGER] * first.differs
    if notes:
        console.print(" " + "; ".join(notes), style="dim", highlight=False)
    if second.columns:
        both = second.beside(ends)
        while both.columns and not _fits(console, both, styled):
            both = both.narrower()
        console.print(_rich(both, styled))
        if not all(column.contest for column in both.columns):
            console.print(f" {_LEVEL}", style="dim", highlight=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def markdown(rows: Iterable[Row]) -> str:
    """Table 2, and what the paper does not print; the best figures bold, the paper's own figures in brackets."""
    rows = tuple(rows)
    first, second, ends = table_2(rows), beyond_the_paper(rows), intervals(rows, "..")
    lines = _markdown(first, counts=first.differs)
    notes = [f"Bold: the best of its test set; {_PAPER}."] * first.has_paper + [f"{_DAGGER}."] * first.differs
    lines += ["", " ".join(notes)] * bool(notes)
    if second.columns:
        lines += ["", *_markdown(second.beside(ends))]
    if ends.columns:
        lines += ["", f"{_LEVEL}."]
    return "\n".join(lines) + "\n"


def latex(rows: Iterable[Row]) -> str:
    """Table 2: the best figures bold, the paper's own figures small beneath the method they belong to."""
    wanted = sorted((metric for metric in metrics.in_tables() if metric.in_latex), key=lambda metric: not metric.paper)
    table = table_2(rows, wanted)
    columns = ["QF", "Method", *(column.heading.replace(">", "$>$") for column in table.columns)]
    lines = [rf"\begin{{tabular}}{{ll{'r' * len(table.columns)}}}", r"\toprule", _tex_line(columns)]
    for block in table.blocks:
        about = tex(f"{block.dataset}, {block.colour}, {block.images}")
        lines += [r"\midrule", rf"\multicolumn{{{len(columns)}}}{{l}}{{{about}}} \\"]
        for line in block.lines:
            figures = [rf"\textbf{{{_tex_figure(cell)}}}" if cell.best else _tex_figure(cell) for cell in line.cells]
            lines.append(_tex_line([str(block.quality), tex(_titled(line)), *figures]))
            theirs = [rf"{{\small ({cell.paper})}}" if cell.paper else "" for cell in line.cells]
            lines += [_tex_line(["", r"{\small the paper}", *theirs])] * any(theirs)
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.differs:
        lines.append(r"% \textdagger: the method failed on the other images; its means are not comparable.")
    return "\n".join(lines) + "\n"


def terminal_3(table: Table) -> str:
    """Table 3, aligned."""
    heading = ["Method", *map(_heading, table.columns)]
    lines = [[_titled(line), *map(_with_paper, line.cells)] for line in table.lines]
    text = grid(heading, lines, figures=range(1, len(heading)))
    return "\n".join([table.title, "", *text, "", *table.notes, table.credit]) + "\n"


def markdown_3(table: Table) -> str:
    """Table 3; the paper marks no best in it."""
    notes = [*(f"{note}." for note in table.notes), table.credit]
    return "\n".join([f"{table.title}.", "", *_markdown(table), "", *notes]) + "\n"


def latex_3(table: Table) -> str:
    """Table 3: the paper's figures small, in brackets beside ours."""
    over = [(text, len(list(some))) for text, some in itertools.groupby(column.over for column in table.columns)]
    lines = [f"% {table.title}. {table.credit}", *(f"% {note}." for note in table.notes)]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule"]
    lines.append(_tex_line(["", *(rf"\multicolumn{{{count}}}{{c}}{{{text}}}" for text, count in over)]))
    lines += [_tex_line(["Method", *map(_heading, table.columns)]), r"\midrule"]
    for line in table.lines:
        theirs = [rf" {{\scriptsize ({cell.paper})}}" if cell.paper else "" for cell in line.cells]
        figures = [_tex_figure(cell) + paper for cell, paper in zip(line.cells, theirs, strict=True)]
        lines.append(_tex_line([tex(_titled(line)), *figures]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def tex(text: str) -> str:
    """Text in which LaTeX finds nothing of its own."""
    return "".join(_TEX.get(character, character) for character in _flat(text))


def _tex_figure(cell: Cell) -> str:
    return _TEX_FIGURES.get(cell.text) or tex(cell.text)


def _tex_line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _markdown(table: Table, counts: bool = False) -> list[str]:
    headings = [_heading(column).replace(">", "&gt;") for column in table.columns]
    before, rule = (["Test set", "QF"], ["---", "---:"]) if table.named else ([], [])
    heads = [*before, "Method", *["Images"] * counts, *headings]
    lines = [_bars(heads), _bars([*rule, "---", *["---:"] * (counts + len(headings))])]
    for block in table.blocks:
        for line in block.lines:
            name = [_escaped(block.test_set), str(block.quality), _escaped(line.method)]
            name = name if table.named else [_escaped(_titled(line))]
            figures = (_with_paper(cell, bold=table.named) for cell in line.cells)
            lines.append(_bars([*name, *[line.images] * counts, *figures]))
    return lines


def _bars(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    text = _flat(text).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _rich(table: Table, styled: bool, counts: bool = False) -> "RichTable":
    from rich import box
    from rich.table import Table as RichTable

    rendered = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    rendered.add_column("Test set", overflow="fold", min_width=12 if counts else 8)
    rendered.add_column("QF", justify="right", no_wrap=True)
    if counts:
        rendered.add_column("Images", justify="right", no_wrap=True)
    rendered.add_column("Method", overflow="fold", min_width=8)
    for column in table.columns:
        heading = _heading(column)
        least = 14 if table.has_paper else max(len(heading), 6 * counts)
        rendered.add_column(heading, justify="right", no_wrap=True, min_width=least)
    for block in table.blocks:
        for line in block.lines:
            rendered.add_row(*_names(block, line, counts), *_figures(table.columns, block, line, styled))
        rendered.add_section()
    return rendered


def _names(block: Block, line: Line, counts: bool) -> list["Text"]:
    """What stands before a line's figures: the test set in its first line alone."""
    from rich.text import Text

    first = line is block.lines[0]
    names = [block.test_set, str(block.quality)] if first else ["", ""]
    if counts:
        names.append(line.images if first or line.images != block.lines[0].images else "")
    return [Text(_flat(name)) for name in (*names, line.method)]


def _figures(columns: Iterable[Column], block: Block, line: Line, styled: bool) -> list["Text"]:
    from rich.text import Text

    marked = not styled and any(cell.best for other in block.lines for cell in other.cells)
    cells = []
    for column, cell in zip(columns, line.cells, strict=True):
        text = Text().append(cell.text, "bold green" if styled and cell.best else None)
        if marked and column.contest:
            text.append("*" if cell.best else " ")
        if cell.paper:
            text.append(" ").append(f"({cell.paper})", "dim")
        cells.append(text)
    return cells


def _fits(console: "Console", table: Table, styled: bool, counts: bool = False) -> bool:
    from rich.measure import Measurement

    options = console.options.update(width=10_000)
    return Measurement.get(console, options, _rich(table, styled, counts)).minimum <= console.width


def _heading(column: Column) -> str:
    heading = column.heading if column.contest else f"{column.heading} 95 %"
    return f"{heading} ({column.colour})" if column.colour else heading


def _titled(line: Line) -> str:
    return f"{line.method} ({line.about})" if line.about else line.method


def _with_paper(cell: Cell, bold: bool = False) -> str:
    text = f"**{cell.text}**" if bold and cell.best else cell.text
    return f"{text} ({cell.paper})" if cell.paper else text


def _flat(text: str) -> str:
    return " ".join(text.split())
