"""results.json and table.csv: the rows of a table for programs, figures in full."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ced import strict_json
from ced.evaluation import metrics
from ced.evaluation.metrics import Metric, Row
from ced.vision import results as vision

_NAMES = ("dataset", "quality", "colour", "method", "images", "failures")
# The order of keys since 0.1.0; what is added later follows.
_TABLE_2 = (
    *("dataset", "quality", "colour", "method", "images", "psnr", "psnr_b", "ssim", "bef_mse_bound"),
    *("failures", "bef_mse", "ssim_gaussian", "w1", "energy", "lpips", "seconds_per_megapixel"),
)
_TABLE_3 = ("dataset", "colour", "quality", "method", "images", "map", "map_area", "miou")
_SHEET_3 = ("dataset", "colour", "quality", "method", "images", "failures", "map", "map_area", "miou")


def results_json(rows: Iterable[Row], versions: dict[str, Any], config: dict[str, Any]) -> str:
    """Rows of Table 2 with the versions and configuration that made them; floats in full, inf and nan as null."""
    return _json(map(plain_row, rows), versions, config)


def vision_json(rows: Iterable[Row], versions: dict[str, Any], config: dict[str, Any]) -> str:
    """The same of Table 3, with the figures of each class; null where a class is not there to be found."""
    columns = vision.metrics()
    return _json(
        (_figures(row, _TABLE_3, columns) | dict(row.classes) | {"failures": row.failures} for row in rows),
        versions,
        config,
    )


def plain_row(row: Row) -> dict[str, Any]:
    """A row of Table 2 as one flat object; nan where a metric was not measured."""
    ends = {"intervals": row.intervals, "from_best": row.from_best}
    pairs = {key: {name: list(pair) for name, pair in found.items()} for key, found in ends.items()}
    return _figures(row, _TABLE_2, metrics.in_tables()) | pairs


def row_from(plain: Mapping[str, Any]) -> Row:
    """The row that `plain_row` made an object of."""
    values = dict(plain)
    own = {name: values.pop(name) for name in _NAMES if name in values}
    ends, apart = (
        {name: (low, high) for name, (low, high) in values.pop(key, {}).items()} for key in ("intervals", "from_best")
    )
    return Row(**own, values=values, intervals=ends, from_best=apart)


def sheet(rows: Iterable[Row]) -> str:
    """Table 2 as CSV: intervals and the paper's figures after each row's own; `inf` where a figure is infinite."""
    return _sheet(tuple(rows), _TABLE_2, metrics.in_tables())


def vision_sheet(rows: Iterable[Row]) -> str:
    """Table 3 as CSV, with the paper's figures."""
    return _sheet(tuple(rows), _SHEET_3, vision.metrics())


def _figures(row: Row, keys: Sequence[str], columns: Sequence[Metric]) -> dict[str, Any]:
    """The row's own fields and figures in the order of `keys`, then what metrics were added."""
    fields = {name: getattr(row, name) for name in _NAMES} | {m.name: row.value(m.name) for m in columns}
    return {name: fields[name] for name in dict.fromkeys((*keys, *(metric.name for metric in columns)))}


def _sheet(rows: tuple[Row, ...], keys: Sequence[str], columns: Sequence[Metric]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    named = dict.fromkeys(name for row in rows for name in row.intervals)
    printed = [metric for metric in columns if metric.paper]
    names = list(dict.fromkeys((*keys, *(metric.name for metric in columns))))
    ends = [f"{name}_{end}" for name in named for end in ("low", "high")]
    writer.writerow([*names, *ends, *(f"paper_{metric.name}" for metric in printed)])
    for row in rows:
        cells = list(_figures(row, keys, columns).values())
        cells += [end for name in named for end in row.intervals.get(name, ("", ""))]
        writer.writerow(["" if _is_missing(cell) else cell for cell in [*cells, *(m.printed(row) for m in printed)]])
    return stream.getvalue()


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _json(rows: Iterable[dict[str, Any]], versions: dict[str, Any], config: dict[str, Any]) -> str:
    whole = {"versions": versions, "config": config, "rows": list(rows)}
    return strict_json.text(whole)
