"""The batches of one worker, step after step: of examples that are all on the device, or that stream from their parts.

Either way the batches are the same (`ced.training.data.Sampler`), so how a training was fed leaves no trace in its
outcome.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ced.config import TrainConfig
from ced.training import data
from ced.training.context import PIECE, Piece, WorkerContext, prefetched
from ced.training.data import Examples, Planes, Rows, Sampler, Split
from ced.training.job import TrainJob
from ced.training.objectives import Batch, Objective

_VALIDATED = 64  # held-out examples at most
_PREFETCHED = 3  # batches on the device ahead of the step
_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Shard:
    """Worker `rank` of `world`'s part of each batch."""

    batch_size: int
    rank: int
    world: int

    @property
    def size(self) -> int:
        """How many examples of a batch are this worker's."""
        return len(range(self.rank, self.batch_size, self.world))

    def holds(self, positions: Rows) -> NDArray[np.bool_]:
        """Which positions of the stream this worker computes: of every batch, its part."""
        mine: NDArray[np.bool_] = positions % self.batch_size % self.world == self.rank
        return mine


@dataclass(frozen=True)
class Loader:
    """The examples of a training, as `objective` takes them."""

    train: TrainConfig
    objective: Objective
    examples: Examples
    split: Split

    @classmethod
    def open(cls, job: TrainJob, objective: Objective, classes: int) -> "Loader":
        """The examples that `job` names, whose labels are below `classes`. Raises FormatError where they cannot be
        used."""
        examples = data.find(job.examples, job.labelled, objective.columns, job.channels, classes)
        return cls(job.train, objective, examples, data.split(examples.sources, job.train.validation_fraction))

    @contextlib.contextmanager
    def batches(self, context: WorkerContext, step: int) -> Iterator[Iterator[Batch]]:
        """This worker's shard of the batches from `step` to the last one, on the device.

        Raises FormatError where the examples cannot be used, also in the midst of it where they stream.
        """
        sampler = Sampler(self.split.training, self.examples.ends, self.train.shuffle_window, self.train.seed)
        shard = Shard(self.train.batch_size, context.rank, context.world)
        if fits(self.examples, context):
            yield resident(self.planes(self.split.training, context.device), sampler, shard, step)
            return
        with streamed(self.examples, sampler, shard, context, range(step, self.train.steps)) as batches:
            yield (self.objective.complete(batch) for batch in batches)

    def planes(self, rows: Rows, device: torch.device) -> Planes:
        """The examples `rows`, on the device."""
        read = self.examples.read(rows)
        return self.objective.complete({name: plane.to(device) for name, plane in read.items()})

    def held_out(self, device: torch.device) -> Batch:
        """The held-out examples that a report judges by, on the device."""
        return self.planes(data.spread(self.split.validation, _VALIDATED), device)


def fits(examples: Examples, context: WorkerContext) -> bool:
    """Whether the examples are to be held on the device whole, by `cluster.data` and `cluster.data_memory`."""
    if context.cluster.data != "auto":
        return context.cluster.data == "device"
    sharing = context.world if context.device.type == "cpu" else 1  # workers that may share the memory
    limit = context.cluster.data_memory * 1e9 or free_memory(context.device) / 2 / sharing
    return examples.bytes <= limit


def resident(planes: Planes, sampler: Sampler, shard: Shard, step: int) -> Iterator[Batch]:
    """Endless batches from `step` on of `sampler`'s examples, which are on the device; only numbers travel there."""
    device = next(iter(planes.values())).device
    while True:
        rows = sampler.batch(shard.batch_size, step)[shard.rank :: shard.world]
        index = _moved(torch.from_numpy(np.searchsorted(sampler.rows, rows)), device)
        yield {name: plane.index_select(0, index) for name, plane in planes.items()}
        step += 1


@contextlib.contextmanager
def streamed(
    examples: Examples, sampler: Sampler, shard: Shard, context: WorkerContext, steps: range
) -> Iterator[Iterator[Batch]]:
    """The batches of `steps`, read from the parts window by window: while one is trained on, the next is read."""
    first, last = steps.start * shard.batch_size, steps.stop * shard.batch_size
    reader = Reader(examples, sampler, shard, first, last)
    with (
        context.stream(reader, list(sampler.windows(first, last)), reader.window_bytes) as pieces,
        prefetched(_on_device(_cut(pieces, shard.size), context.device), _PREFETCHED) as ready,
    ):
        yield _waited_for(ready)


@dataclass(frozen=True)
class Reader:
    """Reads what one worker needs of a window, wherever it is run."""

    examples: Examples
    sampler: Sampler
    shard: Shard
    first: int  # position of the stream from which on examples are wanted
    last: int  # up to which

    @property
    def window_bytes(self) -> int:
        """About how many bytes come out of one call."""
        count = min(self.sampler.size, len(self.sampler.rows)) // self.shard.world
        return max(1, count) * self.examples.bytes // len(self.examples.sources)

    def __call__(self, position: int) -> Iterator[Piece]:
        """This worker's examples of the window at `position`, in the order of the stream, in pieces of some MB."""
        window = self.sampler.window(position)
        positions = np.arange(max(window.start, self.first), min(window.end, self.last))
        mine = positions[self.shard.holds(positions)]
        planes = self.examples.read(window.rows[mine - window.start])
        each = max(1, PIECE * len(self.examples.sources) // self.examples.bytes)
        for start in range(0, len(mine), each):
            yield {name: plane[start : start + each].numpy() for name, plane in planes.items()}


def _cut(pieces: Iterator[Piece], size: int) -> Iterator[Batch]:
    """Batches of `size` examples, across the pieces' ends."""
    rest: Batch = {}
    for piece in pieces:
        planes = {name: torch.from_numpy(values) for name, values in piece.items()}
        if rest:
            planes = {name: torch.cat([rest[name], plane]) for name, plane in planes.items()}
        count = len(next(iter(planes.values())))
        for start in range(0, count - size + 1, size):
            yield {name: plane[start : start + size] for name, plane in planes.items()}
        rest = {name: plane[count - count % size :] for name, plane in planes.items()}


def _on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[tuple[Batch, "torch.cuda.Event | None"]]:
    """The batches copied to a GPU on a stream of their own, beside the computing; elsewhere as they are."""
    if device.type != "cuda":
        for batch in batches:
            yield batch, None
        return
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):  # type: ignore[no-untyped-call]
        for batch in batches:
            moved = {name: _moved(plane, device) for name, plane in batch.items()}
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            yield moved, event


def _waited_for(ready: Iterator[tuple[Batch, "torch.cuda.Event | None"]]) -> Iterator[Batch]:
    """The GPU, not this thread, waits until a batch has been copied."""
    for batch, event in ready:
        if event is not None:
            current = torch.cuda.current_stream()
            current.wait_event(event)
            for plane in batch.values():
                plane.record_stream(current)
        yield batch


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """`values` on the device; from pinned memory, so that nobody waits for the copy."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def free_memory(device: torch.device) -> int:
    """Bytes that are free where `device` computes; on CPU also within the limits of a container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_free_of_machine(_MEMINFO), _free_of_group(_GROUP))


def _free_of_machine(meminfo: Path) -> int:
    """What programs could still get; half of all where the system does not say."""
    try:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _free_of_group(group: Path) -> int:
    """What the container may still take; its cached files count as taken."""
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # not in a container, or no limit: "max"
        return 1 << 62
