"""The run's own Prefect server: on loopback alone, up before it is used, gone with the run."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ced.errors import ServiceError
from flows import server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_UI_ENABLED", "false")
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def listeners(port: int) -> list[str]:
    """The local addresses that listen on a port, as the kernel writes them."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return [line[1].split(":")[0] for line in lines if line[3] == "0A" and int(line[1].split(":")[1], 16) == port]


def test_it_answers_on_loopback_alone_and_ends_with_the_block() -> None:
    with server.embedded() as started:
        started.wait()
        assert listeners(started.port) == ["0100007F"]
        connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=20)
        connection.request("GET", "/api/admin/version")
        assert connection.getresponse().read().startswith(b'"3.')
    assert started.process.poll() is not None
    assert listeners(started.port) == []


def test_a_killed_run_takes_its_server_along() -> None:
    script = (
        "import time\nfrom flows.server import Server\ns = Server()\nprint(s.process.pid, flush=True)\ntime.sleep(99)"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline, "the server outlived its run"
        time.sleep(0.1)


def test_a_server_that_cannot_start_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file"))
    with server.embedded() as started, pytest.raises(ServiceError, match="name another one in PREFECT_API_URL"):
        started.wait(timeout=60)


def test_a_server_that_is_killed_while_it_is_used_ends_the_run_in_one_line() -> None:
    """At once: Prefect's client alone would try for minutes to tell it so."""
    script = "import time; from flows import server; s = server.Server(); s.wait(); print(s.process.pid, flush=True)"
    script += "; time.sleep(300)"
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    os.kill(int(run.stdout.readline()), signal.SIGKILL)
    _, said = run.communicate(timeout=60)
    assert (run.returncode, said) == (2, f"ced: error: {server.ENDED}\n")
