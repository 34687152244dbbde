"""How far W1 and energy would move with other images: what each image adds to them, to first order.

Both are figures of pooled coefficients, not means over images. Near the pooled distributions they are linear: an image
adds to W1 the mean, over its coefficients, of a function of the coefficient (the integral of the sign of F - G above
it, and a quadratic for the standard deviation that W1 is divided by), and to energy a quadratic. These influence
functions are tables over the bins of a spectrum. The blocks' mean of what the images add is W1 or energy itself, and
drawing images anew gives it other values: the bootstrap of a ratio of means.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ced.core.bootstrap import Interval, intervals
from ced.core.frequency import BLOCK
from ced.core.spectrum import CHANNELS, Loaded, Spectrum


class Added(NamedTuple):
    """What one image adds: sums over its blocks."""

    w1: float
    energy: float
    blocks: int


class Intervals(NamedTuple):
    """The confidence intervals of a method's pooled figures."""

    w1: Interval
    energy: Interval


@dataclass(frozen=True, eq=False)
class Influence:
    """Tables over all bins of all channels, of the originals and of the restored. Shape: each (64 bins, 2) float64."""

    original: np.ndarray
    restored: np.ndarray

    @classmethod
    def of(cls, original: Spectrum, restored: Spectrum) -> Self | None:
        """The tables of pooled spectra; None where W1 or energy is infinite (flat originals)."""
        tables = cls(*(np.zeros((*original.counts.shape, 2)) for _ in range(2)))
        for row in range(1, CHANNELS):
            sides = [_Side.of(one, row) for one in (original, restored)]
            if sides[0].deviation == 0 and not np.array_equal(sides[0].values, sides[1].values):
                return None
            tables._fill(row, *sides)
        return cls(*(table.reshape(-1, 2) for table in (tables.original, tables.restored)))

    def added(self, original: Loaded, restored: Loaded) -> Added:
        """What an image adds, given its own spectra."""
        first = original.counts @ self.original.take(original.bins, axis=0)
        both = first + restored.counts @ self.restored.take(restored.bins, axis=0)
        return Added(float(both[0]), float(both[1]), original.blocks)

    def _fill(self, row: int, original: "_Side", restored: "_Side") -> None:
        share, scale, width = 1 / (CHANNELS - 1), original.deviation, restored.deviation
        if scale == 0:  # and the restored have the same value: an energy of 1
            self.restored[row, restored.bins, 1] = share
            return
        above, above_restored = _above(original, restored)
        distance = float(restored.weights @ above_restored - original.weights @ above)
        self.original[row, original.bins, 0] = share * (-above / scale - distance / scale**2 * original.spread)
        self.original[row, original.bins, 1] = share * (-width / scale**2 * original.spread)
        self.restored[row, restored.bins, 0] = share * above_restored / scale
        self.restored[row, restored.bins, 1] = share * (width + restored.spread) / scale


class _Side(NamedTuple):
    """One channel of a pooled spectrum. Shapes: (filled bins,)."""

    bins: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    weights: np.ndarray  # their shares of all values
    deviation: float
    spread: np.ndarray  # what each value adds to the deviation, to first order, beyond its share

    @classmethod
    def of(cls, spectrum: Spectrum, row: int) -> Self:
        values, counts = spectrum.values(*divmod(row, BLOCK))
        weights = counts / counts.sum()
        squares = (values - weights @ values) ** 2
        variance = float(weights @ squares)
        deviation = float(np.sqrt(variance))
        spread = (squares - variance) / (2 * deviation) if deviation > 0 else np.zeros(len(values))
        return cls(np.flatnonzero(spectrum.counts[row]), values, counts, weights, deviation, spread)


def pooled_intervals(added: list[Added]) -> Intervals:
    """The 95 % intervals of W1 and energy, of all images that a method restored. Raises ValueError where none is."""
    found = intervals(np.array(added, np.float64).reshape(-1, 3), lambda means: means[:, :2] / means[:, 2:])
    return Intervals(*found)


def _above(original: _Side, restored: _Side) -> list[np.ndarray]:
    """The integral of sign(F - G) above each value of both; G is the original's distribution, F the restored's."""
    where = np.concatenate([original.values, restored.values])
    order = np.argsort(where, kind="stable")
    apart = np.cumsum(np.concatenate([-original.counts, restored.counts])[order])[:-1]  # as many values: exact
    signed = np.sign(apart) * np.diff(where[order])
    above = np.zeros(len(where))
    above[order[:-1]] = np.cumsum(signed[::-1])[::-1]
    return [above[: len(original.values)], above[len(original.values) :]]
