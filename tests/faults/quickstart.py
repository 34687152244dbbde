"""A small quickstart for the faults that are sent to its processes."""

import contextlib
import os
import re
import signal
import subprocess
import time
import uuid
from pathlib import Path

from tests.e2e.test_pipeline import command

SECONDS = 10.0  # to leave in
SHORTER = ("--set", "evaluate.methods=jpeg,ced-gt", "--set", "evaluate.pictures=1")  # without ED and CED-EST
_MARK = "CED_FAULTS_MARK"  # in the environment of a run and of all that it starts


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    processes = [pid]
    for each in processes:  # grows on the way
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                processes += map(int, (task / "children").read_text().split())
    return processes[1:]


class Run:
    """A run, with `more` arguments, that has temporary files of its own."""

    def __init__(self, store: Path, *more: str) -> None:
        self.mark = uuid.uuid4().hex
        self.sessions: set[int] = set()
        self.temporary = store.parent / "t"
        self.temporary.mkdir(exist_ok=True)
        self.log = store.with_suffix(".log")
        environment = os.environ | {_MARK: self.mark, "TMPDIR": str(self.temporary)}
        with open(self.log, "w") as file:
            self.process = subprocess.Popen(
                command(store, *more),
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )

    def processes(self) -> list[int]:
        """All living processes of the run, whoever their parent is now: those with its mark, and those of their
        sessions, since programs that set their title write over their environment."""
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        for pid in pids:
            with contextlib.suppress(OSError):
                if f"{_MARK}={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                    self.sessions.add(os.getsid(pid))
        found = []
        for pid in pids:
            with contextlib.suppress(OSError):
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                if os.getsid(pid) in self.sessions and state != "Z":
                    found.append(pid)
        return found

    def ray(self) -> list[int]:
        """Those that are Ray's, and the one that holds it."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                if re.search(rb"^ray::|/gcs_server|/raylet|ced\.cluster\.instance|/ray/", line):
                    found.append(pid)
        return found

    def left_behind(self) -> str:
        """What is there still, some seconds after the end; it is removed."""
        deadline = time.monotonic() + SECONDS
        while (alive := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        # But for torch's cache of compiled code, one for each user, which is meant to stay.
        files = sorted(p.name for p in self.temporary.iterdir() if not p.name.startswith("torchinductor_"))
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return f"{len(alive)} processes, {files}" if alive or files else ""
