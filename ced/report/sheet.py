"""Table 2 as CSV, for spreadsheets: one line a row, figures in full, intervals and the paper's figures beside them."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import fields

from ced.report import paper
from ced.report.model import Row

_FIELDS = tuple(field.name for field in fields(Row) if field.name != "intervals")
_PAPER = ("bef_mse_bound", "psnr", "psnr_b", "ssim")


def sheet(rows: Iterable[Row]) -> str:
    """The rows as CSV with a heading; an empty cell where there is no figure, `inf` where it is infinite."""
    rows = tuple(rows)
    ends = tuple(dict.fromkeys(name for row in rows for name, _, _ in row.intervals))
    heading = [
        *_FIELDS,
        *(f"{name}_{end}" for name in ends for end in ("low", "high")),
        *(f"paper_{n}" for n in _PAPER),
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heading)
    for row in rows:
        line = paper.printed(row)
        cells: list[object] = [getattr(row, name) for name in _FIELDS]
        cells += [end for name in ends for end in row.interval(name) or ("", "")]
        cells += [getattr(line, name) if line else "" for name in _PAPER]
        writer.writerow([_cell(cell) for cell in cells])
    return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return value
