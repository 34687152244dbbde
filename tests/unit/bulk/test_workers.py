"""Processes that are killed, at any moment: the same bytes in the end, and nothing done twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ced.bulk import workers
from ced.bulk.workers import cores

Write = Callable[..., Path]
FILES = 120


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image
    from skimage import data

    folder = tmp_path_factory.mktemp("many")
    for number in range(FILES):
        crop = Image.fromarray(data.coffee()).crop((number, number // 2, number + 96, number // 2 + 96))
        crop.save(folder / f"{number:03d}.jpg", quality=20)
    (folder / "bad.jpg").write_bytes(b"nothing")
    return folder


def command(folder: Path, out: Path, model: Path, *more: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "ced", "restore", folder, "-o", out, "--model", model, *more]
    return subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, start_new_session=True)


def outputs(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


@pytest.fixture(scope="module")
def expected(many_files: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one core makes of it, undisturbed."""
    out = tmp_path_factory.mktemp("undisturbed")
    _, said = command(many_files, out, model, "--workers", 1).communicate(timeout=580)
    assert f"restored {FILES} of {FILES + 1} images" in said
    return outputs(out)


def reached(out: Path, count: int, process: subprocess.Popen[str]) -> bool:
    """Whether so many outputs are there before it ends."""
    while process.poll() is None:
        if len(list(out.glob("*.png"))) >= count:
            return True
        time.sleep(0.005)
    return False


def test_killed_at_random_moments(many_files: Path, model: Path, tmp_path: Path, expected: dict[str, bytes]) -> None:
    chance, kills = random.Random(5), 0
    times: dict[str, int] = {}
    for kill in range(3):
        process = command(many_files, tmp_path, model, "--workers", 2)
        if reached(tmp_path, (kill + 1) * 25 + chance.randrange(8), process):
            time.sleep(chance.random() / 50)
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate(timeout=580)
        now = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
        assert times.items() <= now.items(), "what was finished is left alone"
        times = now
    assert kills == 3
    _, said = command(many_files, tmp_path, model, "--workers", 2).communicate(timeout=580)
    assert f"restored {FILES - len(times)} of {FILES + 1} images to {tmp_path}; {len(times)} were there already" in said
    assert outputs(tmp_path) == expected
    assert times.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}.items()
    rows = pq.read_table(tmp_path / "restored.parquet").to_pylist()
    assert sorted(row["source"] for row in rows) == sorted(
        f"{many_files.name}/{path.name}" for path in many_files.iterdir()
    )
    assert sum(row["done"] == "restored" for row in rows) == FILES
    assert sorted(path.name for path in (tmp_path / "restored.parquet").iterdir()) == [".lock", "part-00000.parquet"]
    assert not list(tmp_path.glob(".*")), "no files half written"


def children(pid: int) -> list[int]:
    """The processes that restore below `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            above = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if above == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_a_worker_that_is_killed(many_files: Path, model: Path, tmp_path: Path, expected: dict[str, bytes]) -> None:
    process = command(many_files, tmp_path, model, "--workers", 2)
    for count in (20, 60):
        assert reached(tmp_path, count, process)
        os.kill(children(process.pid)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=580)
    assert f"restored {FILES} of {FILES + 1} images" in said
    assert outputs(tmp_path) == expected


def test_workers_end_with_a_command_that_is_killed(many_files: Path, model: Path, tmp_path: Path) -> None:
    process = command(many_files, tmp_path, model, "--workers", 2)
    assert reached(tmp_path, 5, process)
    below = children(process.pid)
    process.kill()
    process.communicate(timeout=580)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{one}").exists() for one in below):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(below) == 2


FATAL = """
import os, sys
from ced.restoration import restorer
if __name__ == "__main__":
    from ced.cli.main import main
    sys.exit(main(sys.argv[1:]))
restore = restorer.Restorer.restore_pixels
def fatal(self, pixels, *more):
    if pixels.shape[0] == 24:
        os.kill(os.getpid(), 9)
    return restore(self, pixels, *more)
restorer.Restorer.restore_pixels = fatal
"""


def test_a_file_that_ends_its_process_is_set_aside(model: Path, tmp_path: Path, photograph: Write) -> None:
    """The main module's code is run by each process: there it makes one size of image deadly."""
    for number in range(6):
        photograph(tmp_path / "d" / f"{number}.jpg", number, side=24 if number == 3 else 40)
    (tmp_path / "fatal.py").write_text(FATAL)
    words = ["restore", tmp_path / "d", "-o", tmp_path / "out", "--model", model, "--workers", "2"]
    ended = subprocess.run([sys.executable, tmp_path / "fatal.py", *words], capture_output=True, text=True, timeout=580)
    assert ended.returncode == 2, ended.stderr
    *_, aside, restored, error = ended.stderr.splitlines()
    assert aside == "d/3.jpg: restoring it ended the process (SIGKILL) (crashed); left out"
    assert restored.startswith("restored 5 of 6 images") and error.startswith("ced: error: 1 of 6 images")
    rows = {row["source"]: row for row in pq.read_table(tmp_path / "out" / "restored.parquet").to_pylist()}
    assert rows["d/3.jpg"]["reason"] == "restoring it ended the process (SIGKILL) (crashed)"
    assert len(rows) == 6


IN_TILES = """
import functools, sys
from ced.bulk import work
from ced.progress import Progress
from ced.restoration import restorer
restorer.TILE_PIXELS = 130 * 130
work.Progress = functools.partial(Progress, every=0)
if __name__ == "__main__":
    from ced.cli.main import main
    sys.exit(main(sys.argv[1:]))
"""


def test_each_process_tells_how_far_a_large_image_is(model: Path, tmp_path: Path, photograph: Write) -> None:
    for number in range(2):
        photograph(tmp_path / "d" / f"{number}.jpg", number, side=320)
    (tmp_path / "tiles.py").write_text(IN_TILES)
    words = ["restore", tmp_path / "d", "-o", tmp_path / "out", "--model", model, "--workers", "2"]
    ended = subprocess.run([sys.executable, tmp_path / "tiles.py", *words], capture_output=True, text=True, timeout=580)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    for number in range(2):
        told = [line.split(" tiles")[0] for line in lines if line.startswith(f"d/{number}.jpg: ")]
        count = len(told) + 1
        assert count > 2 and told == [f"d/{number}.jpg: {tile} of {count}" for tile in range(1, count)]
    assert lines[-1].startswith("restored 2 of 2 images")


@pytest.mark.parametrize(("limit", "count"), [("100000 100000", 1), ("max 100000", 2), ("150000 100000", 2), (None, 2)])
def test_cores_are_those_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, count: int
) -> None:
    monkeypatch.setattr(workers, "_CPU", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    assert cores() == count
