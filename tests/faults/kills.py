"""SIGKILL at random moments of a small quickstart: to the command, its process group, or any process that it started.

    python -m tests.faults.kills [SEED] [COUNT]

Several kills fall on each store, then its run is left alone. Right is: a command that was not killed itself ends well,
or in one line with exit code 2; and at the end every stage's bytes, and every figure of the table, are those of a run
that was never killed.
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

from ced.cluster.instance import LOST
from tests.e2e.test_pipeline import command, contents, results
from tests.faults.quickstart import SECONDS, Run

KILLS = 8  # on each store
_START = 20.0  # seconds in which a half of the kills fall: databases are made, Ray and Prefect start
_WHOLE = 90.0  # of a run, about
_LIMIT = 600  # seconds of a run, many times what it takes


def main(seed: int = 0, count: int = 100) -> int:
    """Kill `count` times and print what became of it. Returns how many stores lost something."""
    chance = random.Random(seed)
    kinds: Counter[str] = Counter()
    lost = 0
    with tempfile.TemporaryDirectory(prefix="ced-faults-") as name:
        root = Path(name)
        assert _finish(root / "good") == "done"
        wanted = _kept(root / "good")
        for number, first in enumerate(range(0, count, KILLS)):
            store = root / f"{number}"
            for _ in range(min(KILLS, count - first)):
                kind, moment = _killed(store, chance)
                kinds[kind] += 1
                print(f"kill: store {number}, {moment}: {kind}", flush=True)
            ended = _finish(store)
            same = ended == "done" and _kept(store) == wanted
            lost += not same
            print(f"kill: store {number}: {'the same bytes' if same else f'LOST ({ended})'}", flush=True)
    bad = sum(times for kind, times in kinds.items() if kind not in ("killed", "went on", "refused"))
    print(f"kills: {count} on {number + 1} stores: {dict(kinds)}; {lost} stores with other bytes; {lost + bad} lost")
    return lost + bad


def _killed(store: Path, chance: random.Random) -> tuple[str, str]:
    """Start a run, and kill it, its group or a process of its own by chance. What became of it, and when."""
    run = Run(store)
    seconds = chance.uniform(0, _START if chance.random() < 0.5 else _WHOLE)
    target = chance.choice(("command", "group", "child", "child"))
    end = time.monotonic() + seconds
    while time.monotonic() < end and run.process.poll() is None:
        time.sleep(0.02)
    others = [pid for pid in run.processes() if pid != run.process.pid]
    with contextlib.suppress(ProcessLookupError):
        if target == "group":
            os.killpg(run.process.pid, signal.SIGKILL)
        elif target == "child" and others:
            pid = chance.choice(others)
            target = f"child {Path(f'/proc/{pid}/cmdline').read_text()[:60]!r}"
            os.kill(pid, signal.SIGKILL)
        else:
            os.kill(run.process.pid, signal.SIGKILL)
    try:
        code = run.process.wait(_LIMIT)
        deadline = time.monotonic() + SECONDS
        while code == 1 and LOST not in run.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)  # where Ray has ended the command, the process that holds Ray says why
        kind = _judged(code, run.log.read_text())
    except subprocess.TimeoutExpired:
        run.process.kill()
        run.process.wait()
        kind = f"hangs: {run.log.read_text()[-1500:]}"
    for pid in run.processes():  # what a killed run left: the next one finds nothing of it alive
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return kind, f"{target} after {seconds:.1f} s"


def _judged(code: int, log: str) -> str:
    if code == -signal.SIGKILL:
        return "killed"
    if code == 0:
        return "went on"
    one_line = len(re.findall(r"^ced: error: ", log, re.MULTILINE)) == 1 and "Traceback" not in log
    lost = LOST in log  # then Ray itself may end the command, with 1
    return "refused" if one_line and (code == 2 or (code == 1 and lost)) else f"exit {code}: {log[-1500:]}"


def _finish(store: Path) -> str:
    try:
        done = subprocess.run(command(store), capture_output=True, text=True, timeout=_LIMIT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "hangs"
    return "done" if done.returncode == 0 else done.stderr[-1500:]


def _kept(store: Path) -> tuple[object, object]:
    return contents(store), results(store)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
