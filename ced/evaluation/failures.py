"""What went wrong with single images, in one line of the terminal."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger("ced")

_APART = {"quality": "QF {}", "colour": "{}"}
_TOLD, _LENGTH = 3, 120  # images that are told one by one, and characters of each reason


def failures(stage: str, rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Say which methods failed on which images, from the rows of `file`, and how to have them tried again."""
    failed = [row for row in rows if row["reason"]]
    for method in dict.fromkeys(row["method"] for row in failed):
        tried = [row for row in rows if row["method"] == method]
        several = [name for name in _APART if len({row[name] for row in tried}) > 1]
        ones = [row | {"where": _where(row, several)} for row in tried if row["reason"]]
        told = first(ones, "where", file.name)
        logger.warning("%s: %s failed %d of %d times: %s", stage, method, len(ones), len(tried), told)
    if failed:
        logger.warning("%s: the same command tries these again once %s is removed", stage, file.parent)


def _where(row: dict[str, Any], several: Sequence[str]) -> str:
    """An image, with its quality factor and colour where there are several."""
    return " ".join([row["image_id"], *(_APART[name].format(row[name]) for name in several)])


def first(rows: Sequence[dict[str, Any]], name: str, file: str) -> str:
    """The first few rows by the column `name`, with their reasons; `file` has the others."""
    told = "; ".join(f"{row[name]} ({row['reason']}: {row['message'][:_LENGTH]})" for row in rows[:_TOLD])
    return told + (f"; and {len(rows) - _TOLD} more in {file}" if len(rows) > _TOLD else "")
