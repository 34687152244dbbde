"""metrics.jsonl: one line a report of a training, each step once however often the training was stopped."""

import json
import math
from pathlib import Path
from typing import Any

from ced.store import files
from ced.training.job import METRICS


def append(folder: Path, report: dict[str, float]) -> None:
    """Add one report. Raises OutputError where it cannot be written."""
    files.append(folder / METRICS, json.dumps(report, allow_nan=False))


def read(folder: Path) -> list[dict[str, Any]]:
    """The reports so far, in the order of steps; a line that is being written, or was cut short, does not count."""
    try:
        text = (folder / METRICS).read_text(errors="replace")
    except OSError:
        return []
    parsed = map(_parsed, text.rpartition("\n")[0].splitlines())
    return [report for report in parsed if report is not None]


def cut(folder: Path, step: int) -> None:
    """Drop what was reported after `step`, which is to be trained again, and a line that was cut short."""
    path = folder / METRICS
    if not path.exists():
        return
    lines = path.read_text(errors="replace").splitlines()
    kept = [line for line in lines if (report := _parsed(line)) is not None and report["step"] <= step]
    files.write(path, "".join(line + "\n" for line in kept).encode())


def _parsed(line: str) -> dict[str, Any] | None:
    """The report of a line, None where it is none."""
    try:
        report: dict[str, Any] = json.loads(line)
        return report if math.isfinite(report["step"]) else None
    except (ValueError, KeyError, TypeError):
        return None
