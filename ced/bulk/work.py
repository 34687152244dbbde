"""One file of many restored, in whichever process: read, restored, written down, published."""

import contextlib
import dataclasses
import functools
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from ced import environment
from ced.bulk import record
from ced.bulk.names import Pair
from ced.bulk.places import place
from ced.bulk.record import Journal, RestoredRow
from ced.core.encoding import Writing
from ced.core.images import Rejected
from ced.data import sources
from ced.data.sources import Photograph
from ced.decoding import Decoder
from ced.errors import CedError, first_line, of_the_machine
from ced.progress import Progress
from ced.restoration import restorer
from ced.restoration.family import Family
from ced.restoration.files import RestoredFile, restore_file


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process needs to restore any of the files."""

    out: str  # an absolute path, or an address
    family: Family
    restorer: str  # name and digest
    writing: Writing
    seconds: float  # that decoding may take
    settings: str  # a digest of all of these that the outputs depend on
    run: int  # number of the journals
    overwrite: bool


class Unit(NamedTuple):
    """One file to restore."""

    photograph: Photograph
    names: Pair  # of its output
    ours: tuple[str, ...] = ()  # outputs of earlier runs that may be replaced
    former: RestoredRow | None = None  # by the same settings, of which the output is there


class Answer(NamedTuple):
    """What became of a file."""

    row: RestoredRow
    there: bool = False  # it was so already: the source has another stamp and the same bytes


class Worker:
    """What a process keeps from file to file."""

    def __init__(self, job: Job):
        self.job = job
        self._outputs = place(job.out)
        self._journal = Journal(self._outputs, job.run)
        self._decoder = Decoder(job.seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    def restore(self, unit: Unit) -> Answer:
        """Restore one file, or set it aside. Raises OutputError where nothing can be written, FormatError."""
        row, started = self._row(unit), time.perf_counter()
        try:
            finished = self._finished(unit)
            if finished is not None:
                return Answer(finished)
            data = sources.read(unit.photograph)
            row.size, row.digest = len(data), hashlib.sha256(data).hexdigest()
            if unit.former is not None and row.digest == unit.former.digest:
                renewed = dataclasses.replace(unit.former, stamp=row.stamp)
                self._journal.note(renewed)
                return Answer(renewed, there=True)
            restored = self._restored(data)
            name = unit.names.restored if restored.suffix else unit.names.left
            self._check_free(unit, name)
            row.done, row.reason = (record.LEFT, restored.left) if restored.left else (record.RESTORED, "")
            row.quality, row.warning = restored.quality, restored.warning
            row.output, row.output_size = name, len(restored.data)
            row.output_digest = hashlib.sha256(restored.data).hexdigest()
            row.seconds = time.perf_counter() - started
            self._journal.note(row)
            self._outputs.write(name, restored.data)
            return Answer(row)
        except Rejected as error:
            return self.set_aside(unit, error, row.digest, row.size, time.perf_counter() - started)

    def set_aside(self, unit: Unit, why: Rejected, digest: str = "", size: int = 0, seconds: float = 0.0) -> Answer:
        """Write down why a file is set aside."""
        row = dataclasses.replace(self._row(unit), digest=digest, size=size, seconds=seconds)
        row.reason = f"{why.message} ({why.reason})"
        self._journal.note(row)
        return Answer(row)

    @contextlib.contextmanager
    def attempt(self, unit: Unit) -> Iterator[int]:
        """How many attempts at a file there were in this run whose processes ended; this one is the next."""
        hashed = hashlib.sha256(unit.photograph.name.encode()).hexdigest()[:24]
        mark = f"{record.FOLDER}/{record.BEGUN}{self.job.run:06d}-{hashed}"  # has a byte for each attempt
        before = self._outputs.size(mark) or 0
        self._outputs.write(mark, bytes(before + 1))
        yield before
        self._outputs.remove(mark)

    def _row(self, unit: Unit) -> RestoredRow:
        name, stamp = unit.photograph.name, unit.photograph.stamp
        return RestoredRow(source=name, stamp=stamp, restorer=self.job.restorer, settings=self.job.settings)

    def _restored(self, data: bytes) -> RestoredFile:
        """Raises Rejected, whatever goes wrong with this file."""
        try:
            return restore_file(data, self.job.family, self._decoder, self.job.writing)
        except (Rejected, CedError):
            raise
        except MemoryError as error:
            raise Rejected("too large", "not enough memory to restore it") from error
        except Exception as error:
            if isinstance(error, OSError) and (line := of_the_machine(error)):
                raise line from error
            raise Rejected("failed", first_line(error, 200)) from error

    def _finished(self, unit: Unit) -> RestoredRow | None:
        """The row of a file that another process finished in this run, and died: the run began with finding the names
        free, so that nothing else can be there."""
        names = [name for name in unit.names if name not in unit.ours]
        if self.job.overwrite or all(self._outputs.size(name) is None for name in names):
            return None
        row = record.noted(self._outputs, self.job.run, unit.photograph.name)
        return row if row is not None and row.published(self._outputs) else None

    def _check_free(self, unit: Unit, name: str) -> None:
        if not self.job.overwrite and name not in unit.ours and self._outputs.size(name) is not None:
            raise Rejected("unwritable", f"{name} is there, and not by this command; --overwrite replaces it")


@functools.lru_cache(maxsize=1)
def worker(job: Job, process: int) -> Worker:
    """The worker of a process that is not only ours (Ray's); `process` is there for forks."""
    environment.quiet()
    return Worker(job)


@contextlib.contextmanager
def tiles_are_told(name: str) -> Iterator[None]:
    """What is restored in the block says how far it is, where it takes long."""
    progress: list[Progress] = []

    def tell(count: int) -> None:
        if not progress:
            progress.append(Progress(name, count, "tiles"))
        progress[0].advance()

    with restorer.tiles_told_to(tell):
        yield
