"""results.json and table.csv: the rows of a table for programs, figures in full."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ced import strict_json
from ced.errors import FormatError
from ced.evaluation import metrics
from ced.evaluation.metrics import Metric, Row
from ced.vision import results as vision

_NAMES = ("dataset", "quality", "colour", "method", "images", "failures")
# The order of keys since 0.1.0; what is added later follows. Older versions wrote no more than the first nine.
_TABLE_2 = (
    *("dataset", "quality", "colour", "method", "images", "psnr", "psnr_b", "ssim", "bef_mse_bound"),
    *("failures", "bef_mse", "ssim_gaussian", "w1", "energy", "lpips", "seconds_per_megapixel"),
)
_NEEDED = _TABLE_2[:9]
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
    return _figures(row, _TABLE_2, metrics.in_tables()) | {
        "intervals": {k: list(ends) for k, ends in row.intervals.items()}
    }


def sheet(rows: Iterable[Row]) -> str:
    """Table 2 as CSV: intervals and the paper's figures after each row's own; `inf` where a figure is infinite."""
    return _sheet(tuple(rows), _TABLE_2, metrics.in_tables())


def vision_sheet(rows: Iterable[Row]) -> str:
    """Table 3 as CSV, with the paper's figures."""
    return _sheet(tuple(rows), _SHEET_3, vision.metrics())


def parse_row(number: int, item: object) -> Row:
    """What `plain_row` made, the `number`-th of its kind. Raises FormatError."""
    names = {*_TABLE_2, *(metric.name for metric in metrics.in_tables()), "intervals"}
    if not isinstance(item, dict) or not set(_NEEDED) <= set(item) <= names:
        raise FormatError(f"results.json: row {number} has not exactly the keys {', '.join(sorted(names))}")
    values: dict[str, Any] = {}
    for name in (name for name in item if name != "intervals"):
        value = math.nan if item[name] is None and name not in _NAMES else item[name]
        kind, said = _KINDS.get(name, ((int, float), "a number"))
        if isinstance(value, bool) or not isinstance(value, kind):
            raise FormatError(f"results.json: row {number}: {name} = {value!r} is not {said}")
        values[name] = value
    key = {name: values.pop(name) for name in _NAMES if name in values}
    return Row(**key, values=values, intervals=_intervals(number, item.get("intervals", {})))


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("dataset", "colour", "method"), (str, "a text")),
    **dict.fromkeys(("quality", "images", "failures"), (int, "a whole number")),
}


def _intervals(number: int, stored: object) -> dict[str, tuple[float, float]]:
    if isinstance(stored, dict):
        pairs = {name: pair for name, pair in stored.items() if isinstance(pair, list) and len(pair) == 2}
        if len(pairs) == len(stored) and all(_is_number(end) for pair in pairs.values() for end in pair):
            ends = {name: [math.nan if end is None else end for end in pair] for name, pair in pairs.items()}
            return {name: (low, high) for name, (low, high) in ends.items()}
    raise FormatError(f"results.json: row {number}: intervals is not an object of [low, high]")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


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
