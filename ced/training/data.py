"""Labelled examples in memory, and the photographs that are held out of training."""

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

from ced.core import columns, frequency
from ced.errors import FormatError
from ced.schema import VERSION


class Examples(NamedTuple):
    """Examples as stored: N of them, uint8, one row each in every tensor."""

    planes: dict[str, Tensor]  # of the columns read: input, target (N, C, H, W); labels (N, 16, H/4, W/4)
    sources: list[str]  # the photograph each comes from


class Split(NamedTuple):
    """Row numbers."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]


def read(folder: str, wanted: Sequence[str], channels: int) -> Examples:
    """Read the columns `wanted` (of input, target, labels) of all parts in `folder`, in the order of their names.

    Raises FormatError where there are no parts, a part is no labelled example file of this version, or the
    examples are not all of one size with `channels` planes.
    """
    paths = sorted(Path(folder).glob("part-*.parquet"))
    if not paths:
        raise FormatError(f"{folder}: no part-*.parquet in it; give the folder of labelled examples")
    counts = {path: count for path in paths if (count := _rows(path, [*wanted, "source"]))}
    if not counts:
        raise FormatError(f"{folder}: no examples in its parts; give photographs that can be decoded")
    shapes = _shapes(next(iter(counts)), channels)
    # Allocated at once: the examples are most of the memory of a training, and need not be there twice.
    planes = {name: torch.empty((sum(counts.values()), *shapes[name]), dtype=torch.uint8) for name in wanted}
    sources: list[str] = []
    for path in counts:
        table = _read_part(path, [*wanted, "source"])
        for name in wanted:
            rows = planes[name][len(sources) : len(sources) + len(table)]
            rows.copy_(_stack(table[name], shapes[name], f"{path}: column {name!r}"))
        sources += table["source"].to_pylist()
    return Examples(planes, sources)


def check_labels(labels: Tensor, classes: int, folder: str) -> None:
    """Raises FormatError where a label is beyond the classes."""
    highest = int(labels.max())
    if highest >= classes:
        raise FormatError(
            f"{folder}: label {highest}, where classes.json has {classes} classes (0 to {classes - 1}); "
            "label the examples again with these classes"
        )


def split(sources: Sequence[str], fraction: float) -> Split:
    """Hold out `fraction` of the photographs, at least one and never all, with all that was cut from them.

    Held out are those whose names have the smallest SHA-256: whatever else is added, a photograph's rank
    stays its own.
    """
    names = sorted(set(sources), key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    count = min(math.ceil(fraction * len(names)), len(names) - 1)
    held = np.isin(np.array(sources), names[:count]) if count else np.zeros(len(sources), bool)
    return Split(np.flatnonzero(~held), np.flatnonzero(held))


def spread(indices: NDArray[np.int64], at_most: int) -> NDArray[np.int64]:
    """At most `at_most` of the `indices`, evenly spread."""
    count = min(at_most, len(indices))
    return indices[np.arange(count) * len(indices) // max(count, 1)]


def _rows(path: Path, wanted: list[str]) -> int:
    """How many examples a part has, once its schema is what it should be."""
    with _opened(path) as file:
        _check_schema(path, file.schema_arrow, wanted)
        return int(file.metadata.num_rows)


def _shapes(path: Path, channels: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an example's columns, from the first row of a part."""
    table = _read_part(path, ["height", "width"])
    height, width = table["height"][0].as_py(), table["width"][0].as_py()
    plane, patches = (channels, height, width), (height // frequency.PATCH, width // frequency.PATCH)
    return {"input": plane, "target": plane, "labels": (frequency.CHANNELS, *patches)}


def _read_part(path: Path, wanted: list[str]) -> pa.Table:
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


def _check_schema(path: Path, schema: pa.Schema, wanted: list[str]) -> None:
    version = (schema.metadata or {}).get(b"ced.schema", b"none").decode(errors="replace")
    if version != VERSION:
        raise FormatError(f"{path}: schema version {version}, where {VERSION} is read; make the examples again")
    for name in wanted:
        if name not in schema.names:
            raise FormatError(f"{path}: no column {name!r}; give the folder of labelled examples")


def _stack(column: pa.ChunkedArray, shape: tuple[int, ...], where: str) -> Tensor:
    try:
        return torch.from_numpy(columns.stack(column, shape))
    except (ValueError, TypeError) as error:
        wanted = " x ".join(map(str, shape))
        raise FormatError(f"{where}: {error}, where {wanted} is wanted; give examples of one size") from None
