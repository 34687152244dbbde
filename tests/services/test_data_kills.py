"""kill -9 of the driver, of a worker and of a node at work: the same again ends with the same bytes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ced.cluster import connection
from ced.config import ClassesConfig, PrepareConfig
from ced.data import edges, label, prepare
from ced.store.outputs import Store
from ced.store.session import Session

CONFIG = PrepareConfig(mode="crops", size=64, crops=24, photographs_per_part=1)
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
RAY = str(Path(sys.executable).with_name("ray"))

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


def wait_until(happened: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, f"the driver ended with {process.returncode} before"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def below(pid: int) -> Iterator[tuple[int, str]]:
    """The processes that descend from `pid`, with their command lines."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            status = (path / "stat").read_text().rpartition(")")[2].split()
            parents[int(path.name)] = (int(status[1]), (path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    for one, (_, line) in parents.items():
        ancestor = one
        while ancestor in parents and ancestor != pid:
            ancestor = parents[ancestor][0]
        if ancestor == pid and one != pid:
            yield one, line


def at_work(pid: int) -> list[int]:
    """Ray's workers below `pid` that run a data task at this moment."""
    return [one for one, line in below(pid) if line.startswith("ray::Map")]


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


@pytest.fixture
def head() -> Iterator[str]:
    """The address of a cluster whose head has no cores: the work is done by nodes that the test adds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = node([f"--port={port}", "--head", "--include-dashboard=false", "--num-cpus=0"])
    try:
        wait_until(lambda: answers(f"127.0.0.1:{port}"), process)
        yield f"127.0.0.1:{port}"
    finally:
        kill_all(process)


def node(arguments: list[str]) -> subprocess.Popen[bytes]:
    line = [RAY, "start", "--node-ip-address=127.0.0.1", "--block", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(line, env=ENVIRONMENT, start_new_session=True, **quiet)


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def kill_all(process: subprocess.Popen[bytes]) -> None:
    for one in [process.pid, *(one for one, _ in below(process.pid))]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    process.wait()


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
