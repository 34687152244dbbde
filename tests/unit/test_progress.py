"""Progress lines: how far, how fast, how long still."""

import logging
import time

import pytest

from ced.progress import Progress, clock


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_line_estimates_the_time_left() -> None:
    progress = Progress("prepare", 100, "photographs")
    progress.advance(5)
    assert progress.line(9.0) == "prepare: 5 of 100 photographs", "they had the start of the workers in them"
    progress.advance(20)
    assert progress.line(4.0) == "prepare: 25 of 100 photographs (5.0 a second, 0:15 left)"


def test_what_an_earlier_run_did_counts_as_done_but_not_as_speed() -> None:
    progress = Progress("prepare", 100, "photographs")
    progress.skip(50)
    progress.advance(5)
    progress.advance(20)
    assert progress.line(4.0) == "prepare: 75 of 100 photographs (5.0 a second, 0:05 left)"


def test_the_rate_is_of_the_time_since_the_first_were_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds until the workers are there, then ten a second."""
    now = iter([0.0, 10.0, 12.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    progress = Progress("prepare", 100, "photographs", every=1e9)
    progress.advance(10)
    progress.advance(20)
    assert progress.line(12.0 - progress.started) == "prepare: 30 of 100 photographs (10.0 a second, 0:07 left)"


def test_nothing_done_yet_has_no_estimate() -> None:
    assert Progress("label", 3, "parts").line(2.0) == "label: 0 of 3 parts"


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
