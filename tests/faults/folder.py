"""SIGKILL at random moments of `ced restore` of a folder of 2,000 files: to its group, the command, or a worker of it.

    python -m tests.faults.folder [SEED] [COUNT]

After COUNT kills the command is left alone. Right is: the bytes at the end are those of a folder that was never killed,
no finished file was written again, the counts add up, and nothing but files and the record is there.
"""

import contextlib
import hashlib
import io
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image
from skimage import data

from tests.faults.quickstart import below

FILES = 2000
_KNOWN = re.compile(r"\d{5}\.png|(part-\d+|restored)\.parquet|\.lock")
_LIMIT = 1200  # seconds of a run, many times what it takes


def main(seed: int = 0, count: int = 10) -> int:
    """Kill `count` times and print what became of it. Returns how much was lost."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="ced-faults-") as name:
        photos, good, out = (Path(name, each) for each in ("photos", "good", "out"))
        _make(photos, chance)
        with _command(photos, good) as process:
            assert process.wait(_LIMIT) == 0
        written: dict[str, tuple[int, int]] = {}  # inode and time of the files that were finished before a kill
        again = 0
        for number in sorted(chance.sample(range(1, FILES - FILES // 20), count)):
            _killed(photos, out, chance, number)
            found = _written(out)
            again += sum(found.get(each) != former for each, former in written.items())
            written = found
            print(f"folder: killed after {number} files: {len(written)} of {FILES} are there", flush=True)
        with _command(photos, out) as process:
            assert process.stderr is not None
            _, said = process.communicate(timeout=_LIMIT)
            code = process.returncode
        again += sum(_written(out).get(each) != former for each, former in written.items())
        differ = sum(_contents(out).get(each) != digest for each, digest in _contents(good).items())
        rows = pq.read_table(out / "restored.parquet").num_rows
        strange = [path.name for path in out.rglob("*") if not _KNOWN.fullmatch(path.name)]
    lost = differ + again + len(strange) + (code != 0) + (rows != FILES)
    ended = "" if code == 0 else f", exit {code}: {said[-300:]}"
    print(
        f"folder: {count} kills of {FILES:,} files: {len(written):,} there before the last run; {differ} other bytes, "
        f"{again} written again, {rows:,} rows, {len(strange)} strange files{ended}; {lost} lost"
    )
    return lost


def _make(folder: Path, chance: random.Random) -> None:
    folder.mkdir()
    photographs = [Image.fromarray(each) for each in (data.coffee(), data.chelsea(), data.astronaut())]
    for number in range(FILES):
        photograph, side = chance.choice(photographs), chance.randint(40, 120)
        left, top = chance.randint(0, photograph.width - side), chance.randint(0, photograph.height - side)
        stream = io.BytesIO()
        photograph.crop((left, top, left + side, top + side)).save(stream, "JPEG", quality=chance.randint(5, 60))
        (folder / f"{number:05d}.jpg").write_bytes(stream.getvalue())


@contextlib.contextmanager
def _command(photos: Path, out: Path):  # type: ignore[no-untyped-def]
    line = [sys.executable, "-m", "ced", "restore", str(photos), "-o", str(out), "--workers", "2"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, text=True, start_new_session=True, **streams) as process:
        yield process


def _killed(photos: Path, out: Path, chance: random.Random, number: int) -> None:
    """Start the command, and kill it when so many files are there."""
    with _command(photos, out) as process:
        deadline = time.monotonic() + _LIMIT
        while len(_written(out)) < number and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        target = chance.choice(("group", "command", "worker"))
        workers = below(process.pid)
        with contextlib.suppress(ProcessLookupError):
            if target == "worker" and workers:
                os.kill(chance.choice(workers), signal.SIGKILL)  # another takes its place; then all are killed
                time.sleep(chance.uniform(0, 2))
            if target == "command":
                os.kill(process.pid, signal.SIGKILL)
                time.sleep(2)  # its workers see that it is gone, and end
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stderr is not None
        process.stderr.read()


def _written(out: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in out.glob("*.png"):
        with contextlib.suppress(OSError):
            found[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def _contents(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.png")}


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
