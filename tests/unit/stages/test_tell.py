"""What went wrong with single images, told in one line a method."""

import logging

import pytest

from ced.stages import tell


def row(image: str, method: str, reason: str = "no file", message: str = "it is not there") -> dict[str, str]:
    return {"image_id": image, "method": method, "reason": reason, "message": message}


def test_each_method_that_failed_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    rows = [row("a", "mine"), row("a", "jpeg", "", ""), row("b", "other", "timeout", "after 3 s"), row("b", "mine")]
    with caplog.at_level(logging.WARNING, "ced"):
        tell.failures("evaluate", rows, "per_image.parquet")
    assert caplog.messages == [
        "evaluate: mine failed 2 times: a (no file: it is not there); b (no file: it is not there)",
        "evaluate: other failed 1 times: b (timeout: after 3 s)",
    ]


def test_without_failures_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    tell.failures("evaluate", [row("a", "jpeg", "", "")], "per_image.parquet")
    assert not caplog.messages


def test_only_the_first_are_told_and_long_messages_are_cut() -> None:
    rows = [row(f"image {number}", "mine", message="x" * 500) for number in range(5)]
    told = tell.first(rows, "image_id", "per_image.parquet")
    assert told.startswith(f"image 0 (no file: {'x' * 120}); image 1 ")
    assert told.endswith("; and 2 more in per_image.parquet") and "image 3" not in told
