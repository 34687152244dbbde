"""Fidelity and block-effect measures, as pinned in the paper's protocol: per image, peak 255, no border cut."""

from typing import NamedTuple

import numpy as np

PEAK = 255.0
BLOCK = 8
WINDOW = 8


class Quality(NamedTuple):
    """The measures of one restored plane."""

    mse: float
    bef: float
    psnr: float  # dB
    psnr_b: float  # dB
    ssim: float


def measure(original: np.ndarray, restored: np.ndarray) -> Quality:
    """All measures of a restored plane. Shape: both (H, W) uint8, at least 9x9. Raises ValueError."""
    _check(original, restored)
    mse = mean_squared_error(original, restored)
    bef = blocking_effect_factor(restored)
    return Quality(mse, bef, decibels(mse), decibels(mse + bef), ssim(original, restored))


def mean_squared_error(original: np.ndarray, restored: np.ndarray) -> float:
    """MSE of two planes. Shape: both (H, W) uint8."""
    difference = original.astype(np.int64) - restored.astype(np.int64)
    return float((difference * difference).sum() / difference.size)


def decibels(mse: float) -> float:
    """10 log10(255^2 / mse): PSNR of an MSE, PSNR-B of MSE + BEF; inf at zero."""
    return float(10 * np.log10(PEAK * PEAK / mse)) if mse > 0 else float("inf")


def blocking_effect_factor(plane: np.ndarray) -> float:
    """BEF, equation 7 (Yim and Bovik): eta (D_B - D_BC), zero where blocks do not stand out.

    D_B is the mean squared difference of neighbours across the borders of 8x8 blocks, D_BC that of all other
    neighbours; the numbers of pairs use H/8 and W/8 unrounded. Shape: (H, W) uint8, at least 9x9.
    """
    height, width = plane.shape
    wide = plane.astype(np.int64)
    horizontal = np.diff(wide, axis=1) ** 2
    vertical = np.diff(wide, axis=0) ** 2
    at_borders = horizontal[:, BLOCK - 1 :: BLOCK].sum() + vertical[BLOCK - 1 :: BLOCK].sum()
    elsewhere = horizontal.sum() + vertical.sum() - at_borders
    border_pairs = height * (width / BLOCK - 1) + width * (height / BLOCK - 1)
    other_pairs = height * (width - 1) + width * (height - 1) - border_pairs
    d_b, d_bc = at_borders / border_pairs, elsewhere / other_pairs
    eta = np.log2(BLOCK) / np.log2(min(height, width)) if d_b > d_bc else 0.0
    return float(eta * (d_b - d_bc))


def ssim(original: np.ndarray, restored: np.ndarray) -> float:
    """Mean SSIM with an 8x8 uniform window at valid positions, K = (0.01, 0.03), population variances.

    Shape: both (H, W) uint8, at least 8x8.
    """
    x, y = original.astype(np.int64), restored.astype(np.int64)
    n = WINDOW * WINDOW
    sum_x, sum_y, sum_xx, sum_yy, sum_xy = (_window_sums(p) for p in (x, y, x * x, y * y, x * y))
    mean_x, mean_y = sum_x / n, sum_y / n
    # Integer sums up to here: a flat window has a variance of exactly zero.
    variance_x = (n * sum_xx - sum_x * sum_x) / (n * n)
    variance_y = (n * sum_yy - sum_y * sum_y) / (n * n)
    covariance = (n * sum_xy - sum_x * sum_y) / (n * n)
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float((luminance * structure).mean())


def bef_mse_bound(mean_psnr: float, mean_psnr_b: float) -> float:
    """The lower bound of the mean BEF/MSE that Table 2 prints: 10^((mean PSNR - mean PSNR-B) / 10) - 1.

    Both means enter as printed, with two decimals: the paper derived the column from printed figures, and
    unrounded means give 0.753 where it has 0.754 (JPEG, QF 10, LIVE1).
    """
    if np.isinf(mean_psnr) and np.isinf(mean_psnr_b):
        return 0.0
    return float(10 ** ((round(mean_psnr, 2) - round(mean_psnr_b, 2)) / 10) - 1)


def _window_sums(plane: np.ndarray) -> np.ndarray:
    """Sums over all valid WINDOW x WINDOW positions. Shape: (H, W) int64 -> (H-7, W-7) int64."""
    table = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1), np.int64)
    table[1:, 1:] = plane.cumsum(axis=0).cumsum(axis=1)
    w = WINDOW
    return table[w:, w:] - table[:-w, w:] - table[w:, :-w] + table[:-w, :-w]


def _check(original: np.ndarray, restored: np.ndarray) -> None:
    if original.shape != restored.shape:
        raise ValueError(f"planes of different size: {original.shape} and {restored.shape}")
    if original.ndim != 2 or original.dtype != np.uint8 or restored.dtype != np.uint8:
        raise ValueError(f"planes must be (H, W) uint8, not {original.shape} {original.dtype} and {restored.dtype}")
    if min(original.shape) <= BLOCK:
        raise ValueError(f"an image of {original.shape[1]}x{original.shape[0]} is too small: use at least 9x9")
