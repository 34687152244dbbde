"""Tables 2 and 3: made of rows once, each a `Table`, and printed for the terminal, as Markdown and as LaTeX.

The page prints the same values by templates/tables.html. What a column is, how a figure is rounded and which of two is
better says its metric (`ced.evaluation.metrics`).
"""

import io
import itertools
import math
import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ced.evaluation import metrics, paper
from ced.evaluation.metrics import Metric, Row
from ced.networks import methods
from ced.report.model import FAILED, LEVEL, LUMINANCE, Block, Cell, Column, Line, Table, display_name
from ced.terminal import grid
from ced.vision import backends, results
from ced.vision.evaluate import Sources

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

COLOURS = {"rgb": "RGB", "y": "Y"}  # of Table 3
_COLOUR_NAMES = {"y": LUMINANCE, "rgb": "RGB"}  # of Table 2
_EVERYTHING = 250
_WIDEST = 100  # columns, where no width is given
_NARROWEST = 72  # below that a figure would be cut
_BEST = "* the best of its test set"
_PAPER = "in brackets: the paper's Table 2"
_DAGGER = f"{FAILED} failed on the others: a mean over other images"
_APART = (
    f"{LEVEL} not told apart from the best: 0 is in the 95 % interval of the difference, the same images drawn for both"
)
_LEVEL = "95 %: bootstrap over the images"
_BETWEEN = ".."  # the ends of an interval
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}",
    FAILED: r"\textdagger", LEVEL: r"$\approx$",
}  # fmt: skip
_TEX_FIGURES = {"∞": r"$\infty$", "−∞": r"$-\infty$"}


def table_2(rows: Iterable[Row], columns: Sequence[Column] | None = None, with_paper: bool = True) -> Table:
    """Rows by test set, quality factor and colour, in order of appearance; methods in the paper's order, others last.

    The columns are those that the paper prints, where none are named.
    """
    columns = printed() if columns is None else columns
    blocks = []
    for (dataset, quality, colour), rivals in _groups(rows).items():
        lines = []
        for row in rivals:
            images = f"{row.images} of {row.images + row.failures}{FAILED}" if row.failures else str(row.images)
            cells = tuple(_cell(column, row, rivals, with_paper) for column in columns)
            lines.append(Line(display_name(row.method), cells, images if row.failures else "", images))
        blocks.append(Block(tuple(lines), dataset, quality, _COLOUR_NAMES.get(colour, colour), _images(rivals)))
    return Table(tuple(columns), tuple(blocks))


def printed() -> list[Column]:
    """The columns of the paper's Table 2."""
    return [Column(metric) for metric in metrics.in_tables() if metric.paper]


def beyond_the_paper(rows: Sequence[Row]) -> list[Column]:
    """What the paper does not print: the metrics that some row has a figure for."""
    others = (metric for metric in metrics.in_tables() if not metric.paper)
    return [Column(m) for m in others if not all(math.isnan(row.value(m.name)) for row in rows)]


def intervals(rows: Sequence[Row], between: str, everything: bool = False) -> list[Column]:
    """The confidence intervals of the metrics that have `interval` set, or of `everything` that has some."""
    ordered = sorted(metrics.in_tables(), key=lambda metric: not metric.paper)
    some = (metric for metric in ordered if everything or metric.interval)
    return [Column(metric, between) for metric in some if any(metric.name in row.intervals for row in rows)]


def other_works(rows: Iterable[Row]) -> Table:
    """The works that the paper compares itself with in its Table 2, on those of its test sets that are there."""
    columns, blocks = printed(), []
    for (dataset, quality, colour), group in _groups(rows).items():
        # A method that failed somewhere is no measurement of the paper's test set.
        sets = (paper.test_set(dataset, row.images, row.failures) for row in group if colour == "y")
        works = next(filter(None, (paper.other_works(name, quality) for name in sets)), ())
        lines = []
        for work in works:
            cells = (Cell(column.metric.text(work.figure(column.metric.name))) for column in columns)
            lines.append(Line(work.method, tuple(cells)))
        if lines:
            blocks.append(Block(tuple(lines), dataset, quality))
    return Table(tuple(columns), tuple(blocks))


