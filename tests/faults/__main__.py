"""All standing fault tests, two at a time, and the table of docs/reliability.md.

    python -m tests.faults [SEED] [SHARE]        or: make test-faults

SHARE, from 0 to 1, is of the counts below. What each test says on its way goes to standard error, its last line into
the table.
"""

import subprocess
import sys
import threading
import time

# Side by side: what mostly waits, and what mostly computes. Each test takes a seed and a number, of files,
# faults or seconds; a store has fewer than a thousand alterations.
LANES: tuple[dict[str, int], ...] = (
    {"kills": 100, "signals": 40, "folder": 10, "doors": 1},
    {"files": 10_000, "disk": 60, "bytes": 1000, "soak": 600},
)


def main(seed: int = 0, share: float = 1.0) -> int:
    """Run all and print the table. Returns how many tests lost something."""
    rows: dict[str, tuple[str, int, float]] = {}
    threads = [threading.Thread(target=_lane, args=(lane, seed, share, rows)) for lane in LANES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"seed {seed}\n\n| test | minutes | what became of it | |\n| --- | --- | --- | --- |")
    for name in (name for lane in LANES for name in lane):
        line, code, seconds = rows[name]
        print(f"| {name} | {seconds / 60:.0f} | {line} | {'**LOST**' if code else 'nothing lost'} |")
    return sum(code != 0 for _, code, _ in rows.values())


def _lane(lane: dict[str, int], seed: int, share: float, rows: dict[str, tuple[str, int, float]]) -> None:
    for name, number in lane.items():
        started, last = time.monotonic(), ""
        words = [sys.executable, "-m", f"tests.faults.{name}", str(seed), str(max(1, round(number * share)))]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", file=sys.stderr, flush=True)
                last = line.strip() or last
        rows[name] = (last.removeprefix(f"{name}: "), process.returncode, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main(*(int(word) if n == 0 else float(word) for n, word in enumerate(sys.argv[1:]))) > 0)
