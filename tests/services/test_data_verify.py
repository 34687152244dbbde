"""What `ced data verify` tells to delete is made again by the same command, alone and with the same bytes."""

import json
import re
import shutil
from pathlib import Path

import pytest

from ced.config import ClassesConfig, PrepareConfig
from ced.data import edges, label, prepare
from ced.data.inspect.verify import Checked, cure, verify
from ced.store import finished
from ced.store.outputs import MANIFEST, Output, Store
from ced.store.session import Session

pytestmark = pytest.mark.usefixtures("ray_session")


def run_all(source: Path, root: Path) -> list[Output]:
    store = Store(root)
    config = PrepareConfig(mode="crops", size=32, crops=2, photographs_per_part=4)
    prepared = prepare.run(config, (str(source),), Session(store))
    classes = edges.run(ClassesConfig(), prepared, Session(store))
    return [prepared, classes, label.run(prepared, classes, Session(store))]


def heal(checked: Checked) -> None:
    """Delete what the findings and the cure name, and nothing else."""
    folder = checked.output.path
    for finding in checked.findings:
        for name in re.findall(r"[\w/-]+\.(?:parquet|json)", str(finding)):
            (folder / name).unlink(missing_ok=True)
    assert cure([checked]).startswith(f"delete the parts named above and {folder / MANIFEST}; then run the same")
    (folder / MANIFEST).unlink()


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.fixture(scope="module")
def made(damaged: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    return run_all(damaged, tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize(
    "names",
    [
        ["prepare/*/examples/part-00001.parquet", "label/*/part-00000.parquet"],
        ["prepare/*/quarantine/part-00000.parquet"],
        ["edges/*/classes.json", "prepare/*/manifest.json"],
    ],
)
def test_the_cure_gives_the_same_bytes_back(
    damaged: Path, made: list[Output], tmp_path: Path, names: list[str]
) -> None:
    shutil.copytree(made[0].path.parents[1], tmp_path / "store")
    for name in names:
        (path,) = (tmp_path / "store").glob(name)
        if path.name == MANIFEST:
            stored = json.loads(path.read_text())
            del stored["digest"]  # as of before manifests had one: another count is found all the same
            stored["counts"]["prepared"] += 10
            path.write_text(json.dumps(stored))
        else:
            damage(path)
    hurt = [one for one in verify(finished.find([tmp_path / "store"])) if one.findings]
    assert len(hurt) == len(names)
    for one in hurt:
        heal(one)
    kept = [path for path in (tmp_path / "store").rglob("*.parquet") if path.parent.name != "quarantine"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    again = run_all(damaged, tmp_path / "store")
    assert not any(one.findings for one in verify(finished.find([tmp_path / "store"])))
    assert [one.manifest.parts for one in again] == [one.manifest.parts for one in made]
    assert [one.manifest.counts for one in again] == [one.manifest.counts for one in made]
    assert {path: path.stat().st_mtime_ns for path in before} == before