def table_3(rows: Sequence[Row], sources: Sources, where: str = "In brackets") -> Table:
    """The rows of one set of images by method and quality factor, JPEG's kind first and the original last, as in the
    paper; `where` the paper's figures stand."""
    colours = [colour for colour in COLOURS if any(row.colour == colour for row in rows)]
    columns = [(Column(metric, colour=COLOURS[colour]), colour) for metric in results.metrics() for colour in colours]
    measured = {
        (row.quality, row.method, row.colour): (row, rivals) for rivals in _groups(rows).values() for row in rivals
    }
    lines = []
    order = dict.fromkeys((row.quality, row.method) for row in rows)
    for quality, method in sorted(order, key=lambda line: line[0] or 101):
        pairs = [(column, measured.get((quality, method, colour))) for column, colour in columns]
        cells = tuple(_cell(column, *pair) if pair else Cell("–") for column, pair in pairs)
        lines.append(Line(display_name(method), cells, f"QF {quality}" if quality else ""))
    credit = f"Detector {backends.title(sources.detector)}, segmenter {backends.title(sources.segmenter)}."
    if any(cell.paper for line in lines for cell in line.cells):
        credit += (
            f" {where}: the paper's Table 3, whose models are Faster R-CNN and FCN-8s: compare the differences between "
            "methods, not the figures."
        )
    return Table(
        tuple(column for column, _ in columns),
        (Block(tuple(lines)),) if lines else (),
        title=f"{rows[0].dataset}, {rows[0].images + rows[0].failures} images" if rows else "nothing",
        notes=tuple(_failed(row) for row in rows if row.failures),
        credit=credit,
        named=False,
    )


def _groups(rows: Iterable[Row]) -> dict[tuple[str, int, str], list[Row]]:
    """The methods that can be compared: same test set, same quality factor, same colour."""
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.quality, row.colour), []).append(row)
    order = {method: number for number, method in enumerate(methods())}
    return {key: sorted(group, key=lambda row: order.get(row.method, len(order))) for key, group in groups.items()}


def _images(rows: Sequence[Row]) -> str:
    """How many images the means are over: "29 images", or "28–29 images" where the methods differ."""
    least, most = min(row.images for row in rows), max(row.images for row in rows)
    return f"{least}–{most} images" if least != most else f"{most} image{'' if most == 1 else 's'}"


def _cell(column: Column, row: Row, rivals: Sequence[Row], with_paper: bool = True) -> Cell:
    metric = column.metric
    if column.between:
        ends = row.intervals.get(metric.name)
        return Cell(column.between.join(map(metric.text, ends)) if ends else "")
    theirs = metric.printed(row) if with_paper else None
    mark = FAILED if column.colour and row.failures else ""  # Table 3 says nowhere else over how many images
    text = metric.text(row.value(metric.name)) + mark
    best, (low, high) = _is_best(row, rivals, metric), row.from_best.get(metric.name, (math.nan, math.nan))
    return Cell(text, best, "" if theirs is None else metric.text(theirs), not best and low <= 0 <= high)


def _is_best(row: Row, rivals: Sequence[Row], metric: Metric) -> bool:
    """Whether it prints a better figure than some other row, and no other a better one than it (ties: all of them).

    A row with failures is a mean over other images: it is neither the best nor in the others' way.
    """
    if row.failures:
        return False
    figure = metric.rounded(row.value(metric.name))
    others = [metric.rounded(rival.value(metric.name)) for rival in rivals if not rival.failures]
    beats_some = any(metric.beats(figure, other) for other in others)
    return beats_some and not any(metric.beats(other, figure) for other in others)


