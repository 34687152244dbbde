"""SSIM (Wang et al. 2004) in two forms: the uniform 8x8 window of the paper's protocol, and the Gaussian 11x11 window.

Both compare at valid positions only, with K = (0.01, 0.03), L = 255 and population moments. What concerns the original
alone is computed once for all its restorations.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

UNIFORM, GAUSSIAN = 8, 11  # sides of the windows
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_AT_ONCE = {UNIFORM: 32, GAUSSIAN: 16}  # rows of windows at a time: what they take stays in a core's cache

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
        both, squares = x * y, x * x
        squares += y * y
        covariance, variances = _sums(plane * other), _sums(other * other)
        covariance *= n
        covariance -= both
        variances += self.square_sums[rows]
        variances *= n
        variances -= squares
        both *= 2
        covariance *= 2
        return _ratio(both, squares, covariance, variances, n * n)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """An original under the Gaussian window. Shapes: plane (H, W) float64; the moments chunk by chunk, as `_smooth`."""

    plane: np.ndarray
    means: tuple[np.ndarray, ...]
    square_means: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, original: np.ndarray) -> Self:
        """Shape: (H, W) uint8, at least 11x11."""
        plane = original.astype(np.float64)
        chunks = [plane[rows] for rows in _chunks(len(plane), GAUSSIAN)]
        return cls(plane, tuple(map(_smooth, chunks)), tuple(_smooth(chunk * chunk) for chunk in chunks))

    def ssim(self, restored: np.ndarray) -> float:
        """Mean SSIM (Gaussian). Shape: (H, W) uint8, as the original."""
        return _mean(self._rows, restored.astype(np.float64), GAUSSIAN)

    def _rows(self, top: int, other: np.ndarray) -> np.ndarray:
        plane = self.plane[top : top + len(other)]
        x, y = self.means[top // _AT_ONCE[GAUSSIAN]], _smooth(other)
        both, squares = x * y, x * x
        squares += y * y
        covariance, variances = _smooth(plane * other), _smooth(other * other)
        covariance -= both
        variances += self.square_means[top // _AT_ONCE[GAUSSIAN]]
        variances -= squares
        both *= 2
        covariance *= 2
        ratio = _ratio(both, squares, covariance, variances, 1)
        width = other.shape[1]
        shape = (len(other) - GAUSSIAN + 1, width - GAUSSIAN + 1)
        return np.lib.stride_tricks.as_strided(ratio, shape, (width * ratio.itemsize, ratio.itemsize))


def _ratio(both: np.ndarray, squares: np.ndarray, covariance: np.ndarray, variances: np.ndarray, n: int) -> np.ndarray:
    """SSIM of windows, from twice the product of their means, the sum of the squares of these, twice the covariance and
    the sum of the variances, all of them `n` times as large."""
    ratio = both + n * _C1
    ratio *= covariance + n * _C2
    below = squares + n * _C1
    below *= variances + n * _C2
    ratio /= below
    return ratio


def _chunks(height: int, window: int) -> list[slice]:
    """The rows that each chunk of windows covers."""
    last, rows = height - window + 1, _AT_ONCE[window]
    return [slice(top, min(top + rows, last) + window - 1) for top in range(0, last, rows)]


def _mean(rows: Callable[[int, np.ndarray], np.ndarray], other: np.ndarray, window: int) -> float:
    """The mean over all windows, of chunks that `rows` compares: given the first row, and the restored rows."""
    height, width = (side - window + 1 for side in other.shape)
    sums = [rows(chunk.start, other[chunk]).sum(dtype=np.float64) for chunk in _chunks(len(other), window)]
    return float(sum(sums) / (height * width))


def _sums(plane: np.ndarray) -> np.ndarray:
    """Sums over all valid 8x8 windows, by doubling. Shape: (H, W) int32 -> (H-7, W-7) int32."""
    for step in (1, 2, 4):
        plane = plane[:-step] + plane[step:]
    for step in (1, 2, 4):
        plane = plane[:, :-step] + plane[:, step:]
    return plane


def _smooth(plane: np.ndarray) -> np.ndarray:
    """Means over all valid Gaussian windows of one chunk, (rows + 10, W) float64.

    Along the rows as one long line: 10 values that straddle two rows lie between one row's means and the next's.
    Shape: (rows W - 10,) float64.
    """
    rows = len(plane) - GAUSSIAN + 1
    return np.correlate((_band()[:rows, : len(plane)] @ plane).ravel(), _TAPS, "valid")


@functools.cache
def _band() -> np.ndarray:
    """The window along columns as a matrix: of rows that are few enough it is quicker than adding shifted ones."""
    rows = _AT_ONCE[GAUSSIAN]
    band = np.zeros((rows, rows + GAUSSIAN - 1))
    for row in range(rows):
        band[row, row : row + GAUSSIAN] = _TAPS
    return band
