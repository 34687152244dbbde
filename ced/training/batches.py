"""The batches of one worker, step after step: of examples that are all on the device, or that stream from their parts.

Either way the batches are the same (`ced.training.sampling`), so how a training was fed leaves no trace in its outcome.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ced.training import memory, sampling
from ced.training.context import PIECE, Piece, WorkerContext
from ced.training.data import Examples, Planes
from ced.training.objectives import Batch
from ced.training.prefetch import ahead
from ced.training.sampling import Order

_READY = 3  # batches on the device ahead of the step


@dataclass(frozen=True)
class Share:
    """Worker `rank` of `world`'s part of each batch."""

    batch_size: int
    rank: int
    world: int

    @property
    def size(self) -> int:
        """How many examples of a batch are this worker's."""
        return sampling.share(self.batch_size, self.rank, self.world)


def fits(examples: Examples, context: WorkerContext) -> bool:
    """Whether the examples are to be held on the device whole, by `cluster.data` and `cluster.data_memory`."""
    if context.cluster.data != "auto":
        return context.cluster.data == "device"
    beside = context.world if context.device.type == "cpu" else 1  # workers that may share the memory
    limit = context.cluster.data_memory * 1e9 or memory.free(context.device) / 2 / beside
    return examples.bytes <= limit


def resident(planes: Planes, stream: Order, share: Share, step: int) -> Iterator[Batch]:
    """Endless batches from `step` on of `stream`'s examples, which are on the device; only numbers travel there."""
    device = next(iter(planes.values())).device
    while True:
        rows = stream.batch(share.batch_size, step)[share.rank :: share.world]
        index = _moved(torch.from_numpy(np.searchsorted(stream.rows, rows)), device)
        yield {name: plane.index_select(0, index) for name, plane in planes.items()}
        step += 1


@contextlib.contextmanager
def streamed(
    examples: Examples, stream: Order, share: Share, context: WorkerContext, steps: range
) -> Iterator[Iterator[Batch]]:
    """The batches of `steps`, read from the parts window by window: while one is trained on, the next is read."""
    first, last = steps.start * share.batch_size, steps.stop * share.batch_size
    reader = Reader(examples, stream, share, first, last)
    with (
        context.stream(reader, list(stream.windows(first, last)), reader.window_bytes) as pieces,
        ahead(_on_device(_cut(pieces, share.size), context.device), _READY) as ready,
    ):
        yield _waited_for(ready)


@dataclass(frozen=True)
class Reader:
    """Reads what one worker needs of a window, wherever it is run."""

    examples: Examples
    stream: Order
    share: Share
    first: int  # position of the stream from which on examples are wanted
    last: int  # up to which

    @property
    def window_bytes(self) -> int:
        """About how many bytes come out of one call."""
        count = min(self.stream.size, len(self.stream.rows)) // self.share.world
        return max(1, count) * self.examples.bytes // len(self.examples.sources)

    def __call__(self, position: int) -> Iterator[Piece]:
        """This worker's examples of the window at `position`, in the order of the stream, in pieces of some MB."""
        window = self.stream.window(position)
        positions = np.arange(max(window.start, self.first), min(window.end, self.last))
        mine = positions[sampling.shared(positions, self.share.batch_size, self.share.rank, self.share.world)]
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
