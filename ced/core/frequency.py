"""Frequency coefficients: the 4x4 DCT of the Laplacian (sections 3.2, 3.3 and 4.1).

Everything is computed by additions and multiplications of single elements in a fixed order, never by a
matrix product, so that each coefficient has the same bits whatever the machine, the number of images in
the array and the number of threads; and a flipped image has exactly the negated odd coefficients.
"""

import math

import numpy as np

PATCH = 4  # w_b = h_b
CHANNELS = PATCH * PATCH  # n_ch

# A horizontal mirror negates the channels of odd v.
MIRROR = np.array([(-1) ** (channel % PATCH) for channel in range(CHANNELS)])

# Orthonormal DCT-II of 4 points: rows (1/2, 1/2, 1/2, 1/2), (a, b, -b, -a), (1/2, -1/2, -1/2, 1/2), (b, -a, a, -b).
_A = np.float32(np.cos(np.pi / 8) / np.sqrt(2))
_B = np.float32(np.cos(3 * np.pi / 8) / np.sqrt(2))
_HALF = np.float32(0.5)

_CACHED = 1 << 17  # pixels transformed at a time: what they take stays in a core's cache


def laplacian(planes: np.ndarray) -> np.ndarray:
    """Kernel (0 1 0 / 1 -4 1 / 0 1 0), edge pixels replicated (section 3.2).

    Shape: (..., H, W) uint8 -> (..., H, W) int16 in -1020..1020.
    """
    wide = planes.astype(np.int16)
    out = wide * np.int16(-4)
    out[..., 1:, :] += wide[..., :-1, :]
    out[..., :1, :] += wide[..., :1, :]
    out[..., :-1, :] += wide[..., 1:, :]
    out[..., -1:, :] += wide[..., -1:, :]
    out[..., :, 1:] += wide[..., :, :-1]
    out[..., :, :1] += wide[..., :, :1]
    out[..., :, :-1] += wide[..., :, 1:]
    out[..., :, -1:] += wide[..., :, -1:]
    return out


def dct4x4(planes: np.ndarray) -> np.ndarray:
    """Orthonormal 2-D DCT-II of non-overlapping 4x4 patches.

    Shape: (..., H, W) integers, H and W multiples of 4 -> (..., 16, H/4, W/4) float32. Channel 4 u + v holds
    vertical frequency u and horizontal frequency v, and is contiguous in memory over all planes.
    """
    *batch, height, width = planes.shape
    if height % PATCH or width % PATCH:
        raise ValueError(f"planes of {height}x{width}: both sides must be multiples of {PATCH}")
    count, down, across = math.prod(batch), height // PATCH, width // PATCH
    stacked = planes.reshape(count, down, PATCH, across, PATCH)
    spectrum = np.empty((CHANNELS, count, down, across), np.float32)
    at_a_time = max(1, _CACHED // (height * width))
    for start in range(0, count, at_a_time):
        some = slice(start, start + at_a_time)
        # Position within the patch first: all that follows works on contiguous arrays.
        _transform(np.ascontiguousarray(stacked[some].transpose(2, 4, 0, 1, 3)), spectrum[:, some])
    return np.moveaxis(spectrum.reshape(CHANNELS, *batch, down, across), 0, -3)


def coefficients(luma: np.ndarray) -> np.ndarray:
    """The coefficients q of a target: the 4x4 DCT of its Laplacian.

    Shape: (..., H, W) uint8 luminance -> (..., 16, H/4, W/4) float32.
    """
    return dct4x4(laplacian(luma))


def by_channel(q: np.ndarray) -> np.ndarray:
    """All coefficients of each channel. Shape: (N, 16, h, w) as `coefficients` gives them -> (16, N h w), a view."""
    return np.moveaxis(q, -3, 0).reshape(CHANNELS, -1)


def _transform(patches: np.ndarray, out: np.ndarray) -> None:
    """Patches, (4, 4, N, h, w) by position, into `out`, (16, N, h, w)."""
    for u, line in enumerate(_dct4(*patches)):
        for v, channel in enumerate(_dct4(*line)):
            out[PATCH * u + v] = channel


def _dct4(x0: np.ndarray, x1: np.ndarray, x2: np.ndarray, x3: np.ndarray) -> tuple[np.ndarray, ...]:
    """The 4-point transform along a list of arrays, as two butterflies; sums of integers stay exact."""
    outer, inner = x0 + x3, x1 + x2
    outer_difference, inner_difference = _float(x0 - x3), _float(x1 - x2)
    return (
        _float(outer + inner) * _HALF,
        outer_difference * _A + inner_difference * _B,
        _float(outer - inner) * _HALF,
        outer_difference * _B - inner_difference * _A,
    )


def _float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)
