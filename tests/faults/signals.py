"""SIGTERM and Ctrl-C at random moments of a small quickstart: once or twice, to the command, its group, or its Ray.

    python -m tests.faults.signals [SEED] [COUNT]

Right is: a command that gets a signal leaves within ten seconds with exit code 143 or 130 and one line; one whose Ray
gets it goes on, or ends in one line with exit code 2. No process and no temporary folder is left behind, and the same
command goes on where it was stopped.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.faults.quickstart import SECONDS, SHORTER, Run

SIGNALS = 8  # on each store
_START = 20.0  # seconds in which a half of the signals come: Ray, Prefect and databases start
_WHOLE = 90.0  # of a run, about
_SLOW = 30.0  # seconds that a very busy machine may add before a verdict of "hangs"
_LIMIT = 600  # seconds of a run, many times what it takes
RIGHT = ("stopped", "went on", "refused")


def main(seed: int = 0, count: int = 40) -> int:
    """Send `count` signals and print what became of them. Returns how many went wrong."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else those started in the background would ignore it
    chance = random.Random(seed)
    kinds: Counter[str] = Counter()
    slowest = 0.0
    for number, first in enumerate(range(0, count, SIGNALS)):
        with tempfile.TemporaryDirectory(prefix="sig") as name:
            store = Path(name, "store")
            for _ in range(min(SIGNALS, count - first)):
                moment = _moment(chance)
                kind, took = send(store, moment, chance)
                kinds[kind] += 1
                slowest = max(slowest, took)
                print(f"signal: store {number}, {moment}: {kind}, {took:.1f} s", flush=True)
            kind, _ = _judged("", *_finished(Run(store, *SHORTER)), 0.0)
            kinds[f"finished: {kind}"] += kind != "went on"
    bad = sum(times for kind, times in kinds.items() if kind not in RIGHT)
    print(f"signals: {count} on {number + 1} stores: {dict(kinds)}; left within {slowest:.1f} s; {bad} wrong")
    return bad


class Moment(NamedTuple):
    """When what is sent to whom."""

    after: float  # seconds
    number: signal.Signals
    target: str  # command, group or ray
    again: float | None = None  # seconds to the second one

    def __str__(self) -> str:
        twice = "" if self.again is None else f" and {self.again:.1f} s later"
        return f"{self.number.name} to {self.target} after {self.after:.1f} s{twice}"


def _moment(chance: random.Random) -> Moment:
    return Moment(
        after=chance.uniform(0, _START if chance.random() < 0.6 else _WHOLE),
        number=chance.choice((signal.SIGTERM, signal.SIGINT)),
        target=chance.choice(("command", "command", "group", "group", "ray")),
        again=chance.choice((None, chance.uniform(0, 2))),
    )


def send(store: Path, moment: Moment, chance: random.Random) -> tuple[str, float]:
    """Start a run and send it a signal. What became of it, and the seconds until it had left."""
    run = Run(store, *SHORTER)
    end = time.monotonic() + moment.after
    while time.monotonic() < end and run.process.poll() is None:
        time.sleep(0.02)
    run.processes()
    sent, reached = time.monotonic(), "nobody"
    for pause in (0.0, moment.again):
        if pause is not None and run.process.poll() is None:
            time.sleep(pause)
            reached = _reached(run, moment, chance)
    to_itself = reached in ("command", "group")
    code, log = _finished(run, SECONDS + _SLOW if to_itself else _LIMIT)
    took = time.monotonic() - sent if to_itself else 0.0
    kind, log = _judged(reached, code, log, took)
    left = run.left_behind()
    if left:
        kind = f"{kind}, left behind: {left}"
    if kind not in RIGHT:
        print(log[-3000:], flush=True)
    return kind, took


def _reached(run: Run, moment: Moment, chance: random.Random) -> str:
    """Send the signal. To whom; "nobody" where there was no Ray yet."""
    with contextlib.suppress(ProcessLookupError):
        if moment.target == "command":
            run.process.send_signal(moment.number)
        elif moment.target == "group":
            os.killpg(run.process.pid, moment.number)
        elif some := run.ray():
            os.kill(chance.choice(some), moment.number)
        else:
            return "nobody"
    return moment.target


def _finished(run: Run, limit: float = _LIMIT) -> tuple[int | None, str]:
    """The exit code, None where it hangs, and what was printed."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.process.wait(limit)
    code = run.process.poll()
    if code is None:
        run.process.kill()
        run.process.wait()
    return code, run.log.read_text()


def _judged(target: str, code: int | None, log: str, took: float) -> tuple[str, str]:
    if code is None:
        return "hangs", log
    if code == 0:
        return "went on", log
    traceback = "Traceback" in log or "*** SIG" in log
    lines = len(re.findall(r"^ced: stopped", log, re.MULTILINE))
    if code in (-signal.SIGTERM, -signal.SIGINT) and not lines and took < 2:
        return "stopped", log  # before the command's first line
    if code in (143, 130) and lines == 1 and not traceback and target != "ray":
        return "stopped" if took <= SECONDS else "late", log
    # Ray itself ends a process that misses its raylet, with exit code 1.
    if (
        (code == 2 or (code == 1 and target == "ray"))
        and len(re.findall(r"^ced: error: ", log, re.MULTILINE)) == 1
        and not traceback
    ):
        return "refused", log
    return f"exit {code}", log


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
