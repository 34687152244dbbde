"""The private Ray of a run: open to nobody else, never calling anybody, and gone with the run."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ced.cluster import connection, instance
from ced.cluster.parts import run_tasks
from tests.faults.doors import documented, doors
from tests.faults.quickstart import below

RUN = """
import os, sys, time
from ced.cluster import connection
from ced.cluster.parts import run_tasks
from ced.errors import LostError
try:
    with connection.session("local"):
        assert list(run_tasks(lambda row: {"twice": 2 * row["n"]}, [{"n": 4}])) == [{"twice": 8}]
        print("at work", flush=True)
        sys.stdin.read()
        assert list(run_tasks(lambda row: {"twice": 2 * row["n"]}, [{"n": 5}])) == [{"twice": 10}]
        print("went on", flush=True)
except LostError:
    os._exit(2)
"""

INTRUDER = """
import logging, sys, threading, os
threading.Timer(60, lambda: (print("REFUSED: it hangs", flush=True), os._exit(0))).start()
import ray
from ray._private import ray_constants
ray_constants.ENABLE_RAY_CLUSTER = False
try:
    ray.init(sys.argv[1], logging_level=logging.ERROR)
    print("IN", ray.get(ray.remote(os.getpid).remote(), timeout=30), flush=True)
except BaseException as error:
    print("REFUSED", type(error).__name__, flush=True)
os._exit(0)
"""


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files with a short path, as Ray's sockets need it."""
    folder = Path("/tmp", f"ced-test-{os.getpid()}")
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def at_work(**settings: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own that has its Ray and waits for a line before it goes on."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "at work\n"
        yield run
        if run.poll() is None:
            assert run.communicate(timeout=120)[0] == "went on\n"
    finally:
        run.kill()
        run.wait()


def seen_by_all(pid: int) -> str:
    """What other users may see of a process, and its environment, which they may not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
    return ""


def is_program(pid: int, program: str) -> bool:
    """Whether a process runs a program, or a module of Python."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[0].endswith(program) or program in words[1:4]


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def alive() -> Iterator[tuple[int, Path]]:
    """A run at work, for tests that only look or are refused, and its folder for temporary files. It goes on after all
    of them."""
    with tempfile.TemporaryDirectory(prefix="ced-test-", dir="/tmp") as name, at_work(TMPDIR=name) as run:
        yield run.pid, Path(name)


def test_it_is_on_loopback_alone_and_its_doors_are_those_of_the_docs(alive: tuple[int, Path]) -> None:
    pid, _ = alive
    found = {address for _, address in doors([pid, *below(pid)])}
    assert found == {"127.0.0.1"}
    rays = {door for door in doors(below(pid)) if door[0] != "ced"}
    assert {program for program, _ in rays} >= {"gcs_server", "raylet", "Ray's agents", "Ray's workers"}
    assert rays <= documented()


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_who_has_no_token_or_another_is_refused(alive: tuple[int, Path], token: str) -> None:
    line = next(line for pid in below(alive[0]) if "raylet" in (line := seen_by_all(pid)) and "gcs-address" in line)
    address = re.findall(r"gcs-address=([\d.]+:\d+)", line)[0]
    mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    intruder = subprocess.run(
        [sys.executable, "-c", INTRUDER, address],
        env=os.environ | mode,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert "REFUSED" in intruder.stdout and "IN" not in intruder.stdout.split(), intruder.stdout + intruder.stderr


def test_the_token_is_in_one_file_that_only_the_user_reads(alive: tuple[int, Path]) -> None:
    pid, temporary = alive
    (folder,) = temporary.glob("ced-ray-*")
    token = (folder / "token").read_text()
    assert len(token) == 64
    assert (folder.stat().st_mode & 0o777, (folder / "token").stat().st_mode & 0o777) == (0o700, 0o600)
    assert not [each for each in (pid, *below(pid)) if token in seen_by_all(each)]
    with_it = [path for path in folder.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert with_it == [folder / "token"]


def test_nothing_of_it_stays_in_the_process_that_used_it(temporary: Path) -> None:
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    def of_ray() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if "AUTH" in name or "RAY_ENABLE" in name}

    before = of_ray()
    with connection.session(connection.LOCAL):
        (row,) = run_tasks(lambda row: {"mode": os.environ.get("RAY_AUTH_MODE")}, [{}])
        assert row == {"mode": "token"} and is_token_auth_enabled()
        assert of_ray() == before
    assert of_ray() == before and not is_token_auth_enabled()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_run_that_is_killed(temporary: Path, number: int) -> None:
    with at_work() as run:
        processes = below(run.pid)
        assert len(processes) > 4
        run.send_signal(number)
        run.wait()
        assert gone(processes)
        assert list(temporary.iterdir()) == []


def test_what_a_killed_instance_leaves_goes_with_the_next_run_but_nothing_that_lives(temporary: Path) -> None:
    with at_work() as living:
        (used,) = temporary.glob("ced-ray-*")
        killed = instance.Instance()
        left = Path(killed.wait().token).parent
        killed.process.kill()
        killed.process.wait()
        assert left.exists()
        (temporary / "ced-ray-of-else").mkdir()
        (temporary / "ced-ray-00000000").symlink_to(used)
        instance.sweep()
        names = {path.name for path in temporary.iterdir()}
        assert names == {used.name, "ced-ray-of-else", "ced-ray-00000000"}
        assert living.poll() is None
    assert not used.exists()


def test_a_long_folder_for_temporary_files_is_not_for_ray(tmp_path: Path, temporary: Path) -> None:
    long = tmp_path / ("x" * 110)
    long.mkdir()
    with at_work(TMPDIR=str(long)) as run:
        assert below(run.pid)
    assert list(long.iterdir()) == []


@pytest.mark.parametrize("program", ["/raylet", "/gcs_server", "ced.cluster.instance"])
def test_a_ray_that_is_ended_from_outside_is_one_line_within_seconds(temporary: Path, program: str) -> None:
    with at_work() as run:
        processes = below(run.pid)
        (pid,) = (pid for pid in processes if is_program(pid, program))
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        said = run.communicate(timeout=60)
        assert time.monotonic() - started < 30
        assert "".join(said).count(instance.LOST) == 1 and "Traceback" not in said[1] and run.returncode
        assert gone(processes)


def test_no_packet_leaves_the_machine(temporary: Path, tmp_path: Path) -> None:
    """Every address that any process of it connects or sends to."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: nobody sees what is connected to")
    trace = tmp_path / "trace"
    script = RUN.replace("sys.stdin.read()", "time.sleep(5)")
    line = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(trace)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*line, sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=500
    )
    if "PTRACE" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr[-3000:]
    text = trace.read_text()
    addresses = set(re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', text))
    assert {four or six for four, six in addresses} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert addresses


def test_it_works_where_there_is_loopback_alone(temporary: Path) -> None:
    """A network namespace of its own: no other interface, no name server."""
    inside = ["unshare", "--net", "sh", "-c"]
    tried = shutil.which("unshare") and subprocess.run([*inside, "ip link set lo up"], capture_output=True, text=True)
    if not tried or tried.returncode:
        pytest.skip(f"needs network namespaces: {tried.stderr.strip() if tried else 'unshare is not installed'}")
    script = RUN.replace("sys.stdin.read()", "pass")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SCRIPT": script}
    command = f'ip link set lo up && exec {sys.executable} -c "$SCRIPT"'
    done = subprocess.run([*inside, command], capture_output=True, text=True, env=environment, timeout=300)
    assert (done.returncode, done.stdout) == (0, "at work\nwent on\n"), done.stderr[-3000:]
