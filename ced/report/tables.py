"""Tables 2 and 3 as values: made of rows once, and rendered by `ced.report.text` and `ced.report.section_table`."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ced.evaluation import metrics, paper
from ced.evaluation.metrics import Better, Metric, Row
from ced.report.groups import Group, colour_name, display_name, groups, images_of
from ced.vision import results as vision

FAILED = "†"
COLOURS = {"rgb": "RGB", "y": "Y"}  # of Table 3


@dataclass(frozen=True)
class Column:
    """A heading over figures, which stand to the right."""

    heading: str
    unit: str = ""
    colour: str = ""  # Table 3: of the images
    better: Better = "none"
    over: str = ""  # a heading that several columns share
    legend: str = ""  # one sentence
    contest: bool = True  # whether the best of it are marked; not so of intervals


@dataclass(frozen=True)
class Cell:
    """A figure as it is printed."""

    text: str
    best: bool = False
    paper: str = ""  # the paper's own figure; "" where it has none


@dataclass(frozen=True)
class Line:
    """The figures of a method; `about` says of which images ("27 of 29†"), or of which quality ("QF 10")."""

    method: str
    cells: tuple[Cell, ...]
    about: str = ""
    images: str = ""


@dataclass(frozen=True)
class Block:
    """Lines that can be compared, of one test set at one quality factor."""

    lines: tuple[Line, ...]
    dataset: str = ""
    quality: int = 0
    colour: str = ""  # as people read it: luminance, RGB
    images: str = ""  # "29 images"
    differs: bool = False  # whether a method failed on some images

    @property
    def test_set(self) -> str:
        """The name, with the colour where it is another than the paper's."""
        return self.dataset if self.colour == colour_name("y") else f"{self.dataset} ({self.colour})"


@dataclass(frozen=True)
class Table:
    """Blocks of lines under headings; one block that has no name is a table of methods alone."""

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    title: str = ""
    notes: tuple[str, ...] = ()  # of methods that failed
    credit: str = ""  # whose figures these are
    named: bool = True  # whether blocks have names

    @property
    def lines(self) -> Iterator[Line]:
        """Of all blocks."""
        return (line for block in self.blocks for line in block.lines)

    @property
    def has_paper(self) -> bool:
        """Whether a figure of the paper stands in it."""
        return any(cell.paper for line in self.lines for cell in line.cells)

    @property
    def has_best(self) -> bool:
        """Whether a figure is marked as the best."""
        return any(cell.best for line in self.lines for cell in line.cells)

    @property
    def differs(self) -> bool:
        """Whether a method failed on some images."""
        return any(block.differs for block in self.blocks)

    def without_paper(self) -> "Table":
        """The same without the paper's figures."""
        return self._with(self.columns, lambda cells: tuple(replace(cell, paper="") for cell in cells))

    def narrower(self) -> "Table":
        """The same without its last column."""
        return self._with(self.columns[:-1], lambda cells: cells[:-1])

    def beside(self, other: "Table") -> "Table":
        """The columns of another table of the same lines after those of this one."""
        others = iter([line.cells for line in other.lines])
        return self._with((*self.columns, *other.columns), lambda cells: (*cells, *next(others)))

    def _with(self, columns: tuple[Column, ...], change: Callable[[tuple[Cell, ...]], tuple[Cell, ...]]) -> "Table":
        blocks = tuple(
            replace(block, lines=tuple(replace(line, cells=change(line.cells)) for line in block.lines))
            for block in self.blocks
        )
        return replace(self, columns=columns, blocks=blocks)


def table_2(rows: Iterable[Row], columns: Sequence[Metric] | None = None) -> Table:
    """Of the metrics `columns`: those that the paper prints, where none are named."""
    wanted = [metric for metric in metrics.in_tables() if metric.paper] if columns is None else columns
    return _of_groups(rows, [_column(metric) for metric in wanted], lambda group, row: _figures(group, row, wanted))


def beyond_the_paper(rows: Iterable[Row]) -> Table:
    """What the paper does not print: the metrics that some row has a figure for."""
    rows = tuple(rows)
    others = [metric for metric in metrics.in_tables() if not metric.paper]
    return table_2(rows, [m for m in others if not all(math.isnan(row.value(m.name)) for row in rows)])


