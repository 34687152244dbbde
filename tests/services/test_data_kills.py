"""kill -9 of the driver, of a worker and of a node at work: the same again ends with the same bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ced.cluster import connection
from ced.config import ClassesConfig, PrepareConfig
from ced.data import edges, label, prepare
from ced.store.outputs import Store
from ced.store.session import Session
from tests.services.nodes import ENVIRONMENT, at_work, kill_all, node, wait_until

CONFIG = PrepareConfig(mode="crops", size=64, crops=24, photographs_per_part=1)

DRIVER = """
import sys
from ced.cluster import connection
from tests_services_data_kills import stages
with connection.session(sys.argv[3]):
    stages(sys.argv[1], sys.argv[2])
"""


def stages(source: str, root: str) -> None:
    store = Store(Path(root))
    prepared = prepare.run(CONFIG, (source,), Session(store))
    classes = edges.run(ClassesConfig(), prepared, Session(store))
    label.run(prepared, classes, Session(store))


@pytest.fixture(scope="module")
def many(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs eight times, under new names: enough work to be killed in."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(8):
        for path in sorted(path for path in photographs.rglob("*") if path.is_file()):
            (folder / f"{number}-{path.name}").symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def expected(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The digests of a run that nothing disturbed."""
    root = tmp_path_factory.mktemp("undisturbed")
    with connection.session(connection.LOCAL):
        stages(str(many), str(root))
    return digests(root)


def digests(root: Path) -> dict[str, dict[str, str]]:
    found = {path.parts[-3]: json.loads(path.read_text())["parts"] for path in root.glob("*/*/manifest.json")}
    assert set(found) == {"prepare", "edges", "label"}
    return found


def driver(source: Path, root: Path, address: str = "local") -> subprocess.Popen[bytes]:
    script = DRIVER.replace("tests_services_data_kills", Path(__file__).stem)
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    line = [sys.executable, "-c", script, str(source), str(root), address]
    return subprocess.Popen(line, env=environment, start_new_session=True)


@pytest.mark.parametrize("moment", ["prepare/*/examples/part-*.parquet", "prepare/*/manifest.json", "label/*/part-*"])
def test_a_killed_driver(many: Path, expected: dict[str, dict[str, str]], tmp_path: Path, moment: str) -> None:
    killed = driver(many, tmp_path)
    wait_until(lambda: list(tmp_path.glob(moment)), killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not list(tmp_path.glob("label/*/manifest.json")), "killed too late to show anything"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part-*.parquet")}
    assert driver(many, tmp_path).wait(180) == 0
    assert digests(tmp_path) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before, "a finished part was made again"


def test_a_killed_worker(many: Path, expected: dict[str, dict[str, str]], tmp_path: Path) -> None:
    running = driver(many, tmp_path)
    for parts in (1, 10, 20):
        wait_until(lambda least=parts: len(list(tmp_path.glob("prepare/*/examples/part-*"))) >= least, running)
        kill_one(running)
    for begun in ("prepare/*/manifest.json", "label/*/part-*"):  # the workers of edges, then those of label
        wait_until(lambda begun=begun: list(tmp_path.glob(begun)), running)
        kill_one(running)
    assert not list(tmp_path.glob("label/*/manifest.json")), "killed too late to show anything"
    assert running.wait(180) == 0
    assert digests(tmp_path) == expected
    assert not list(tmp_path.glob("prepare/*/examples/.*")), "what the killed worker had begun is still there"


def kill_one(running: subprocess.Popen[bytes]) -> None:
    """Kill a worker that runs a data task, as soon as there is one."""
    found: list[int] = []
    wait_until(lambda: found.extend(at_work(running.pid)) or found, running)
    os.kill(found[0], signal.SIGKILL)


def test_a_killed_node(many: Path, expected: dict[str, dict[str, str]], tmp_path: Path, head: str) -> None:
    nodes = [node([f"--address={head}", "--num-cpus=1"])]
    running = driver(many, tmp_path, head)
    try:
        wait_until(lambda: list(tmp_path.glob("prepare/*/examples/part-*")) and at_work(nodes[0].pid), running)
        kill_all(nodes[0])
        nodes.append(node([f"--address={head}", "--num-cpus=1"]))
        assert running.wait(240) == 0
    finally:
        for process in (*nodes, running):
            kill_all(process)
    assert digests(tmp_path) == expected
