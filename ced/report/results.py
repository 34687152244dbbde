"""results.json: the table as strict JSON, for programs."""

import json
import math
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from ced import strict_json
from ced.errors import FormatError
from ced.report.model import Row


@dataclass(frozen=True)
class Results:
    """A results.json that was read back. A figure that JSON cannot hold (inf, nan) comes back as nan."""

    versions: dict[str, Any]
    config: dict[str, Any]
    rows: tuple[Row, ...]


def results_json(rows: Iterable[Row], versions: dict[str, Any], config: dict[str, Any]) -> str:
    """`rows` with the versions and configuration that made them; floats in full, inf and nan as null."""
    whole = {"versions": versions, "config": config, "rows": [_plain(row) for row in rows]}
    return strict_json.text(whole)


def parse_results(text: str) -> Results:
    """What `results_json` wrote. Raises FormatError for anything else, naming what is wrong."""
    try:
        whole = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise FormatError(f"results.json: not JSON: {error}") from None
    if not isinstance(whole, dict) or set(whole) != {"versions", "config", "rows"}:
        raise FormatError(
            "results.json: expected exactly the keys versions, config and rows; make it with ced evaluate"
        )
    for key, kind in (("versions", dict), ("config", dict), ("rows", list)):
        if not isinstance(whole[key], kind):
            raise FormatError(f"results.json: {key} is not {'a list' if kind is list else 'an object'}")
    rows = tuple(_row(number, item) for number, item in enumerate(whole["rows"], start=1))
    return Results(whole["versions"], whole["config"], rows)


def _row(number: int, item: object) -> Row:
    names = {field.name for field in fields(Row)}
    needed = {field.name for field in fields(Row) if field.default is MISSING}  # what older versions wrote too
    if not isinstance(item, dict) or not needed <= set(item) <= names:
        raise FormatError(f"results.json: row {number} has not exactly the keys {', '.join(sorted(names))}")
    for field in (field for field in fields(Row) if field.name in item):
        value = item[field.name]
        if field.name == "intervals":
            item = {**item, field.name: _intervals(number, value)}
        elif field.type is float and value is None:
            item = {**item, field.name: math.nan}
        elif isinstance(value, bool) or not isinstance(value, _ACCEPTED[field.type]):
            raise FormatError(f"results.json: row {number}: {field.name} = {value!r} is not {_SAID[field.type]}")
    return Row(**item)


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "intervals": {field: [low, high] for field, low, high in row.intervals}}


def _intervals(number: int, value: object) -> tuple[tuple[str, float, float], ...]:
    if isinstance(value, dict):
        ends = [(name, *pair) for name, pair in value.items() if isinstance(pair, list) and len(pair) == 2]
        if len(ends) == len(value) and all(_is_number(end) for _, *pair in ends for end in pair):
            return tuple((name, *(math.nan if end is None else end for end in pair)) for name, *pair in ends)
    raise FormatError(f"results.json: row {number}: intervals is not an object of [low, high]")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


_ACCEPTED: dict[object, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}
_SAID: dict[object, str] = {str: "a text", int: "a whole number", float: "a number"}


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")
