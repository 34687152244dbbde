"""Table 3, detection and segmentation, as the paper lays it out: for people, for LaTeX, and for programs."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from ced.report.groups import display_name
from ced.report.model import Models, VisionRow
from ced.report.plain import grid

Colour = Literal["rgb", "y"]
Measure = Literal["map", "map_area", "miou"]


# mAP (RGB), mAP (Y), mIoU (RGB), mIoU (Y) on the images of VOC 2007 labelled for both; JPEG at quality factor 10.
PAPER: dict[str, tuple[float | None, float, float | None, float]] = {
    "jpeg": (0.359, 0.292, 0.414, 0.311),
    "SA-DCT": (0.485, 0.426, 0.456, 0.363),
    "arcnn": (None, 0.429, None, 0.375),
    "galteri-mse": (0.519, 0.438, 0.462, 0.378),
    "ed": (0.525, 0.437, 0.471, 0.380),
    "ced-est": (0.526, 0.440, 0.474, 0.384),
    "ced-gt": (0.550, 0.440, 0.475, 0.389),
    "original": (0.705, 0.637, 0.631, 0.556),
}
PAPER_QUALITY = 10
# Images: VOC 2007 labels 209 of train for both, 213 of val, 210 of test; the paper does not say which it took.
LEAST = 209
COLOURS = {"rgb": "RGB", "y": "Y"}
HEADINGS = {"map": "mAP", "map_area": "mAP area", "miou": "mIoU"}
_DIGITS = 3
FAILED = "†"
_WHERE = "In brackets"


def printed(measure: str, row: VisionRow) -> float | None:
    """The paper's figure for the same; None where it has none, or ours is of a few images or of some that are left."""
    line = PAPER.get(row.method)
    if line is None or measure == "map_area" or row.failures or row.images < LEAST:
        return None
    if row.quality != PAPER_QUALITY and row.method != "original":
        return None
    return line[2 * (measure == "miou") + (row.colour == "y")]


def terminal(rows: Iterable[VisionRow], models: Models) -> str:
    """The table as aligned text."""
    table = Table(tuple(rows))
    heading = ["Method", *(f"{HEADINGS[m]} ({COLOURS[c]})" for m, c in table.columns)]
    lines = [[_named(line), *(table.cell(line, column, "{}", "{} ({})") for column in table.columns)] for line in table]
    text = grid(heading, lines, figures=range(1, len(heading)))
    return "\n".join([table.title, "", *text, "", *table.notes, table.note(models, _WHERE)]) + "\n"


def markdown(rows: Iterable[VisionRow], models: Models) -> str:
    """The table in GitHub's Markdown."""
    table = Table(tuple(rows))
    heading = [f"{HEADINGS[m]} ({COLOURS[c]})" for m, c in table.columns]
    lines = ["| Method | " + " | ".join(heading) + " |", "| --- |" + " ---: |" * len(heading)]
    for line in table:
        cells = [table.cell(line, column, "{}", "{} ({})") for column in table.columns]
        lines.append(f"| {_named(line).replace('|', chr(92) + '|')} | {' | '.join(cells)} |")
    return (
        "\n".join(
            [f"{table.title}.", "", *lines, "", *(f"{note}." for note in table.notes), table.note(models, _WHERE)]
        )
        + "\n"
    )


