"""Progress lines: how far, how fast, how long still."""

import logging

import pytest

from ced.stages.progress import Progress, clock


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_line_estimates_the_time_left() -> None:
    progress = Progress("prepare", 100, "photographs")
    progress.advance(25)
    assert progress.line(5.0) == "prepare: 25 of 100 photographs (5.0 a second, 0:15 left)"


def test_what_an_earlier_run_did_counts_as_done_but_not_as_speed() -> None:
    progress = Progress("prepare", 100, "photographs")
    progress.skip(50)
    progress.advance(25)
    assert progress.line(5.0) == "prepare: 75 of 100 photographs (5.0 a second, 0:05 left)"


def test_nothing_done_yet_has_no_estimate() -> None:
    assert Progress("label", 3, "parts").line(2.0) == "label: 0 of 3 parts (0.0 a second)"


def test_lines_are_said_now_and_then_and_not_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ced"):
        progress = Progress("label", 3, "parts", every=0.0)
        for _ in range(3):
            progress.advance()
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "label: 1 of 3 parts",
        "label: 2 of 3 parts",
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="ced"):
        Progress("label", 3, "parts", every=60.0).advance()
    assert not caplog.records
