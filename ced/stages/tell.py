"""What went wrong with single images, in one line of the terminal."""

import logging
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger("ced")

_TOLD, _LENGTH = 3, 120  # images that are told one by one, and characters of each reason


def failures(stage: str, rows: Sequence[dict[str, Any]], file: str) -> None:
    """Say which methods failed on which images, from rows with image_id, method, reason and message."""
    failed = [row for row in rows if row["reason"]]
    for method in dict.fromkeys(row["method"] for row in failed):
        ones = [row for row in failed if row["method"] == method]
        logger.warning("%s: %s failed %d times: %s", stage, method, len(ones), first(ones, "image_id", file))


def first(rows: Sequence[dict[str, Any]], name: str, file: str) -> str:
    """The first few rows by the column `name`, with their reasons; `file` has the others."""
    told = "; ".join(f"{row[name]} ({row['reason']}: {row['message'][:_LENGTH]})" for row in rows[:_TOLD])
    return told + (f"; and {len(rows) - _TOLD} more in {file}" if len(rows) > _TOLD else "")
