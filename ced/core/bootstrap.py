"""Confidence intervals of means over images, by the bootstrap: images are drawn anew, with replacement."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

REPEATS, LEVEL, SEED = 2000, 0.95, 0
_AT_ONCE = 1 << 22  # drawn images held in memory


class Interval(NamedTuple):
    """Where a figure lies with a confidence of 95 %."""

    low: float
    high: float


def intervals(values: np.ndarray, combine: Callable[[np.ndarray], np.ndarray] | None = None) -> tuple[Interval, ...]:
    """The percentile intervals of column means. Shape: (images, columns) -> one interval a column.

    The same images are drawn for all columns, and for every call with as many images: methods are compared on the
    same draws. `combine` turns (repeats, columns) means into (repeats, figures). No interval is interpolated, so that
    an infinite mean has one too; a single image's has no width. Raises ValueError where there are no images.
    """
    images = len(values)
    if not images:
        raise ValueError("an interval of no images")
    generator = np.random.Generator(np.random.Philox(key=SEED))
    rows = max(1, _AT_ONCE // images)
    means = np.concatenate([_means(values, generator, min(rows, REPEATS - start)) for start in range(0, REPEATS, rows)])
    figures = combine(means) if combine else means
    tails = (1 - LEVEL) / 2
    low, high = np.quantile(figures, [tails, 1 - tails], axis=0, method="inverted_cdf")
    return tuple(Interval(float(a), float(b)) for a, b in zip(low, high, strict=True))


def _means(values: np.ndarray, generator: np.random.Generator, repeats: int) -> np.ndarray:
    """Means of `repeats` draws. Shape: (images, columns) -> (repeats, columns)."""
    drawn = generator.integers(0, len(values), (repeats, len(values)))
    return np.stack([column[drawn].mean(axis=1) for column in values.T], axis=1)
