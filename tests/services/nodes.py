"""Ray's processes, and nodes of a cluster on this machine, to be killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
RAY = str(Path(sys.executable).with_name("ray"))


def wait_until(happened: Callable[[], object], process: subprocess.Popen[Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
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


def node(arguments: list[str], **variables: str) -> subprocess.Popen[bytes]:
    """A node of a cluster: `ray start`."""
    line = [RAY, "start", "--node-ip-address=127.0.0.1", "--block", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(line, env=ENVIRONMENT | variables, start_new_session=True, **quiet)


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def kill_all(process: subprocess.Popen[Any]) -> None:
    """A process and all that descend from it."""
    for one in [process.pid, *(one for one, _ in below(process.pid))]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    process.wait()
