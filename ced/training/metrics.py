"""metrics.jsonl: one line a report, each step once however often the training was stopped."""

import json
from pathlib import Path

from ced.store import files

NAME = "metrics.jsonl"


def append(folder: Path, metrics: dict[str, float]) -> None:
    """Add one report. Raises OutputError where it cannot be written."""
    files.append(folder / NAME, json.dumps(metrics, allow_nan=False))


def cut(folder: Path, step: int) -> None:
    """Drop what was reported after `step`, which is to be trained again, and a line that was cut short."""
    path = folder / NAME
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
