"""SIGTERM and Ctrl-C while a run starts; at random moments, and that it goes on: tests/faults/signals.py."""

import random
import signal
import tempfile
from pathlib import Path

import pytest

from tests.faults.signals import RIGHT, SECONDS, Moment, send

MOMENTS = (
    Moment(1.0, signal.SIGTERM, "group"),
    Moment(6.0, signal.SIGTERM, "command", again=0.5),
    Moment(10.0, signal.SIGINT, "group", again=0.2),
    Moment(18.0, signal.SIGTERM, "group", again=1.0),
)


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_run_leaves_within_seconds_with_one_line_and_nothing_behind(moment: Moment) -> None:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background it would be ignored
    try:
        with tempfile.TemporaryDirectory(prefix="sig") as name:
            kind, seconds = send(Path(name, "store"), moment, random.Random(0))
    finally:
        signal.signal(signal.SIGINT, former)
    assert kind in RIGHT and seconds < 2 * SECONDS
