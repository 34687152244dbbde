"""What went wrong with single images, told in one line a method."""

import logging
from pathlib import Path

import pyarrow as pa
import pytest

from ced.evaluation import runner
from ced.store.outputs import write_table


def row(image: str, method: str, reason: str = "no file", message: str = "it is not there", **others: object) -> dict:
    facts = {"image_id": image, "method": method, "reason": reason, "message": message}
    return {"quality": 10, "colour": "y", **facts, **others}


def told(rows: list[dict], caplog: pytest.LogCaptureFixture, folder: Path) -> list[str]:
    write_table(folder / runner.FILE, pa.Table.from_pylist(rows))
    with caplog.at_level(logging.WARNING, "ced"):
        runner.tell_failures("evaluate", folder / runner.FILE)
    return caplog.messages


def test_each_method_that_failed_is_a_line_and_the_cure_one_more(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    rows = [row("a", "mine"), row("a", "jpeg", "", ""), row("b", "other", "timeout", "after 3 s"), row("b", "mine")]
    assert told([*rows, row("a", "other", "", "")], caplog, tmp_path) == [
        "evaluate: mine failed 2 of 2 times: a (no file: it is not there); b (no file: it is not there)",
        "evaluate: other failed 1 of 2 times: b (timeout: after 3 s)",
        f"evaluate: the same command tries these again once {tmp_path} is removed",
    ]


def test_qualities_and_colours_are_told_apart_where_there_are_several(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    rows = [row("a", "original", "", "", quality=0), row("a", "mine", quality=20), row("a", "mine", "", "")]
    rows += [row("a", "yours", colour=colour, quality=quality) for colour in ("rgb", "y") for quality in (10, 20)]
    mine, yours, _ = told(rows, caplog, tmp_path)
    assert mine == "evaluate: mine failed 1 of 2 times: a QF 20 (no file: it is not there)"
    assert "4 of 4 times: a QF 10 rgb (no file" in yours and "; a QF 10 y (no file" in yours


def test_without_failures_nothing_is_said(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    assert told([row("a", "jpeg", "", "")], caplog, tmp_path) == []


def test_only_the_first_are_told_and_long_messages_are_cut() -> None:
    rows = [row(f"image {number}", "mine", message="x" * 500) for number in range(5)]
    line = runner.first_few(rows, "image_id", "per_image.parquet")
    assert line.startswith(f"image 0 (no file: {'x' * 120}); image 1 ")
    assert line.endswith("; and 2 more in per_image.parquet") and "image 3" not in line
