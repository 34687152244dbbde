"""Subprocess isolation: work in a process of its own. What ends that process does not end this one."""

import contextlib
import faulthandler
import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_DEADLY = (signal.SIGALRM, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTERM)
_SHARE = 0.8  # of the memory that is free now


class Crashed(Exception):
    """The process ended before the work: `how` names the signal, or the exit status."""

    def __init__(self, how: str):
        super().__init__(how)
        self.how = how

    @classmethod
    def of(cls, code: int) -> "Crashed":
        """By an exit code; negative, it is that of a signal."""
        if code >= 0:
            return cls(f"exit status {code}")
        try:
            return cls(signal.Signals(-code).name)
        except ValueError:
            return cls(f"signal {-code}")


class TooSlow(Crashed):
    """The process was ended since the work took too long."""


@contextlib.contextmanager
def ends_after(seconds: float) -> Iterator[None]:
    """This process ends, with exit status 1, where the body takes longer; it is asked for nothing before."""
    with open(os.devnull, "wb") as nothing:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nothing)  # a thread of C: no lock can keep it
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def run_isolated(work: Callable[[], T], seconds: float = 0) -> T:
    """`work()`, done by a fork of this process, in so many seconds; 0 means any number.

    What it returns or raises travels as a pickle. It may take no more memory than is free now, so that it rather gets a
    MemoryError than has the system end other processes too. Raises Crashed.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: this one needs none of them
        child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(work, writing, seconds)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise TooSlow("too slow") if seconds and code == -signal.SIGALRM else Crashed.of(code)
    succeeded, value = pickle.loads(answer)
    if not succeeded:
        raise value
    result: T = value
    return result


def _answer(work: Callable[[], object], writing: int, seconds: float) -> None:
    """The life of the fork: it never returns to what this process was doing."""
    status = 1
    with contextlib.suppress(BaseException):
        for number in _DEADLY:
            signal.signal(number, signal.SIG_DFL)  # no traces of a process that is not the one they speak of
        _bound()
        signal.setitimer(signal.ITIMER_REAL, seconds)
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
