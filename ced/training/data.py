"""Labelled examples in their Parquet parts: what is there, any rows of it, the photographs that are held out, and which
examples make up the batch of a step.

The batch of a step is a pure function of seed and step, so that a resumed training goes on exactly, on any number of
workers, and whether the examples are in memory or stream from their files. The batches cut up one endless stream, in
which every example comes once an epoch, in an order of its own. Up to `window` examples are shuffled as one. More are
shuffled in two steps, so that a stream holds one window at a time: the order of the parts first, then the examples
inside a window of parts that follow each other. There the stream takes turns among 64 lanes, each a run of neighbouring
rows and far from the one before, so that each of 2, 4, ... 64 workers needs its share of the parts alone.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from ced.core import frequency
from ced.core.examples import stack
from ced.errors import FormatError
from ced.schema import VERSION
from ced.store import checked

Rows = NDArray[np.int64]
Planes = dict[str, Tensor]  # uint8: input, target (N, C, H, W); labels (N, 16, H/4, W/4)

# Turns of a window's 64 lanes: bits reversed, every 2nd, 4th ... 64th of them is one stretch of neighbours.
_LANES = [int(f"{lane:06b}"[::-1], 2) for lane in range(64)]


class Split(NamedTuple):
    """Row numbers."""

    training: Rows
    validation: Rows


class Examples(NamedTuple):
    """The examples of a folder, not yet read: their rows are numbered through all parts, in the order of names."""

    paths: tuple[Path, ...]  # of the parts that have any
    labels: Path  # folder of their labels, in parts of the same names and rows
    ends: Rows  # where each part's rows end
    shapes: dict[str, tuple[int, ...]]  # of one example, by the columns wanted
    sources: tuple[str, ...]  # the photograph each comes from
    classes: int = 255  # labels are below this

    @property
    def bytes(self) -> int:
        """What all of them take in memory."""
        return len(self.sources) * sum(math.prod(shape) for shape in self.shapes.values())

    def read(self, rows: Rows) -> Planes:
        """The examples `rows`, in that order; each part is opened once, and only the parts that are needed.

        Raises FormatError where they are not all of one size, or a label is beyond the classes.
        """
        # Allocated at once: the examples are most of the memory of a training, and need not be there twice.
        planes = {name: torch.empty((len(rows), *shape), dtype=torch.uint8) for name, shape in self.shapes.items()}
        parts = np.searchsorted(self.ends, rows, side="right")
        for part in np.unique(parts):
            places = np.flatnonzero(parts == part)
            inside = rows[places] - (self.ends[part - 1] if part else 0)
            for name, values in self._read_part(self.paths[part]).items():
                planes[name][torch.from_numpy(places)] = values[torch.from_numpy(inside)]
        return planes

    def _read_part(self, path: Path) -> Planes:
        labels = self.labels / path.name
        files = {name: labels if name == "labels" else path for name in self.shapes}
        for file in set(files.values()):
            checked.part(file)
        tables = {file: _read(file, [name for name in files if files[name] == file]) for file in set(files.values())}
        planes = {
            name: _stack(tables[file][name], self.shapes[name], f"{file}: column {name!r}")
            for name, file in files.items()
        }
        if "labels" in planes:
            _check_labels(planes["labels"], self.classes, labels)
        return planes


def find(examples: str, labels: str, wanted: Sequence[str], channels: int, classes: int = 255) -> Examples:
    """The examples of all parts in the folder `examples`, of which the columns `wanted` (of input, target, labels) are
    to be read; `labels` is the folder of their labels.

    Raises FormatError where there are no parts, or one is no file of examples or labels of this version.
    """
    paths = checked.parts(Path(examples))
    if not paths:
        raise FormatError(f"{examples}: no part-*.parquet in it; give the folder of the examples")
    counts = {path: count for path in paths if (count := _rows(path, Path(labels, path.name), wanted))}
    if not counts:
        raise FormatError(f"{examples}: no examples in its parts; give photographs that can be decoded")
    shapes = _shapes(next(iter(counts)), channels)
    sources = tuple(name for path in counts for name in _read(path, ["source"])["source"].to_pylist())
    ends = np.cumsum(list(counts.values()), dtype=np.int64)
    shapes = {name: shapes[name] for name in wanted}
    return Examples(tuple(counts), Path(labels), ends, shapes, sources, classes)


def split(sources: Sequence[str], fraction: float) -> Split:
    """Hold out `fraction` of the photographs, at least one and never all, with all that was cut from them.

    Held out are those whose names have the smallest SHA-256: whatever else is added, a photograph's rank
    stays its own.
    """
    names = sorted(set(sources), key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    count = min(math.ceil(fraction * len(names)), len(names) - 1)
    chosen = set(names[:count])  # no array of names: numpy's take "a" and "a\0" for the same
    held = np.fromiter((name in chosen for name in sources), bool, len(sources))
    return Split(np.flatnonzero(~held), np.flatnonzero(held))


def spread(indices: Rows, at_most: int) -> Rows:
    """At most `at_most` of the `indices`, evenly spread."""
    count = min(at_most, len(indices))
    return indices[np.arange(count) * len(indices) // max(count, 1)]


class Window(NamedTuple):
    """The examples at positions `start` up to `end` of the endless stream."""

    start: int
    end: int
    rows: Rows  # in the order of the stream


class Sampler:
    """The endless stream of the examples `rows`, sorted; `ends` says where each part's rows end among all examples."""

    def __init__(self, rows: Rows, ends: Rows, window: int, seed: int) -> None:
        self.rows, self.size, self.seed = rows, window, seed
        self.cuts = np.searchsorted(rows, np.concatenate([[0], ends]))  # part k is rows[cuts[k] : cuts[k + 1]]
        self._layout: tuple[int, Rows, list[Rows]] = (-1, np.empty(0, np.int64), [])  # of the latest epoch
        self._latest: list[Window] = []

    def batch(self, batch_size: int, step: int) -> Rows:
        """The examples of the batch of `step` (from 0), over all workers. Shape: (batch_size,)."""
        start, end = step * batch_size, (step + 1) * batch_size
        pieces = []
        while start < end:
            window = self.window(start)
            pieces.append(window.rows[start - window.start : end - window.start])
            start = window.end
        return np.concatenate(pieces)

    def window(self, position: int) -> Window:
        """The window that `position` lies in."""
        for window in self._latest:
            if window.start <= position < window.end:
                return window
        epoch, inside = divmod(position, len(self.rows))
        starts, groups = self._of_epoch(epoch)
        number = int(np.searchsorted(starts, inside, side="right")) - 1
        rows = self._shuffled(groups[number], epoch, number)
        start = epoch * len(self.rows) + int(starts[number])
        window = Window(start, start + len(rows), rows)
        self._latest = [*self._latest[-1:], window]  # a batch spans two at times
        return window

    def windows(self, start: int, end: int) -> Iterator[int]:
        """The positions at which windows start (the first one: `start` itself) that cover `start` up to `end`."""
        while start < end:
            yield start
            epoch, inside = divmod(start, len(self.rows))
            starts, _ = self._of_epoch(epoch)
            later = starts[starts > inside]
            start = epoch * len(self.rows) + (int(later[0]) if len(later) else len(self.rows))

    def _of_epoch(self, epoch: int) -> tuple[Rows, list[Rows]]:
        """Where each window of an epoch starts, and the parts in it."""
        if self._layout[0] != epoch:
            self._layout = (epoch, *self._laid_out(epoch))
        return self._layout[1:]

    def _laid_out(self, epoch: int) -> tuple[Rows, list[Rows]]:
        parts = np.arange(len(self.cuts) - 1)
        if len(self.rows) <= self.size:
            return np.zeros(1, np.int64), [parts]
        parts = parts[np.diff(self.cuts) > 0]
        parts = parts[self._generator(epoch).permutation(len(parts))]
        counts = np.diff(self.cuts)[parts]
        starts = np.cumsum(counts) - counts
        first = np.flatnonzero(np.diff(starts // self.size, prepend=-1))
        return starts[first], np.split(parts, first[1:])

    def _shuffled(self, parts: Rows, epoch: int, number: int) -> Rows:
        rows = np.concatenate([self.rows[self.cuts[part] : self.cuts[part + 1]] for part in parts])
        if len(self.rows) <= self.size:
            return rows[self._generator(epoch).permutation(len(rows))]
        generator = self._generator(epoch, number + 1)
        even = len(rows) // len(_LANES) * len(_LANES)
        lanes = generator.permuted(rows[:even].reshape(len(_LANES), -1), axis=1)[_LANES]
        return np.concatenate([lanes.T.ravel(), generator.permutation(rows[even:])])

    def _generator(self, *names: int) -> np.random.Generator:
        """Random numbers decided by the seed's absolute value and sign, and what they are for."""
        entropy = [abs(self.seed), int(self.seed < 0), *names]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def _rows(path: Path, labels: Path, wanted: Sequence[str]) -> int:
    """How many examples a part has, once its schema and that of its labels are what they should be."""
    count = _counted(path, [*(name for name in wanted if name != "labels"), "source"])
    if "labels" in wanted and _counted(labels, ["labels"]) != count:
        raise FormatError(f"{labels}: not one row for each of {path}; label the examples again")
    return count


def _counted(path: Path, wanted: Sequence[str]) -> int:
    with _opened(path) as file:
        _check_schema(path, file.schema_arrow, wanted)
        return int(file.metadata.num_rows)


def _shapes(path: Path, channels: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an example's columns, from the first row of a part."""
    table = _read(path, ["height", "width", "input"])
    height, width, first = (table[name][0].as_py() for name in ("height", "width", "input"))
    colours = {height * width: "y", 3 * height * width: "rgb"}
    if isinstance(first, bytes) and len(first) != channels * height * width and len(first) in colours:
        colour = colours[len(first)]
        raise FormatError(f"{path}: examples of prepare.colour={colour}, unlike the training's; set it too")
    plane, patches = (channels, height, width), (height // frequency.PATCH, width // frequency.PATCH)
    return {"input": plane, "target": plane, "labels": (frequency.CHANNELS, *patches)}


def _read(path: Path, wanted: list[str]) -> pa.Table:
    with _opened(path) as file:
        return file.read(wanted)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        line = " ".join(str(error).split())[:200]
        raise FormatError(f"{path}: cannot be read as Parquet ({line}); make the examples again") from None


def _check_schema(path: Path, schema: pa.Schema, wanted: Sequence[str]) -> None:
    version = (schema.metadata or {}).get(b"ced.schema", b"none").decode(errors="replace")
    if version != VERSION:
        raise FormatError(f"{path}: schema version {version}, where {VERSION} is read; make the examples again")
    for name in wanted:
        if name not in schema.names:
            raise FormatError(f"{path}: no column {name!r}; give the folders of examples and of their labels")
    if "labels" in wanted and "target" in schema.names:
        raise FormatError(f"{path}: examples and labels in one, as ced no longer writes them; prepare them again")


def _check_labels(labels: Tensor, classes: int, path: Path) -> None:
    highest = int(labels.max()) if len(labels) else 0
    if highest >= classes:
        raise FormatError(
            f"{path}: label {highest}, where classes.json has {classes} classes (0 to {classes - 1}); "
            "label the examples again with these classes"
        )


def _stack(column: pa.ChunkedArray, shape: tuple[int, ...], where: str) -> Tensor:
    try:
        return torch.from_numpy(stack(column, shape))
    except (ValueError, TypeError) as error:
        wanted = " x ".join(map(str, shape))
        raise FormatError(f"{where}: {error}, where {wanted} is wanted; give examples of one size") from None