def intervals(rows: Iterable[Row], between: str, everything: bool = False) -> Table:
    """The confidence intervals of the metrics that have `interval` set, or of `everything` that has some."""
    rows = tuple(rows)
    ordered = sorted(metrics.in_tables(), key=lambda metric: not metric.paper)
    some = [m for m in ordered if (everything or m.interval) and any(m.name in row.intervals for row in rows)]

    def ends(metric: Metric, row: Row) -> Cell:
        pair = row.intervals.get(metric.name)
        return Cell(between.join(map(metric.text, pair)) if pair else "")

    columns = [replace(_column(metric), contest=False) for metric in some]
    return _of_groups(rows, columns, lambda _, row: tuple(ends(metric, row) for metric in some))


def other_works(rows: Iterable[Row]) -> Table:
    """The works that the paper compares itself with in its Table 2, on those of its test sets that are there."""
    columns = [metric for metric in metrics.in_tables() if metric.paper]
    blocks = []
    for group in groups(rows):
        # A method that failed somewhere is no measurement of the paper's test set.
        sets = (paper.test_set(row.dataset, row.images, row.failures) for row in group.rows if row.colour == "y")
        works = next(filter(None, (paper.other_works(name, group.quality) for name in sets)), ())
        lines = tuple(Line(work.method, tuple(Cell(m.text(work.figure(m.name))) for m in columns)) for work in works)
        blocks += [Block(lines, group.dataset, group.quality)] * bool(lines)
    return Table(tuple(map(_column, columns)), tuple(blocks))


def table_3(rows: Iterable[Row], models: vision.Models, where: str = "In brackets") -> Table:
    """The rows of one set of images by method and quality factor, JPEG's kind first and the original last, as in the
    paper; `where` the paper's figures stand."""
    rows = tuple(rows)
    colours = [colour for colour in COLOURS if any(row.colour == colour for row in rows)]
    columns = [(metric, colour) for metric in vision.metrics() for colour in colours]
    cells_of = {(row.quality, row.method, row.colour): (group, row) for group in groups(rows) for row in group.rows}
    lines = []
    order = dict.fromkeys((row.quality, row.method) for row in rows)
    for quality, method in sorted(order, key=lambda line: line[0] or 101):
        pairs = [(metric, cells_of.get((quality, method, colour))) for metric, colour in columns]
        cells = tuple(_figure(*pair, metric, FAILED) if pair else Cell("–") for metric, pair in pairs)
        lines.append(Line(display_name(method), cells, f"QF {quality}" if quality else ""))
    headings = tuple(replace(_column(metric), colour=COLOURS[colour]) for metric, colour in columns)
    table = Table(headings, (Block(tuple(lines)),) if lines else (), named=False)
    return replace(
        table,
        title=f"{rows[0].dataset}, {rows[0].images + rows[0].failures} images" if rows else "nothing",
        notes=tuple(_failed(row) for row in rows if row.failures),
        credit=models.note(where if table.has_paper else ""),
    )


def _of_groups(
    rows: Iterable[Row], columns: Sequence[Column], cells: Callable[[Group, Row], tuple[Cell, ...]]
) -> Table:
    blocks = []
    for group in groups(rows):
        lines = tuple(
            Line(display_name(row.method), cells(group, row), images_of(row) if row.failures else "", images_of(row))
            for row in group.rows
        )
        about = (group.dataset, group.quality, colour_name(group.colour), group.images, group.differs)
        blocks.append(Block(lines, *about))
    return Table(tuple(columns), tuple(blocks))


def _column(metric: Metric) -> Column:
    return Column(metric.heading, metric.unit, better=metric.better, over=metric.over, legend=metric.legend)


def _figures(group: Group, row: Row, columns: Sequence[Metric]) -> tuple[Cell, ...]:
    return tuple(_figure(group, row, metric) for metric in columns)


def _figure(group: Group, row: Row, metric: Metric, mark: str = "") -> Cell:
    theirs = metric.printed(row)
    text = metric.text(row.value(metric.name)) + mark * bool(row.failures)
    return Cell(text, group.is_best(row, metric), "" if theirs is None else metric.text(theirs))


def _failed(row: Row) -> str:
    everything = row.images + row.failures
    name = f"{display_name(row.method)} (QF {row.quality}), {COLOURS[row.colour]}"
    if not row.images:
        return f"{FAILED} {name}: failed on all of the {everything} images"
    return f"{FAILED} {name}: failed on {row.failures} of {everything} images, so its figures are of other images"
