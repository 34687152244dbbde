"""Photographs whose decoding ends the process that decodes them, by real signals from a decoder of Pillow's, or never
ends.

The decoder is registered in every Python that starts with this folder on its path: in Ray's workers too.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ced.cluster.parts import Later, Row, run_tasks
from ced.data import prepare
from ced.errors import InputError
from ced.store.outputs import Manifest, Output

DECODER = """
import os, signal, time
from PIL import Image, ImageFile
from ced.core import images

images.SECONDS = 3.0

class Deadly(ImageFile.ImageFile):
    format = "TGA"

    def _open(self):
        self._mode, self._size, self.tile = "RGB", (64, 64), []
        self.how = self.fp.read(64).split()[1].decode()

    def load(self):
        if self.how == "hangs":
            time.sleep(1000)
        if self.how.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.how))
        os._exit(int(self.how))

Image.init()
Image.register_open("TGA", Deadly, lambda prefix: prefix.startswith(b"DEADLY"))
"""

DRIVER = """
import sys
from pathlib import Path
from ced.cluster import connection
from ced.store.outputs import Store
from ced.store.session import Session
from ced.config import PrepareConfig
from ced.data import prepare
config = PrepareConfig(mode="crops", size=32, crops=3, photographs_per_part=4)
with connection.session("local"):
    prepare.run(config, (sys.argv[1],), Session(Store(Path(sys.argv[2])), int(sys.argv[3])))
"""

HOW = {"segfault": "SIGSEGV", "abort": "SIGABRT", "killed as for memory": "SIGKILL", "exit": "3", "hang": "hangs"}


@pytest.fixture(scope="module")
def deadly(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs under two names each, a truncated one, and four deadly ones, two of them in one part."""
    folder = tmp_path_factory.mktemp("deadly")
    for number in range(2):
        for path in sorted(path for path in photographs.rglob("*") if path.is_file()):
            (folder / f"{number}-{path.name}").symlink_to(path)
    jpeg = (photographs / "a cup of coffee.JPEG").read_bytes()
    (folder / "0-cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    for name, how in HOW.items():
        (folder / f"0-{name}.jpg").write_text(f"DEADLY {how} ")
    return folder


@pytest.fixture(scope="module")
def alive(deadly: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of a run on two workers."""
    return run(deadly, tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("site"), 2)


def run(source: Path, store: Path, site: Path, workers: int) -> dict[str, Any]:
    (site / "sitecustomize.py").write_text(DECODER)
    path = os.pathsep.join([str(site), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "RAY_AUTH_MODE": "disabled"}
    line = [sys.executable, "-c", DRIVER, str(source), str(store), str(workers)]
    subprocess.run(line, env=environment, check=True, timeout=180)
    (manifest,) = store.glob("prepare/*/manifest.json")
    stored: dict[str, Any] = json.loads(manifest.read_text())
    return stored | {"folder": manifest.parent}


def test_they_are_set_aside_and_the_counts_add_up(alive: dict[str, Any]) -> None:
    counts = alive["counts"]
    assert counts["photographs"] == 12 + 1 + 5
    assert (counts["prepared"], counts["quarantined"]) == (12, 6)
    why = [counts[f"quarantined: {reason}"] for reason in ("crashed", "truncated", "too slow")]
    assert why == [4, 1, 1]
    assert counts["examples"] == 12 * 3 * 2
    output = Output(alive["folder"], Manifest(**{k: alive[k] for k in Manifest.__annotations__}), True)
    messages = {row["source"].split("/")[1]: row["message"] for row in prepare.quarantined(output)}
    for name, how in HOW.items():
        named = how if how.startswith("SIG") else f"exit status {how}"
        told = "takes more than 3 s" if name == "hang" else f"ended the process ({named})"
        assert messages[f"0-{name}.jpg"] == f"decoding it {told}"


def test_no_partial_file_is_left(alive: dict[str, Any]) -> None:
    found = {path.relative_to(alive["folder"]).as_posix() for path in alive["folder"].rglob("part*")}
    assert found == set(alive["parts"])
    assert not list(alive["folder"].rglob(".*.tmp"))


def test_the_same_bytes_on_one_worker(alive: dict[str, Any], deadly: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert run(deadly, tmp_path / "store", tmp_path / "site", 1)["parts"] == alive["parts"]


@pytest.mark.usefixtures("ray_session")
class TestWorkers:
    def test_a_task_whose_worker_died_is_run_again(self, tmp_path: Path) -> None:
        def kills(row: Row) -> Row:
            note = tmp_path / "died"
            if row["n"] == 2 and not note.exists():
                note.touch()
                os.kill(os.getpid(), 9)
            return row

        told = list(run_tasks(kills, [{"n": n} for n in range(4)]))
        assert sorted(row["n"] for row in told) == [0, 1, 2, 3]

    def test_what_a_task_raises_ends_the_job_as_it_is(self) -> None:
        def refuses(row: Row) -> Row:
            raise InputError(f"row {row['n']} is not wanted")

        with pytest.raises(InputError, match="^row 0 is not wanted$"):
            list(run_tasks(refuses, [{"n": 0}]))

    def test_later_rows_are_waited_for_and_workers_limited(self, tmp_path: Path) -> None:
        def counted(row: Row) -> Later:
            mark = tmp_path / f"running-{row['n']}"
            mark.touch()
            most = len(list(tmp_path.glob("running-*")))
            time.sleep(0.02)
            mark.unlink()
            return lambda: row | {"most": most}

        told = list(run_tasks(counted, [{"n": n} for n in range(12)], workers=1))
        assert {row["n"] for row in told} == set(range(12))
        assert {row["most"] for row in told} == {1}
