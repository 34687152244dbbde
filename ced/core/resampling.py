"""Confidence intervals by the bootstrap: images are drawn anew, with replacement, and the figures made again.

Means over images are made again as they are. W1 and energy are of pooled coefficients: each image's are kept in coarse
bins, four to an octave, which are added up as the draws have them. What the coarse bins are off by, the same for all
draws, is taken out by the exact figure.
"""

from typing import NamedTuple

import numpy as np

from ced.core.spectrum import CHANNELS, CoarseSpectrum, Likeness, coarse_middles

REPEATS, LEVEL, SEED = 2000, 0.95, 0
GROUPS = 256  # of more images as many groups are drawn, each of every 256th image
_POOLED_REPEATS = 1000
_AT_ONCE = 1 << 22  # drawn images held in memory


class Interval(NamedTuple):
    """Where a figure lies with a confidence of 95 %."""

    low: float
    high: float


def resampled(values: np.ndarray) -> np.ndarray:
    """Column means of each draw. Shape: (images, columns) -> (repeats, columns).

    The same images are drawn for all columns, and for every call with as many images: methods are compared on the
    same draws. Raises ValueError where there are no images.
    """
    images = len(values)
    if not images:
        raise ValueError("draws of no images")
    generator = np.random.Generator(np.random.Philox(key=SEED))
    rows = max(1, _AT_ONCE // images)
    return np.concatenate([_means(values, generator, min(rows, REPEATS - start)) for start in range(0, REPEATS, rows)])


class PooledDraws:
    """The coefficients of originals and restored images, image by image, for intervals of W1 and energy.

    In memory are at most 256 times 0.1 MB for each of the two. The order of the images plays no part.
    """

    def __init__(self) -> None:
        self._counts: dict[int, np.ndarray] = {}  # by group: (2, 64, COARSE) int64
        self._moments: dict[int, np.ndarray] = {}  # by image: (2, 64, 3)

    def add(self, image: int, original: CoarseSpectrum, restored: CoarseSpectrum) -> None:
        """Take in an image, by its number, and what a method made of it."""
        counts = np.stack([original.counts, restored.counts])
        group = image % GROUPS
        self._counts[group] = self._counts[group] + counts if group in self._counts else counts
        self._moments[image] = np.stack([original.moments, restored.moments])

    def intervals(self, exact: Likeness) -> tuple[Interval, Interval] | None:
        """Of W1 and energy, whose values over all images are given; None where one of them is not finite."""
        if not np.isfinite(exact).all():
            return None
        groups = sorted(self._counts)
        counts = np.stack([self._counts[group] for group in groups], axis=2).astype(np.float64)  # (2, 64, G, bins)
        moments = np.zeros((2, CHANNELS, len(groups), 3))
        for image in sorted(self._moments):
            moments[:, :, groups.index(image % GROUPS)] += self._moments[image]
        weights = np.concatenate([np.ones((1, len(groups))), draws(len(groups))])  # first all images, as they are
        channels = [_figures(weights, counts[:, row], moments[:, row]) for row in range(1, CHANNELS)]
        figures = np.mean(channels, axis=0)
        scale = np.divide(exact, figures[0], out=np.ones(2), where=figures[0] > 0)
        low_high = percentiles(figures[1:] * scale)
        return low_high[0], low_high[1]


def draws(images: int) -> np.ndarray:
    """How often each image is there in each draw of a pooled figure. Shape: (repeats, images) float64."""
    generator = np.random.Generator(np.random.Philox(key=SEED))
    drawn = generator.integers(0, images, (_POOLED_REPEATS, images))
    return np.stack([np.bincount(draw, minlength=images) for draw in drawn]).astype(np.float64)


def _figures(weights: np.ndarray, counts: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """W1 and energy of one channel in each draw. Shapes: (R, G), (2, G, bins), (2, G, 3) -> (R, 2)."""
    bins = np.flatnonzero(counts.any(axis=(0, 1)))
    number, first, second = np.moveaxis(weights @ moments, 2, 0)  # each (2, R)
    deviations = np.sqrt(np.maximum(second / number - (first / number) ** 2, 0))
    cumulative = np.cumsum(weights @ counts[:, :, bins], axis=2) / number[..., None]
    distance = np.abs(cumulative[1] - cumulative[0])[:, :-1] @ np.diff(coarse_middles()[bins])
    flat = deviations[0] == 0
    scale = np.where(flat, 1, deviations[0])
    return np.stack([distance / scale, np.where(flat, 1, deviations[1] / scale)], axis=1)


def _means(values: np.ndarray, generator: np.random.Generator, repeats: int) -> np.ndarray:
    """Means of `repeats` draws. Shape: (images, columns) -> (repeats, columns)."""
    drawn = generator.integers(0, len(values), (repeats, len(values)))
    return np.stack([column[drawn].mean(axis=1) for column in values.T], axis=1)


def percentiles(figures: np.ndarray) -> tuple[Interval, ...]:
    """The ends of 95 % of the draws. Shape: (repeats, figures). None is interpolated, so that an infinite mean has one
    too; a single image's has no width."""
    tails = (1 - LEVEL) / 2
    low, high = np.quantile(figures, [tails, 1 - tails], axis=0, method="inverted_cdf")
    return tuple(Interval(float(a), float(b)) for a, b in zip(low, high, strict=True))
