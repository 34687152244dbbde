"""The record of an output folder: restored.parquet, a row for each source, and the journals of runs under way.

Whoever restores a file writes its row into a journal first and the file itself after that. So what a process that was
killed has finished is known by its row and by the file of that digest; a row without it was not finished. A run that
ends in order puts all rows into restored.parquet/part-*.parquet and removes the journals.
"""

import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from ced import schema
from ced.bulk.places import Place
from ced.errors import FormatError
from ced.store.outputs import is_table, part_name

FOLDER = "restored.parquet"
RESTORED, LEFT, ASIDE = "restored", "left", "set aside"  # what was done
BEGUN = ".begun-"  # marks of attempts that Ray may have to make again
_JOURNAL = ".journal-"
_ROWS = 100_000  # of a part
_LINES = 100  # of a journal that is written as a whole for each of its lines


@dataclass(kw_only=True)
class RestoredRow:
    """What became of one source (`ced.schema.RESTORED`)."""

    source: str
    stamp: str
    digest: str = ""
    size: int = 0
    quality: int | None = None
    restorer: str
    settings: str
    seconds: float = 0.0
    done: str = ASIDE
    reason: str = ""
    warning: str = ""
    output: str = ""
    output_size: int = 0
    output_digest: str = ""

    def published(self, place: Place) -> bool:
        """Whether its output is there as it was written."""
        return bool(self.output) and place.holds(self.output, self.output_size, self.output_digest)


class Journal:
    """The rows that one process writes down. Those of a later run have a higher number."""

    def __init__(self, place: Place, run: int):
        self._place, self._run = place, run
        self._lines: list[str] = []

    def note(self, row: RestoredRow) -> None:
        """Write a row down; it is on the disk afterwards. Raises OutputError."""
        if not self._lines:
            self._name = f"{FOLDER}/{_JOURNAL}{self._run:06d}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        self._lines.append(json.dumps(asdict(row)))
        self._place.append(self._name, self._lines)
        if len(self._lines) == _LINES:
            self._lines = []


class Record:
    """What was done in an output folder. Raises FormatError where restored.parquet is of another program.

    Rows of runs that were killed count where the file that they speak of is there; those of run `whole` all do.
    """

    def __init__(self, place: Place, whole: int = 0):
        self._place = place
        names = place.names(FOLDER)
        self._parts = [name for name in names if is_table(name)]
        self._journals = [name for name in names if name.startswith(_JOURNAL)]
        tables = [_read(place, name) for name in self._parts]
        for name in self._journals:
            table = _read(place, name)
            tables.append(table if _run(name) == whole else table.filter(self._arrived(table)))
        self._rows = pa.concat_tables([schema.RESTORED.empty_table(), *tables]).combine_chunks()
        self._newest: dict[str, int] = {}  # the last row of each source
        self._latest: dict[str, int] = {}  # the last one with an output, where the last one has none: damaged since
        self._wrote: dict[str, int] = {}  # the last row of each output
        self._earlier: dict[str, list[int]] = {}  # and those before it, where there are any
        sources, outputs = (self._rows[name].to_pylist() for name in ("source", "output"))
        for number, (source, output) in enumerate(zip(sources, outputs, strict=True)):
            former = self._newest.get(source)
            self._newest[source] = number
            if output:
                self._latest.pop(source, None)
                if output in self._wrote:
                    self._earlier.setdefault(output, []).append(self._wrote[output])
                self._wrote[output] = number
            elif former is not None and outputs[former]:
                self._latest[source] = former

    @property
    def next_run(self) -> int:
        """A number above those of all journals."""
        return 1 + max(map(_run, self._journals), default=0)

    def newest(self, source: str) -> RestoredRow | None:
        """The last row of a source."""
        number = self._newest.get(source)
        return None if number is None else self._row(number)

    def named(self) -> dict[str, str]:
        """The last output of each source that has one."""
        outputs = self._rows["output"].to_pylist()
        last = ((source, outputs[self._latest.get(source, number)]) for source, number in self._newest.items())
        return {source: output for source, output in last if output}

    def outputs(self) -> set[str]:
        """All outputs that were ever written down."""
        return set(self._wrote)

    def digest(self, output: str) -> str:
        """The SHA-256 of an output that is as it was written, "" for anything else that is there."""
        if output not in self._wrote:
            return ""
        numbers = (self._wrote[output], *reversed(self._earlier.get(output, ())))
        return next((row.output_digest for row in map(self._row, numbers) if row.published(self._place)), "")

    def close(self) -> None:
        """The last row of each source into restored.parquet, without journals; outputs that others have replaced go.
        Raises OutputError."""
        if not self._journals:
            return
        table = self._rows.take(pa.array(self._newest.values(), pa.int64()))
        latest = pa.array([self._latest.get(source, number) for source, number in self._newest.items()], pa.int64())
        for number, name in enumerate(table.column_names):
            if name.startswith("output"):  # of what is set aside now, the one that is there still
                table = table.set_column(number, table.field(number), self._rows[name].take(latest))
        for output in self.outputs() - set(table["output"].to_pylist()):
            if self.digest(output):
                self._place.remove(output)
        table = table.take(pc.sort_indices(table, [("source", "ascending")]))
        written = []
        for number, start in enumerate(range(0, table.num_rows, _ROWS)):
            sink = pa.BufferOutputStream()
            pq.write_table(table.slice(start, _ROWS), sink, compression="zstd")
            written.append(part_name(number))
            self._place.write(f"{FOLDER}/{written[-1]}", sink.getvalue().to_pybytes())
        self._place.tidy()
        gone = {name for name in self._place.names(FOLDER) if name.startswith(BEGUN)}.union(self._parts)
        for name in [*sorted(gone.difference(written)), *self._journals]:  # these last: until then they count
            self._place.remove(f"{FOLDER}/{name}")

    def _arrived(self, table: pa.Table) -> pa.Array:
        columns = (table[name].to_pylist() for name in ("output", "output_size"))
        there = [not output or self._place.size(output) == size for output, size in zip(*columns, strict=True)]
        return pa.array(there, pa.bool_())

    def _row(self, number: int) -> RestoredRow:
        return RestoredRow(**self._rows.slice(number, 1).to_pylist()[0])


def _run(journal: str) -> int:
    return int(journal.removeprefix(_JOURNAL).split("-")[0])


def noted(place: Place, run: int, source: str) -> RestoredRow | None:
    """The row of a source in the journals of a run, by a process that has ended since."""
    names = [name for name in place.names(FOLDER) if name.startswith(f"{_JOURNAL}{run:06d}-")]
    rows = [row for name in names for row in _read(place, name).to_pylist() if row["source"] == source]
    return RestoredRow(**rows[-1]) if rows else None


def _read(place: Place, name: str) -> pa.Table:
    """Without Arrow's threads: one that lets go of bytes of Python's while it exits ends the process (GH-49942)."""
    data = place.read(f"{FOLDER}/{name}")
    try:
        if is_table(name):
            return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False).cast(schema.RESTORED)
        whole = data[: data.rfind(b"\n") + 1]  # a line that a power cut tore says nothing
        if not whole:
            return schema.RESTORED.empty_table()
        options: Any = pyarrow.json.ParseOptions(explicit_schema=schema.RESTORED, unexpected_field_behavior="error")
        reading = pyarrow.json.ReadOptions(use_threads=False)
        return pyarrow.json.read_json(pa.BufferReader(whole), reading, options).cast(schema.RESTORED)
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(f"{FOLDER}/{name}: not a record of this version of ced; name another folder") from error
