"""Subprocess isolation: work in a process of its own. What ends that process does not end this one."""

import contextlib
import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTERM)
_SHARE = 0.8  # of the memory that is free now


class Crashed(Exception):
    """The process ended before the work: `how` names the signal, or the exit status."""

    def __init__(self, how: str):
        super().__init__(how)
        self.how = how


def run_isolated(work: Callable[[], T]) -> T:
    """`work()`, done by a fork of this process.

    What it returns or raises travels as a pickle. It may take no more memory than is free now, so that it rather gets a
    MemoryError than has the system end other processes too. Raises Crashed.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: this one needs none of them
        child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise Crashed(_how(status))
    succeeded, value = pickle.loads(answer)
    if not succeeded:
        raise value
    result: T = value
    return result


def _answer(work: Callable[[], object], writing: int) -> None:
    """The life of the fork: it never returns to what this process was doing."""
    status = 1
    with contextlib.suppress(BaseException):
        for number in _DEADLY:
            signal.signal(number, signal.SIG_DFL)  # no traces of a process that is not the one they speak of
        _bound()
        try:
            answer = (True, work())
        except Exception as error:  # noqa: BLE001 - whatever it is, it travels
            answer = (False, error)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        status = 0
    os._exit(status)


def _bound() -> None:
    """No core files, and no more memory than there is. Where the system does not tell how much, no limit."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError, StopIteration):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
        limit = taken + int(_SHARE * free)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
