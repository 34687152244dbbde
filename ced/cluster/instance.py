"""A Ray instance of a run's own: open to nobody else, and gone with the run, its files too.

It is held by a process of its own (`python -m ced.cluster.instance`), so that Ctrl-C and a signal to the process group
reach the run alone, which leaves in order, and so that nothing of it is left in the run's environment. That process
ends when the run does, also by `kill -9`: its standard input ends then.

Whoever connects needs a random token, which lies in the instance's folder, readable by this user alone; Ray's programs
are told the file's name, never the token. Everything listens on 127.0.0.1.
"""

import contextlib
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ced import environment
from ced.errors import CedError, ServiceError, first_line
from ced.timeouts import NoAnswer, call_in_time

HOST = "127.0.0.1"
LOST = "Ray's processes were ended, by somebody or for want of memory; the same command goes on where it was"
LINE = f"ced: error: {LOST}\n".encode()
START_TIMEOUT = 180.0  # seconds; usually three, but a machine may be very busy
STOP_TIMEOUT = 6.0  # seconds to end in order; then it is killed

_PREFIX = "ced-ray-"  # of the instances' folders
_RAY = "r"  # Ray's own folder in it: Ray opens its own to everybody, and the one around it stays closed
_TOKEN, _LOCK = "token", "lock"
_IN_ORDER = b"."  # what a run writes into the instance's standard input when it leaves
_SAID = b"lost"  # what the instance answers when Ray has ended by itself, and it has said so
_AFTERWARDS = 2.0  # seconds in which Ray may end after a run that it has ended
_LONGEST = 107 - len(f"/{_PREFIX}12345678/{_RAY}/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")
_STARTS = 3  # attempts
_NOTICED = 0.5  # seconds until the run knows of Ray's end
_POLL = 1.0  # seconds between two looks whether the run and Ray are there
_UNLOCKED = 60.0  # seconds after which a folder without a lock belongs to nobody


class Door(NamedTuple):
    """What a driver needs to connect."""

    address: str  # HOST:PORT
    token: str  # the file that holds it


class Instance:
    """A process that starts a private Ray and ends when told, or when this process ends."""

    def __init__(self) -> None:
        messages = os.dup(2)
        self.process = subprocess.Popen(
            [*environment.python("ced.cluster.instance"), str(messages)],
            env=environment.of_private_ray(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=[messages],
            start_new_session=True,
        )
        self._ended = threading.Event()  # by itself
        self._told = False  # to end
        os.close(messages)

    def wait(self, timeout: float = START_TIMEOUT) -> Door:
        """Until Ray is there. Raises ServiceError where it does not start."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else b""
        answer = json.loads(line) if line else {"error": "it does not answer" if not ready else "it has ended"}
        if "error" in answer:
            raise ServiceError(f"Ray does not start on this machine: {answer['error']}")
        return Door(**answer)

    def announce_end(self) -> None:
        """Wait until Ray has ended. Where nobody told it to, standard error has its line then: of the process that
        holds Ray or, where that one was killed, of this one."""
        assert self.process.stdout is not None
        said = b""
        with contextlib.suppress(OSError, ValueError):  # closed
            said = self.process.stdout.read()
        if not self._told:
            if _SAID not in said:
                os.write(2, LINE)
            self._ended.set()

    def lost(self, wait: float = _NOTICED) -> bool:
        """Whether Ray has ended by itself. It waits a moment: who calls Ray may see its end first."""
        return self._ended.wait(wait)

    def stop(self) -> None:
        """End it, with all its processes and files."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self._told = True  # before it hears of it
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was told before
            self.process.stdin.write(_IN_ORDER)
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT)
        if self.process.poll() != 0:  # it hangs, or was killed itself
            _kill_session(self.process.pid)
            self.process.kill()
            self.process.wait()
            sweep()
        self.process.stdout.close()


