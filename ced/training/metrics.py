"""metrics.jsonl: one line a report of a training, each step once however often the training was stopped."""

import json
from pathlib import Path
from typing import Any

from ced.store import files
from ced.training.job import METRICS


def append(folder: Path, report: dict[str, float]) -> None:
    """Add one report. Raises OutputError where it cannot be written."""
    files.append(folder / METRICS, json.dumps(report, allow_nan=False))


def read(folder: Path) -> list[dict[str, Any]]:
    """The reports so far, in the order of steps; a line that is being written does not count yet."""
    try:
        text = (folder / METRICS).read_text()
    except OSError:
        return []
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


def cut(folder: Path, step: int) -> None:
    """Drop what was reported after `step`, which is to be trained again, and a line that was cut short."""
    path = folder / METRICS
    if not path.exists():
        return
    lines = path.read_text(errors="replace").splitlines()
    kept = [line for line in lines if _step(line) <= step]
    files.write(path, "".join(line + "\n" for line in kept).encode())


def _step(line: str) -> float:
    """The step of a line; infinity where the line is no report."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
