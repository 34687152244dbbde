"""What a run tells: plain JSON values for Prefect, and the same as Markdown."""

import json
from typing import Any

from ced.config import Config
from ced.data import edges, prepare
from ced.evaluation.evaluate import rows_of
from ced.evaluation.metrics import Row
from ced.pipeline import publish
from ced.report import stage, tables
from ced.report.results import plain_row, row_from
from ced.store.outputs import Output
from ced.strict_json import finite


def of(config: Config, made: publish.PipelineOutputs, published: Output) -> dict[str, Any]:
    """Counts, rows, and where the report and the registered model are."""
    model = json.loads((published.path / publish.FILE).read_text())
    return {
        "counts": made.prepared.manifest.counts,
        "quarantine": prepare.quarantined(made.prepared)[: prepare.NAMED],
        "rows": finite([plain_row(row) for row in rows_of(made.evaluated)], str),
        "report": str(made.reported.path / stage.PAGE),
        "results": str(made.reported.path / stage.RESULTS),
        "model": {"name": config.publish.model, "alias": config.publish.alias, **model},
    }


def data(prepared: Output, classes: Output) -> str:
    """What became of the photographs, and how equal the classes are, as a page: told before anything is trained."""
    counts = prepared.manifest.counts
    set_aside = f"{counts['quarantined']:,} set aside"
    if reasons := prepare.reasons(counts):
        set_aside += f" ({reasons})"
    counted = edges.load(classes).counts
    shares = counted / counted.sum(axis=1, keepdims=True)
    balance = f"each has {shares.min():.3%} to {shares.max():.3%} of a channel, where equal counts are"
    lines = [
        f"{counts['photographs']:,} photographs = {counts['prepared']:,} prepared + {set_aside}; "
        f"{counts['examples']:,} examples in `{prepared.path}`.",
        "",
        f"{shares.shape[1]} classes: {balance} {1 / shares.shape[1]:.3%} (ties go to one class).",
        "",
    ]
    rows = prepare.quarantined(prepared)
    lines += map(_set_aside, rows[: prepare.NAMED])
    if len(rows) > prepare.NAMED:
        lines.append(f"- and {len(rows) - prepare.NAMED:,} more in `{prepared.path / prepare.QUARANTINE}`")
    return "\n".join(lines)


def markdown(told: dict[str, Any]) -> str:
    """A run's outcome as a page: the table, the counts, what was set aside."""
    counts = ", ".join(f"{n:,} {name}" for name, n in told["counts"].items())
    lines = [tables.markdown(rows_from(told)), "", f"Photographs: {counts}.", ""]
    lines += map(_set_aside, told["quarantine"])
    return "\n".join(lines)


def rows_from(told: dict[str, Any]) -> tuple[Row, ...]:
    """The rows of the table again."""
    return tuple(row_from(_figures(row)) for row in told["rows"])


def _set_aside(row: dict[str, str]) -> str:
    name = row["source"].replace("\n", "\\n").replace("`", "'")  # one line, and one piece of code
    return f"- set aside: `{name}` ({row['reason']}: {row['message']})"


def _figures(value: Any) -> Any:
    """`finite` undone: in a row the texts below stand for figures alone, but for what a method may be called."""
    if isinstance(value, dict):
        return {key: item if key in ("dataset", "method") else _figures(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_figures(item) for item in value]
    return float(value) if value in ("inf", "-inf", "nan") else value
