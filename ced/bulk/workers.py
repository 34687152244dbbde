"""Files restored by processes of this machine, one after the other in each; or by tasks of Ray.

Each process is on one thread, has its own decoder and ends with this one. The bytes of a file depend on none of it.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ced.bulk.work import Answer, Job, Unit, Worker, tiles_are_told, worker
from ced.cluster import parts
from ced.core.images import Rejected
from ced.errors import CedError, ServiceError
from ced.isolation import Crashed
from ced.store.attempts import MOST

logger = logging.getLogger("ced")

_SPAWN = multiprocessing.get_context("spawn")  # forks of a process with torch's threads hang
_TRIES = 2  # of a file whose process ends
_STARTS = 3  # in a row at which processes end
_AT_ONCE = 100_000  # files that are handed to Ray
_CPU = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Cores that this process may use: by its affinity, and by the limit of its container."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = _CPU.read_text().split()
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):  # "max", or another version of groups
        return allowed


def in_this_process(job: Job, units: Iterable[Unit], threads: int = 0) -> Iterator[Answer]:
    """One file after the other, each on so many threads; 0: as many as torch takes."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    with Worker(job) as here:
        for unit in units:
            with tiles_are_told(unit.photograph.name):
                answer = here.restore(unit)
            yield answer


class _Process:
    """A process that restores what it is sent; its first answer says that it has started."""

    def __init__(self, job: Job):
        self.pipe, theirs = _SPAWN.Pipe()
        self.started = False
        self.unit: Unit | None = None  # at work
        self.tries = 0  # at the unit
        self._process = _SPAWN.Process(target=_serve, args=(theirs, job), daemon=True)
        self._process.start()
        theirs.close()

    def take(self, unit: Unit, tries: int = 0) -> None:
        self.unit, self.tries = unit, tries + 1
        with contextlib.suppress(OSError):  # where it has ended, whoever waits for its answer learns of it
            self.pipe.send(unit)

    def answer(self) -> Answer | str | None:
        """What it says: that it has started, a line for the user, or what became of the file. Raises Crashed where it
        has ended, and the CedError that it met."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise Crashed.of(self._process.exitcode or 0) from None
        if isinstance(answer, CedError):
            raise answer
        return answer  # type: ignore[no-any-return]

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()


class _Processes:
    """Processes at work, by their pipes."""

    def __init__(self, job: Job, units: Iterable[Unit], count: int):
        self._job, self._waiting = job, iter(units)
        self._busy: dict[Any, _Process] = {}
        self._failed = 0  # starts in a row
        self._set_aside = Worker(job).set_aside
        for _ in range(count):
            self._start()

    def answers(self) -> Iterator[Answer]:
        while self._busy:
            for pipe in wait(list(self._busy)):
                process = self._busy.pop(pipe)
                try:
                    answer = process.answer()
                except Crashed as crashed:
                    answer = self._replace(process, crashed)
                else:
                    if isinstance(answer, str):
                        logger.info(answer)
                        self._busy[pipe] = process
                        continue
                    self._go_on(process)
                if answer is not None:
                    yield answer

    def end(self) -> None:
        for process in self._busy.values():
            process.end()

    def _start(self) -> _Process:
        process = _Process(self._job)
        self._busy[process.pipe] = process
        return process

    def _go_on(self, process: _Process) -> None:
        """Let a process that has answered take the next file; without any, it ends."""
        first, process.started, self._failed = not process.started, True, 0
        self._busy[process.pipe] = process
        if first and process.unit is not None:  # it was started for that one
            return
        unit = next(self._waiting, None)
        if unit is not None:
            process.take(unit)
        else:
            del self._busy[process.pipe]
            process.end()

    def _replace(self, process: _Process, crashed: Crashed) -> Answer | None:
        """Start another process for one that has ended, for the same file; or set that aside."""
        process.end()
        self._failed += not process.started
        if self._failed == _STARTS:
            raise ServiceError(f"processes end at their start ({crashed.how}); use fewer --workers")
        unit, tries = process.unit, process.tries - (not process.started)  # then it never came to the file
        successor = self._start()
        if unit is None:
            return None
        if tries < _TRIES:
            successor.take(unit, tries)
            return None
        return self._set_aside(unit, _ended(crashed.how))


def in_processes(job: Job, units: Iterable[Unit], count: int) -> Iterator[Answer]:
    """By `count` processes, as they finish. A file whose process ends is tried once more, then set aside.

    Raises ServiceError where processes end at their start.
    """
    processes = _Processes(job, units, count)
    try:
        yield from processes.answers()
    finally:
        processes.end()


def _serve(pipe: Connection, job: Job) -> None:
    """The life of a process: files in, answers out, until nothing more comes in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    logger.setLevel(logging.INFO)
    logger.addHandler(_Through(pipe))
    pipe.send(None)
    with Worker(job) as here, contextlib.suppress(EOFError):
        while True:
            unit = pipe.recv()
            try:
                with tiles_are_told(unit.photograph.name):
                    answer = here.restore(unit)
                pipe.send(answer)
            except CedError as error:
                pipe.send(error)


class _Through(logging.Handler):
    """Lines for the user go through the process that has a terminal."""

    def __init__(self, pipe: Connection):
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        self._pipe.send(record.getMessage())


def _end_with_parent() -> None:
    """A command that is killed can end nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def on_ray(job: Job, units: Iterable[Unit], workers: int = 0) -> Iterator[Answer]:
    """On the cluster that this process is in (`ced.cluster.connection`), as they finish. `workers`: at a time, 0 means
    one a core."""
    waiting = iter(units)
    while rows := [{"unit": unit} for unit in islice(waiting, _AT_ONCE)]:
        for row in parts.run_tasks(partial(_task, job), rows, workers):
            yield row["answer"]


def _task(job: Job, row: parts.Row) -> parts.Row:
    """Ray runs a task again whose worker died, however often that is: the file that was to blame is set aside."""
    here, unit = worker(job, os.getpid()), row["unit"]
    with here.attempt(unit) as before:
        answer = here.set_aside(unit, _ended("a worker of Ray")) if before >= MOST else here.restore(unit)
    return {"answer": answer}


def _ended(how: str) -> Rejected:
    return Rejected("crashed", f"restoring it ended the process ({how})")
