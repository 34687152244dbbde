"""Fidelity and block-effect measures, as pinned in the paper's protocol: per image, peak 255, no border cut."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ced.core import similarity

PEAK = 255.0
BLOCK = 8
SMALLEST = similarity.GAUSSIAN  # pixels: the largest window


class Quality(NamedTuple):
    """The measures of one restored plane."""

    mse: float
    bef: float
    bef_mse: float  # BEF/MSE
    psnr: float  # dB
    psnr_b: float  # dB
    ssim: float
    ssim_gaussian: float


@dataclass(frozen=True, eq=False)
class Reference:
    """An original, with what all comparisons with it share. Shape: plane (H, W) uint8."""

    plane: np.ndarray
    uniform: similarity.Uniform
    gaussian: similarity.Gaussian

    @classmethod
    def of(cls, original: np.ndarray) -> Self:
        """Shape: (H, W) uint8, at least 11x11. Raises ValueError."""
        _check(original)
        return cls(original, similarity.Uniform.of(original), similarity.Gaussian.of(original))

    def measure(self, restored: np.ndarray) -> Quality:
        """All measures of a restored plane of the same size. Raises ValueError."""
        _check(restored)
        if self.plane.shape != restored.shape:
            raise ValueError(f"planes of different size: {_size(self.plane)} and {_size(restored)}")
        mse = mean_squared_error(self.plane, restored)
        bef = blocking_effect_factor(restored)
        similar = self.uniform.ssim(restored), self.gaussian.ssim(restored)
        return Quality(mse, bef, relative(bef, mse), decibels(mse), decibels(mse + bef), *similar)


def measure(original: np.ndarray, restored: np.ndarray) -> Quality:
    """All measures of a restored plane. Shape: both (H, W) uint8, at least 11x11. Raises ValueError."""
    return Reference.of(original).measure(restored)


def mean_squared_error(original: np.ndarray, restored: np.ndarray) -> float:
    """MSE of two planes. Shape: both (H, W) uint8."""
    difference = original.astype(np.int32) - restored
    return float((difference * difference).sum(dtype=np.int64) / difference.size)


def decibels(mse: float) -> float:
    """10 log10(255^2 / mse): PSNR of an MSE, PSNR-B of MSE + BEF; inf at zero."""
    return float(10 * np.log10(PEAK * PEAK / mse)) if mse > 0 else float("inf")


def blocking_effect_factor(plane: np.ndarray) -> float:
    """BEF, equation 7 (Yim and Bovik): eta (D_B - D_BC), zero where blocks do not stand out.

    D_B is the mean squared difference of neighbours across the borders of 8x8 blocks, D_BC that of all other
    neighbours; the numbers of pairs use H/8 and W/8 unrounded. Shape: (H, W) uint8, at least 9x9.
    """
    height, width = plane.shape
    wide = plane.astype(np.int32)
    horizontal, vertical = np.diff(wide, axis=1), np.diff(wide, axis=0)
    horizontal *= horizontal
    vertical *= vertical
    at_borders = _sum(horizontal[:, BLOCK - 1 :: BLOCK]) + _sum(vertical[BLOCK - 1 :: BLOCK])
    elsewhere = _sum(horizontal) + _sum(vertical) - at_borders
    border_pairs = height * (width / BLOCK - 1) + width * (height / BLOCK - 1)
    other_pairs = height * (width - 1) + width * (height - 1) - border_pairs
    d_b, d_bc = at_borders / border_pairs, elsewhere / other_pairs
    eta = np.log2(BLOCK) / np.log2(min(height, width)) if d_b > d_bc else 0.0
    return float(eta * (d_b - d_bc))


def relative(bef: float, mse: float) -> float:
    """BEF/MSE; 0 where there is no block effect, and inf where there is one without any error."""
    if bef == 0:
        return 0.0
    return bef / mse if mse > 0 else float("inf")


def ssim(original: np.ndarray, restored: np.ndarray) -> float:
    """Mean SSIM with an 8x8 uniform window at valid positions, K = (0.01, 0.03), population variances.

    Shape: both (H, W) uint8, at least 8x8.
    """
    return similarity.Uniform.of(original).ssim(restored)


def ssim_gaussian(original: np.ndarray, restored: np.ndarray) -> float:
    """Mean SSIM with the 11x11 Gaussian window of sigma 1.5 (Wang et al. 2004), at valid positions.

    Shape: both (H, W) uint8, at least 11x11.
    """
    return similarity.Gaussian.of(original).ssim(restored)


def bef_mse_bound(mean_psnr: float, mean_psnr_b: float) -> float:
    """The lower bound of the mean BEF/MSE that Table 2 prints: 10^((mean PSNR - mean PSNR-B) / 10) - 1.

    Both means enter as printed, with two decimals: the paper derived the column from printed figures, and
    unrounded means give 0.753 where it has 0.754 (JPEG, QF 10, LIVE1).
    """
    if np.isinf(mean_psnr) and np.isinf(mean_psnr_b):
        return 0.0
    return float(10 ** ((round(mean_psnr, 2) - round(mean_psnr_b, 2)) / 10) - 1)


def _sum(squares: np.ndarray) -> int:
    return int(squares.sum(dtype=np.int64))


def _check(plane: np.ndarray) -> None:
    if plane.ndim != 2 or plane.dtype != np.uint8:
        raise ValueError(f"a plane must be (H, W) uint8, not {plane.shape} {plane.dtype}")
    if min(plane.shape) < SMALLEST:
        raise ValueError(f"an image of {_size(plane)} is too small: the measures take {SMALLEST}x{SMALLEST} and more")


def _size(plane: np.ndarray) -> str:
    return f"{plane.shape[1]}x{plane.shape[0]}"
