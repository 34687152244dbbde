"""Which examples make up the batch of a step: a pure function, so that a resumed training goes on exactly."""

import functools

import numpy as np
from numpy.typing import NDArray


def batch(examples: int, batch_size: int, step: int, seed: int) -> NDArray[np.int64]:
    """The examples of the batch of `step` (from 0), over all workers. Shape: (batch_size,).

    The batches cut up one endless stream, in which every example comes once an epoch, in an order of its own.
    """
    start, end = step * batch_size, (step + 1) * batch_size
    epochs = range(start // examples, (end - 1) // examples + 1)
    stream = np.concatenate([_epoch(examples, epoch, seed) for epoch in epochs])
    first = epochs.start * examples
    return stream[start - first : end - first]


def share(indices: NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """The part of a batch that worker `rank` of `world` computes; all parts together are the batch."""
    return indices[rank::world]


@functools.lru_cache(maxsize=2)  # a batch spans two epochs at times
def _epoch(examples: int, epoch: int, seed: int) -> NDArray[np.int64]:
    """The order of one epoch. The stream of numbers is decided by the seed's absolute value and sign, and the epoch."""
    entropy = [abs(seed), int(seed < 0), epoch]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy))).permutation(examples)
