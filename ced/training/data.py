"""Labelled examples in their Parquet parts: what is there, any rows of it, and the photographs that are held out."""

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

Rows = NDArray[np.int64]
Planes = dict[str, Tensor]  # uint8: input, target (N, C, H, W); labels (N, 16, H/4, W/4)


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
    paths = sorted(Path(examples).glob("part-*.parquet"))
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
