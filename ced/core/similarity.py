"""SSIM (Wang et al. 2004) in two forms: the uniform 8x8 window of the paper's protocol, and the Gaussian 11x11 window.

Both compare at valid positions only, with K = (0.01, 0.03), L = 255 and population moments. What concerns the original
alone is computed once for all its restorations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

UNIFORM, GAUSSIAN = 8, 11  # sides of the windows
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_STRIP = 32  # rows computed at a time: what they take stays in a core's cache

_OFFSETS = np.arange(GAUSSIAN) - GAUSSIAN // 2
_WEIGHTS = np.exp(-(_OFFSETS**2) / (2 * 1.5**2))
_TAPS = _WEIGHTS / _WEIGHTS.sum()  # the window is their outer product


@dataclass(frozen=True, eq=False)
class Uniform:
    """An original under the uniform window. Shapes: plane (H, W) int32; sums (H-7, W-7) int32."""

    plane: np.ndarray
    sums: np.ndarray
    square_sums: np.ndarray

    @classmethod
    def of(cls, original: np.ndarray) -> Self:
        """Shape: (H, W) uint8, at least 8x8."""
        plane = original.astype(np.int32)
        return cls(plane, _sums(plane), _sums(plane * plane))

    def ssim(self, restored: np.ndarray) -> float:
        """Mean SSIM. Shape: (H, W) uint8, as the original."""
        other = restored.astype(np.int32)
        return _mean(self._rows, other, UNIFORM)

    def _rows(self, top: int, other: np.ndarray) -> np.ndarray:
        plane = self.plane[top : top + len(other)]
        rows = slice(top, top + len(other) - UNIFORM + 1)
        n = UNIFORM * UNIFORM
        # Integers up to here, all below 2^30: the variance of a flat window is exactly zero.
        x, y = self.sums[rows], _sums(other)
        both = x * y
        squares = x * x + y * y
        covariance = n * _sums(plane * other) - both
        variances = n * (self.square_sums[rows] + _sums(other * other)) - squares
        c1, c2 = n * n * _C1, n * n * _C2
        ratio: np.ndarray = ((2 * both + c1) * (2 * covariance + c2)) / ((squares + c1) * (variances + c2))
        return ratio


@dataclass(frozen=True, eq=False)
class Gaussian:
    """An original under the Gaussian window. Shapes: plane (H, W) float64; moments (H-10, W-10) float64."""

    plane: np.ndarray
    means: np.ndarray
    square_means: np.ndarray

    @classmethod
    def of(cls, original: np.ndarray) -> Self:
        """Shape: (H, W) uint8, at least 11x11."""
        plane = original.astype(np.float64)
        return cls(plane, _smooth(plane), _smooth(plane * plane))

    def ssim(self, restored: np.ndarray) -> float:
        """Mean SSIM (Gaussian). Shape: (H, W) uint8, as the original."""
        return _mean(self._rows, restored.astype(np.float64), GAUSSIAN)

    def _rows(self, top: int, other: np.ndarray) -> np.ndarray:
        plane = self.plane[top : top + len(other)]
        rows = slice(top, top + len(other) - GAUSSIAN + 1)
        x, y = self.means[rows], _smooth(other)
        both, squares = x * y, x * x + y * y
        covariance = _smooth(plane * other) - both
        variances = self.square_means[rows] + _smooth(other * other) - squares
        ratio: np.ndarray = ((2 * both + _C1) * (2 * covariance + _C2)) / ((squares + _C1) * (variances + _C2))
        return ratio


def _mean(rows: Callable[[int, np.ndarray], np.ndarray], other: np.ndarray, window: int) -> float:
    """The mean over all windows, of strips that `rows` compares: given the first row, and the restored rows."""
    height, width = (side - window + 1 for side in other.shape)
    tops = range(0, height, _STRIP)
    sums = [rows(top, other[top : min(top + _STRIP, height) + window - 1]).sum(dtype=np.float64) for top in tops]
    return float(sum(sums) / (height * width))


def _sums(plane: np.ndarray) -> np.ndarray:
    """Sums over all valid 8x8 windows, by doubling. Shape: (H, W) int32 -> (H-7, W-7) int32."""
    for step in (1, 2, 4):
        plane = plane[:-step] + plane[step:]
    for step in (1, 2, 4):
        plane = plane[:, :-step] + plane[:, step:]
    return plane


def _smooth(plane: np.ndarray) -> np.ndarray:
    """Means over all valid Gaussian windows. Shape: (H, W) float64 -> (H-10, W-10) float64."""
    rows, width = len(plane) - GAUSSIAN + 1, plane.shape[1]
    middle = GAUSSIAN // 2
    down: np.ndarray = plane[middle : middle + rows] * _TAPS[middle]
    pair = np.empty_like(down)
    for k in range(middle):  # the window is symmetric
        np.add(plane[k : k + rows], plane[GAUSSIAN - 1 - k :][:rows], out=pair)
        pair *= _TAPS[k]
        down += pair
    # Along the rows as one long line: what straddles two rows is left out of the view.
    line = np.correlate(down.ravel(), _TAPS, "valid")
    return np.lib.stride_tricks.as_strided(line, (rows, width - GAUSSIAN + 1), (width * line.itemsize, line.itemsize))
