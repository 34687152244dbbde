"""What a run tells: plain JSON values for Prefect, and the same as Markdown."""

import dataclasses
import json
import math
from typing import Any

from ced.adapters.storage import Output
from ced.config import Config
from ced.report import table
from ced.report.model import Row
from ced.stages import prepare, publish, report


def of(config: Config, made: publish.Made, published: Output) -> dict[str, Any]:
    """Counts, rows, and where the report and the registered model are."""
    rows = [dataclasses.asdict(row) for row in report.rows_of(made.evaluated)]
    model = json.loads((published.path / publish.FILE).read_text())
    return {
        "counts": made.prepared.manifest.counts,
        "quarantine": prepare.quarantined(made.prepared)[:20],
        "rows": [_plain(row) for row in rows],
        "report": str(made.reported.path / report.PAGE),
        "results": str(made.reported.path / report.RESULTS),
        "model": {"name": config.publish.model, "alias": config.publish.alias, **model},
    }


def markdown(told: dict[str, Any]) -> str:
    """A run's outcome as a page: the table, the counts, what was set aside."""
    counts = ", ".join(f"{n:,} {name}" for name, n in told["counts"].items())
    lines = [table.markdown(rows_from(told)), "", f"Photographs: {counts}.", ""]
    lines += [f"- set aside: `{row['source']}` ({row['reason']}: {row['message']})" for row in told["quarantine"]]
    return "\n".join(lines)


def rows_from(told: dict[str, Any]) -> tuple[Row, ...]:
    """The rows of the table again."""
    return tuple(_row(row) for row in told["rows"])


def _plain(value: Any) -> Any:
    """JSON has neither infinity (identical images) nor nan (no figure): texts stand for them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _row(stored: dict[str, Any]) -> Row:
    texts = {"inf", "-inf", "nan"}
    values: dict[str, Any] = {
        key: float(value) if isinstance(value, str) and value in texts else value for key, value in stored.items()
    }
    ends = stored.get("intervals", ())
    return Row(**values | {"intervals": tuple((name, float(low), float(high)) for name, low, high in ends)})
