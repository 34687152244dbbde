"""What a run tells: plain JSON values for Prefect, and the same as Markdown."""

import dataclasses
import json
from typing import Any

from ced.adapters.storage import Output
from ced.config import Config
from ced.report import table
from ced.report.model import Row
from ced.stages import prepare, publish, report

_INFINITE = float("inf")


def of(config: Config, made: publish.Made, published: Output) -> dict[str, Any]:
    """Counts, rows, and where the report and the registered model are."""
    rows = [dataclasses.asdict(row) for row in report.rows_of(made.evaluated)]
    model = json.loads((published.path / publish.FILE).read_text())
    return {
        "counts": made.prepared.manifest.counts,
        "quarantine": prepare.quarantined(made.prepared)[:20],
        "rows": [_finite(row) for row in rows],
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
    rows: list[dict[str, Any]] = [
        {key: _INFINITE if value is None else value for key, value in row.items()} for row in told["rows"]
    ]
    return tuple(Row(**row) for row in rows)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity (identical images): null stands for it."""
    return {key: None if value == _INFINITE else value for key, value in row.items()}