def serve(messages: int) -> None:
    """Start Ray, say where on standard output, which ends with Ray, and end all with standard input.

    `messages` is the run's standard error: Ray ends a run at once and in silence when it misses its raylet, and
    somebody has to say so.
    """
    parent = os.getppid()
    answers = os.fdopen(os.dup(1), "w")  # which no process of Ray's inherits
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        sweep()
        with _folder() as folder:
            try:
                node, door = _start(folder)
                print(json.dumps(door._asdict()), file=answers, flush=True)
                if _lost(parent, node):
                    os.write(messages, LINE)
                    print(_SAID.decode(), file=answers, flush=True)
                answers.close()
                _end(node)
            finally:
                _kill_session(os.getpid())
    except CedError as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
    except BaseException as error:  # noqa: BLE001 - the run says it
        print(json.dumps({"error": first_line(error)}), file=answers, flush=True)
    os._exit(0)  # what Ray has left to do at exit was for its processes, which are gone


def _start(folder: Path) -> tuple[Any, Door]:
    """Ray's processes, as `ray.init` starts them, but for those that serve nobody here.

    Those are the autoscaler, the log monitor, and a dashboard, which is started even without one, and only asks cloud
    providers where it is.
    """
    token = folder / _TOKEN
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    environment.enter_private_ray(str(folder), str(token))
    from ray._private import services
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    services.start_api_server = lambda *_, **__: ("", None)
    for again in reversed(range(_STARTS)):
        try:
            node = Node(
                RayParams(
                    node_ip_address=HOST,
                    temp_dir=str(folder / _RAY),
                    include_dashboard=False,
                    include_log_monitor=False,
                    no_monitor=True,
                ),
                head=True,
                shutdown_at_exit=False,
                spawn_reaper=True,
                ray_init_cluster=True,
            )
        except Exception:  # Ray gives its processes 30 seconds, which is too little on a machine that is very busy
            _kill_session(os.getpid())
            if not again:
                raise
        else:
            return node, Door(node.address, str(token))
    raise AssertionError


def _lost(parent: int, node: Any) -> bool:
    """Wait until the run leaves or is gone, somebody asks by SIGTERM, or one of Ray's processes has ended. Whether Ray
    has ended by itself, which can end the run first."""
    asked: list[int] = []
    child, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while not asked and os.getppid() == parent and not node.dead_processes():
        ready, _, _ = select.select([sys.stdin, child], [], [], _POLL)
        if sys.stdin in ready:
            if os.read(sys.stdin.fileno(), 1) == _IN_ORDER:
                return False
            break
        if ready:
            os.read(child, 4096)
    deadline = time.monotonic() + _AFTERWARDS
    while not asked and not node.dead_processes() and time.monotonic() < deadline:
        time.sleep(_POLL)
    return bool(node.dead_processes())


def _end(node: Any) -> None:
    """End Ray's processes in order, where they do so within seconds."""
    with contextlib.suppress(NoAnswer):
        call_in_time(lambda: node.kill_all_processes(check_alive=False, allow_graceful=True), STOP_TIMEOUT / 2)


def _kill_session(leader: int) -> None:
    """SIGKILL to all processes of a session but its leader, until there are none."""
    deadline = time.monotonic() + STOP_TIMEOUT / 2
    while time.monotonic() < deadline and (left := list(_session(leader))):
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _session(leader: int) -> Iterator[int]:
    """The living processes of a session but its leader. Where there is no /proc, Ray's own reaper ends them."""
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with contextlib.suppress(OSError):
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            if pid != leader and os.getsid(pid) == leader and state != "Z":
                yield pid


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder of this user alone with a short path, locked as long as it is in use, removed at the end."""
    base = next((base for base in _bases() if os.access(base, os.W_OK | os.X_OK)), None)
    if base is None:
        raise ServiceError("no folder for Ray's sockets: their paths must be short; name one that is in RAY_TMPDIR")
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(lock) and (folder / _LOCK).exists():  # else another run has taken it for one that is left over
            break
        os.close(lock)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _bases() -> list[Path]:
    """Where such folders may be, best first."""
    named = environment.temporary_folders()
    return [path for path in dict.fromkeys(map(Path, named)) if len(os.fsencode(path)) <= _LONGEST and path.is_dir()]


def sweep() -> None:
    """Remove the folders of this user's instances that were killed."""
    for base in _bases():
        for folder in base.glob(f"{_PREFIX}????????"):
            with contextlib.suppress(OSError):
                if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not _abandoned(folder):
                    continue
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return not any(folder.iterdir()) and time.time() - folder.stat().st_mtime > _UNLOCKED
    try:
        return _locked(lock)
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    serve(int(sys.argv[1]))
