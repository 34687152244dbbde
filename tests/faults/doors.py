"""Every socket that a command opens, compared with the table "Doors" of docs/reliability.md.

    python -m tests.faults.doors

Right is: nothing listens but what the table has, and at no other address.
"""

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.quickstart import SHORTER, Run, below

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "reliability.md"
_SERVED, _LONGER = 180.0, 5.0  # seconds for a server to start, and that it is watched when it answers
_LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}  # the kernel's states; 07 = an unconnected UDP socket
_PROGRAMS = {  # by command line
    r"ced run|ced train": "ced",
    r"flows\.server": "Prefect server",
    r"mlflow ui|mlflow\.server": "mlflow ui",
    r"mlflow models serve|mlflow\.pyfunc\.scoring_server": "mlflow models serve",
    r"/gcs_server": "gcs_server",
    r"/raylet": "raylet",
    r"^ray::DashboardAgent|dashboard/agent\.py": "Ray's agents",
    r"^ray::RuntimeEnvAgent|runtime_env/agent": "Ray's agents",
    r"^ray::|default_worker\.py": "Ray's workers",
}

Door = tuple[str, str]  # program, address


def main(*_: int) -> int:
    """Print the doors of a whole run, and of MLflow's page and server on its store. Returns how many are not in the
    docs."""
    allowed, seen = documented(), set()
    with tempfile.TemporaryDirectory(prefix="doors") as name:
        store = Path(name, "store")
        run = Run(store, *SHORTER)
        try:
            seen = set().union(*watched(run.processes, lambda: run.process.poll() is None))
        finally:
            run.process.kill()
        assert run.process.wait() == 0, run.log.read_text()[-3000:]
        for program, words in _servers(store).items():
            seen |= served(words, store)
            assert any(found == program for found, _ in seen), f"{program} opened nothing that has its name"
    for program, address in sorted(seen):
        print(f"door: {program}: {address}{'' if (program, address) in allowed else ': NOT IN THE DOCS'}")
    print(f"doors: {len(seen)} kinds, {len(seen - allowed)} wrong")
    return len(seen - allowed)


def _servers(store: Path) -> dict[str, list[str]]:
    """The commands of the README that serve, by the programs of the docs."""
    serve = ["mlflow", "models", "serve", "-m", "models:/ced@champion", "--env-manager", "local"]
    return {
        "mlflow models serve": [*serve, "-p", str(_free())],
        "mlflow ui": ["make", "-s", "-C", str(ROOT), "ui", f"STORE={store}", f"PORT={_free()}"],
    }


def served(words: list[str], store: Path) -> set[Door]:
    """The doors of a server, from its start until some seconds after it answers. `words` end with its port."""
    port = int(re.findall(r"\d+", words[-1])[-1])
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}", "PATH": path}
    with open(store.with_suffix(".served"), "w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, env=environment, start_new_session=True)
    deadline = time.monotonic() + _SERVED
    end: list[float] = []

    def going_on() -> bool:
        assert server.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()[-3000:]
        if not end and _answers(port):
            end.append(time.monotonic() + _LONGER)
        return not end or time.monotonic() < end[0]

    try:
        return set().union(*watched(lambda: [server.pid, *below(server.pid)], going_on))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def documented() -> set[Door]:
    """The rows of the table."""
    (section,) = re.findall(r"^## Doors\n(.*?)(?=^## |\Z)", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {(row[0], row[1].strip("`")) for row in rows[2:]}


def watched(processes: Callable[[], list[int]], going_on: Callable[[], bool]) -> Iterator[set[Door]]:
    """The doors that are open, five times a second."""
    while going_on():
        yield doors(processes())
        time.sleep(0.2)


def doors(processes: list[int]) -> set[Door]:
    """The TCP and UDP sockets that processes listen on; one that they share is that of the oldest."""
    found: dict[str, Door] = {}
    for pid in sorted(processes):
        with contextlib.suppress(OSError):
            own = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for inode, address in _listening(pid):
                if f"socket:[{inode}]" in own:
                    found.setdefault(inode, (_program(line), address))
    return set(found.values())


def _program(line: str) -> str:
    return next((name for pattern, name in _PROGRAMS.items() if re.search(pattern, line)), line[:80])


def _listening(pid: int) -> Iterator[tuple[str, str]]:
    """The inodes and addresses of listening sockets in the network that a process sees."""
    for kind, state in _LISTENS.items():
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                yield fields[9], _address(fields[1].split(":")[0])


def _address(kernels: str) -> str:
    """127.0.0.1 of 0100007F; an address that is IPv4 written as IPv6 is IPv4."""
    words = struct.pack(f"={len(kernels) // 8}I", *(int(kernels[i : i + 8], 16) for i in range(0, len(kernels), 8)))
    if len(words) == 4:
        return socket.inet_ntop(socket.AF_INET, words)
    return socket.inet_ntop(socket.AF_INET6, words).removeprefix("::ffff:")


if __name__ == "__main__":
    sys.exit(main() > 0)
