"""Ctrl-C and SIGTERM leave a command once, in order, and within seconds."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ced.cli.stop import LINE, Stop

COMMAND = """
import signal, sys, time
from ced.cli import main, stop
stop.GRACE = 1.0
signal.signal(signal.SIGINT, signal.default_int_handler)
def work(options):
    try:
        print("at work", flush=True)
        time.sleep(60)
    finally:
        CLEANING
main.parse = lambda words: (work, None)
sys.exit(main.main())
"""


def stopped(number: int, times: int, cleaning: str) -> tuple[int, str, float]:
    """Exit code, standard error and seconds of a command that gets a signal some times."""
    script = COMMAND.replace("CLEANING", cleaning)
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert run.stdout is not None and run.stdout.readline() == "at work\n"
    started = time.monotonic()
    for _ in range(times):
        run.send_signal(number)
        time.sleep(0.2)
    _, log = run.communicate(timeout=60)
    return run.returncode, log, time.monotonic() - started


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("times", [1, 3])
def test_it_leaves_in_order_with_one_line(number: int, code: int, times: int) -> None:
    ended, log, _ = stopped(number, times, "time.sleep(0.5); print('in order', file=sys.stderr)")
    assert (ended, log.splitlines()) == (code, ["in order", LINE])


@pytest.mark.parametrize("cleaning", ["time.sleep(50)", "raise RuntimeError('a library, of an interrupt')"])
def test_what_hangs_or_breaks_on_the_way_is_left_behind(cleaning: str) -> None:
    ended, log, seconds = stopped(signal.SIGTERM, 2, cleaning)
    assert (ended, log.splitlines()) == (143, [LINE])
    assert seconds < 30


def test_a_thread_that_never_ends_is_not_waited_for() -> None:
    never = "import threading; threading.Thread(target=lambda: time.sleep(50)).start()"
    ended, log, seconds = stopped(signal.SIGINT, 1, never)
    assert (ended, log.splitlines()) == (130, [LINE])
    assert seconds < 30


def test_handlers_are_put_back_and_what_is_ignored_stays_so() -> None:
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background: ignored
    before = signal.getsignal(signal.SIGINT)
    try:
        with Stop():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) != before
        assert signal.getsignal(signal.SIGINT) == before
    finally:
        signal.signal(signal.SIGTERM, former)
        signal.signal(signal.SIGINT, interrupt)


def test_a_command_that_has_left_in_time_is_not_ended_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ced.cli.stop.GRACE", 0.3)
    with pytest.raises(KeyboardInterrupt), Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.code == 143
    time.sleep(0.6)  # a late watch would end this process