def latex(rows: Iterable[VisionRow], models: Models) -> str:
    """The table for LaTeX with booktabs; the paper's figures small, in brackets."""
    table = Table(tuple(rows))
    counts = [sum(m.startswith(prefix) for m, _ in table.columns) for prefix in ("map", "miou")]
    groups = rf" & \multicolumn{{{counts[0]}}}{{c}}{{Detection}} & \multicolumn{{{counts[1]}}}{{c}}{{Segmentation}} \\"
    heading = "".join(f" & {HEADINGS[m]} ({COLOURS[c]})" for m, c in table.columns)
    lines = [f"% {table.title}. {table.note(models, _WHERE)}", *(f"% {note}." for note in table.notes)]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule"]
    lines += [groups, rf"Method{heading} \\", r"\midrule"]
    for line in table:
        cells = [table.cell(line, column, "{}", r"{} {{\scriptsize ({})}}") for column in table.columns]
        cells = [cell.replace(FAILED, r"\textdagger").replace("–", "--") for cell in cells]
        lines.append(rf"{_tex(_named(line))} & {' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comma_separated(rows: Iterable[VisionRow]) -> str:
    """One line for each row, in full precision, with the paper's figures."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = ("dataset", "colour", "quality", "method", "images", "failures", "map", "map_area", "miou")
    writer.writerow((*names, "paper_map", "paper_miou"))
    for row in rows:
        cells = [getattr(row, name) for name in names] + [printed(measure, row) for measure in ("map", "miou")]
        writer.writerow("" if _missing(cell) else cell for cell in cells)
    return stream.getvalue()


Line = tuple[int, str]  # quality factor, method
Column = tuple[Measure, str]  # measure, colour


class Table:
    """The rows of one set of images by method and quality factor, JPEG's kind first and the original last, as in the
    paper."""

    def __init__(self, rows: Sequence[VisionRow]):
        self._rows = {(row.quality, row.method, row.colour): row for row in rows}
        colours = [colour for colour in COLOURS if any(row.colour == colour for row in rows)]
        measures: tuple[Measure, ...] = ("map", "map_area", "miou")
        self.columns: list[Column] = [(measure, colour) for measure in measures for colour in colours]
        lines = dict.fromkeys((row.quality, row.method) for row in rows)
        self._lines: list[Line] = sorted(lines, key=lambda line: line[0] or 101)
        self.title = f"{rows[0].dataset}, {rows[0].images + rows[0].failures} images" if rows else "nothing"
        failed = [row for row in rows if row.failures]
        self.notes = [
            f"{FAILED} {_named((row.quality, row.method))}, {COLOURS[row.colour]}: failed on {_so_many(row)}"
            for row in failed
        ]

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def cell(self, line: Line, column: Column, alone: str, with_paper: str) -> str:
        """A figure, with the paper's where there is one."""
        text, theirs = self.figure(line, column), self.paper(line, column)
        return with_paper.format(text, theirs) if theirs else alone.format(text)

    def figure(self, line: Line, column: Column) -> str:
        """Our figure, "–" where there is none, marked where the method failed on some images."""
        row = self._rows.get((*line, column[1]))
        return "–" if row is None else _text(getattr(row, column[0])) + FAILED * bool(row.failures)

    def paper(self, line: Line, column: Column) -> str:
        """The paper's figure; "" where it has none, or we have no row to set it beside."""
        row = self._rows.get((*line, column[1]))
        found = printed(column[0], row) if row else None
        return "" if found is None else _text(found)

    def note(self, models: Models, where: str) -> str:
        """Who looked, and what stands `where`, if anything does."""
        with_paper = any(self.paper(line, column) for line in self for column in self.columns)
        return models.note(where if with_paper else "")

    def is_best(self, line: Line, column: Column) -> bool:
        """Whether no other restoration of JPEGs of this quality has a better figure, and one has a worse."""
        if not line[0]:
            return False
        rivals = {one: self._rows.get((*one, column[1])) for one in self._lines if one[0] == line[0]}
        whole = {one: row for one, row in rivals.items() if row is not None and not row.failures}
        texts = {one: _text(getattr(row, column[0])) for one, row in whole.items()}
        figures = {one: text for one, text in texts.items() if text != "–"}
        return line in figures and figures[line] == max(figures.values()) != min(figures.values())


def _named(line: Line) -> str:
    quality, method = line
    return f"{display_name(method)} (QF {quality})" if quality else display_name(method)


def _so_many(row: VisionRow) -> str:
    everything = row.images + row.failures
    if not row.images:
        return f"all of the {everything} images"
    return f"{row.failures} of {everything} images, so its figures are of other images"


def _missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.{_DIGITS}f}"


def _tex(text: str) -> str:
    return "".join(f"\\{character}" if character in "&%$#_{}" else character for character in text)