def _failed(row: Row) -> str:
    everything = row.images + row.failures
    name = f"{display_name(row.method)} (QF {row.quality}), {COLOURS[row.colour]}"
    if not row.images:
        return f"{FAILED} {name}: failed on all of the {everything} images"
    return f"{FAILED} {name}: failed on {row.failures} of {everything} images, so its figures are of other images"


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

    rows, stream = tuple(rows), io.StringIO()
    console = Console(
        file=stream,
        width=max(width or _WIDEST, _NARROWEST),
        force_terminal=styled,
        color_system="standard" if styled else None,
        legacy_windows=False,
        _environ={},  # the text depends on the arguments alone
    )
    first = table_2(rows)
    if not _fits(console, first, styled, counts=True):
        first = table_2(rows, with_paper=False)
    console.print(_rich(first, styled, counts=True))
    has_star = not styled and any(cell.best for cell in first.cells)
    others = beyond_the_paper(rows)
    has_level = first.has_level or table_2(rows, others).has_level
    notes = [_BEST] * has_star + [_PAPER] * first.has_paper + [_DAGGER] * first.differs + [_APART] * has_level
    if notes:
        console.print(" " + "; ".join(notes), style="dim", highlight=False)
    if others:
        columns = [*others, *intervals(rows, _BETWEEN)]
        while columns and not _fits(console, table_2(rows, columns), styled):
            columns.pop()
        console.print(_rich(table_2(rows, columns), styled))
        if any(column.between for column in columns):
            console.print(f" {_LEVEL}", style="dim", highlight=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def _fits(console: "Console", table: Table, styled: bool, counts: bool = False) -> bool:
    from rich.measure import Measurement

    options = console.options.update(width=10_000)
    return Measurement.get(console, options, _rich(table, styled, counts)).minimum <= console.width


def _rich(table: Table, styled: bool, counts: bool = False) -> "RichTable":
    """`counts`: with a column that says over how many images the figures are."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    rendered = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    rendered.add_column("Test set", overflow="fold", min_width=12 if counts else 8)
    rendered.add_column("QF", justify="right", no_wrap=True)
    if counts:
        rendered.add_column("Images", justify="right", no_wrap=True)
    rendered.add_column("Method", overflow="fold", min_width=8)
    for column in table.columns:
        least = 14 if table.has_paper else max(len(column.heading), 6 * counts)
        rendered.add_column(column.heading, justify="right", no_wrap=True, min_width=least)
    for block in table.blocks:
        marked = any(cell.level or (cell.best and not styled) for line in block.lines for cell in line.cells)
        for number, line in enumerate(block.lines):
            names = ["", ""] if number else [block.test_set, block.factor]  # in the first line alone
            if counts:
                names.append("" if number and line.images == block.lines[0].images else line.images)
            pairs = zip(table.columns, line.cells, strict=True)
            figures = [_rich_figure(cell, styled, marked and not column.between) for column, cell in pairs]
            rendered.add_row(*(Text(_flat(name)) for name in (*names, line.method)), *figures)
        rendered.add_section()
    return rendered


def _rich_figure(cell: Cell, styled: bool, marked: bool) -> "Text":
    from rich.text import Text

    text = Text().append(cell.text, "bold green" if styled and cell.best else None)
    if marked:
        text.append(LEVEL if cell.level else "*" if cell.best and not styled else " ")
    if cell.paper:
        text.append(" ").append(f"({cell.paper})", "dim")
    return text


def terminal_3(table: Table) -> str:
    """Table 3, aligned."""
    heading = ["Method", *(column.heading for column in table.columns)]
    lines = [[line.title, *map(_with_paper, line.cells)] for block in table.blocks for line in block.lines]
    text = grid(heading, lines, figures=range(1, len(heading)))
    return "\n".join([table.title, "", *text, "", *table.notes, table.credit]) + "\n"


def markdown(rows: Iterable[Row]) -> str:
    """Table 2, and what the paper does not print; the best figures bold, the paper's own figures in brackets."""
    rows = tuple(rows)
    first, others, ends = table_2(rows), beyond_the_paper(rows), intervals(rows, _BETWEEN)
    lines = _markdown(first, counts=first.differs)
    second = table_2(rows, [*others, *ends])
    notes = [f"Bold: the best of its test set; {_PAPER}."] * first.has_paper + [f"{_DAGGER}."] * first.differs
    notes += [f"{_APART}."] * (first.has_level or second.has_level)
    lines += ["", " ".join(notes)] * bool(notes)
    if others:
        lines += ["", *_markdown(second)]
    if ends:
        lines += ["", f"{_LEVEL}."]
    return "\n".join(lines) + "\n"


def markdown_3(table: Table) -> str:
    """Table 3; the paper marks no best in it."""
    notes = [*(f"{note}." for note in table.notes), table.credit]
    return "\n".join([f"{table.title}.", "", *_markdown(table), "", *notes]) + "\n"


def _markdown(table: Table, counts: bool = False) -> list[str]:
    headings = [column.heading.replace(">", "&gt;") for column in table.columns]
    before, rule = (["Test set", "QF"], ["---", "---:"]) if table.named else ([], [])
    table_lines = [
        [*before, "Method", *["Images"] * counts, *headings],
        [*rule, "---", *["---:"] * (counts + len(headings))],
    ]
    for block in table.blocks:
        for line in block.lines:
            name = [_escaped(block.test_set), block.factor, _escaped(line.method)]
            name = name if table.named else [_escaped(line.title)]
            figures = (_with_paper(cell, bold=table.named) for cell in line.cells)
            table_lines.append([*name, *[line.images] * counts, *figures])
    return [f"| {' | '.join(cells)} |" for cells in table_lines]


def _with_paper(cell: Cell, bold: bool = False) -> str:
    text = f"**{cell.text}**" if bold and cell.best else cell.text + LEVEL * cell.level
    return f"{text} ({cell.paper})" if cell.paper else text


def _escaped(text: str) -> str:
    text = _flat(text).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def latex(rows: Iterable[Row]) -> str:
    """Table 2: the best figures bold, the paper's own figures small beneath the method they belong to."""
    wanted = sorted((metric for metric in metrics.in_tables() if metric.in_latex), key=lambda metric: not metric.paper)
    table = table_2(rows, [Column(metric) for metric in wanted])
    columns = ["QF", "Method", *(column.heading.replace(">", "$>$") for column in table.columns)]
    lines = [rf"\begin{{tabular}}{{ll{'r' * len(table.columns)}}}", r"\toprule", _tex_line(columns)]
    for block in table.blocks:
        about = tex(f"{block.dataset}, {block.colour}, {block.images}")
        lines += [r"\midrule", rf"\multicolumn{{{len(columns)}}}{{l}}{{{about}}} \\"]
        for line in block.lines:
            figures = [rf"\textbf{{{_tex_figure(cell)}}}" if cell.best else _tex_figure(cell) for cell in line.cells]
            lines.append(_tex_line([block.factor, tex(line.title), *figures]))
            theirs = [rf"{{\small ({cell.paper})}}" if cell.paper else "" for cell in line.cells]
            lines += [_tex_line(["", r"{\small the paper}", *theirs])] * any(theirs)
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.has_level:
        lines.append(f"% {tex(_APART)}.")
    if table.differs:
        lines.append(r"% \textdagger: the method failed on the other images; its means are not comparable.")
    return "\n".join(lines) + "\n"


def latex_3(table: Table) -> str:
    """Table 3: the paper's figures small, in brackets beside ours."""
    over = [(text, len(list(some))) for text, some in itertools.groupby(c.metric.over for c in table.columns)]
    lines = [f"% {table.title}. {table.credit}", *(f"% {note}." for note in table.notes)]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule"]
    lines.append(_tex_line(["", *(rf"\multicolumn{{{count}}}{{c}}{{{text}}}" for text, count in over)]))
    lines += [_tex_line(["Method", *(column.heading for column in table.columns)]), r"\midrule"]
    for line in (line for block in table.blocks for line in block.lines):
        theirs = [rf" {{\scriptsize ({cell.paper})}}" if cell.paper else "" for cell in line.cells]
        figures = [_tex_figure(cell) + paper for cell, paper in zip(line.cells, theirs, strict=True)]
        lines.append(_tex_line([tex(line.title), *figures]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def tex(text: str) -> str:
    """Text in which LaTeX finds nothing of its own."""
    return "".join(_TEX.get(character, character) for character in _flat(text))


def _tex_figure(cell: Cell) -> str:
    return (_TEX_FIGURES.get(cell.text) or tex(cell.text)) + tex(LEVEL * cell.level)


def _tex_line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _flat(text: str) -> str:
    return " ".join(text.split())
