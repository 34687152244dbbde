"""Which examples make up the batch of a step: a pure function of seed and step, so that a resumed training goes on
exactly, on any number of workers, and whether the examples are in memory or stream from their files.

The batches cut up one endless stream, in which every example comes once an epoch, in an order of its own. Up to
`window` examples are shuffled as one. More are shuffled in two steps, so that a stream holds one window at a time: the
order of the parts first, then the examples inside a window of parts that follow each other. There the stream takes
turns among 64 lanes, each a run of neighbouring rows and far from the one before, so that each of 2, 4, ... 64 workers
needs its share of the parts alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

# Turns of a window's 64 lanes: bits reversed, every 2nd, 4th ... 64th of them is one stretch of neighbours.
_LANES = [int(f"{lane:06b}"[::-1], 2) for lane in range(64)]


class Window(NamedTuple):
    """The examples at positions `start` up to `end` of the endless stream."""

    start: int
    end: int
    rows: Rows  # in the order of the stream


class Order:
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


def shared(positions: Rows, batch_size: int, rank: int, world: int) -> NDArray[np.bool_]:
    """Which positions of the stream worker `rank` of `world` computes: of every batch, its share."""
    mine: NDArray[np.bool_] = positions % batch_size % world == rank
    return mine


def share(batch_size: int, rank: int, world: int) -> int:
    """How many examples of a batch worker `rank` of `world` computes."""
    return len(range(rank, batch_size, world))
