"""Frequency coefficients: the 4x4 DCT of the Laplacian (sections 3.2, 3.3 and 4.1), and the 8x8 DCT (figure 6).

Everything is computed by additions and multiplications of single elements in a fixed order, never by a
matrix product, so that each coefficient has the same bits whatever the machine, the number of images in
the array and the number of threads; and a flipped image has exactly the negated odd coefficients.
"""

import math
from collections.abc import Callable

import numpy as np

PATCH = 4  # w_b = h_b
CHANNELS = PATCH * PATCH  # n_ch
BLOCK = 8  # of JPEG, and of figure 6

# A horizontal mirror negates the channels of odd v.
MIRROR = np.array([(-1) ** (channel % PATCH) for channel in range(CHANNELS)])

# Orthonormal DCT-II of 4 points: rows (1/2, 1/2, 1/2, 1/2), (a, b, -b, -a), (1/2, -1/2, -1/2, 1/2), (b, -a, a, -b).
_A = np.float32(np.cos(np.pi / 8) / np.sqrt(2))
_B = np.float32(np.cos(3 * np.pi / 8) / np.sqrt(2))
_HALF = np.float32(0.5)

# Of 8 points: the even rows are those of 4 points on the sums of mirrored positions, over sqrt(2); the odd ones hold
# cos(k pi / 16) / 2 of k = 1, 3, 5, 7 on their differences.
_EVEN, _EVEN_A, _EVEN_B = (np.float32(np.cos(np.pi * k / 16) / 2) for k in (4, 2, 6))
_ODD = tuple(np.float32(np.cos(np.pi * k / 16) / 2) for k in (1, 3, 5, 7))

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
    return _in_pieces(planes, lambda some: some)


def dct8x8(plane: np.ndarray) -> np.ndarray:
    """Orthonormal 2-D DCT-II of the full 8x8 blocks of one plane, from the top left; what is left over is ignored.

    Shape: (H, W) int16 -> (64, H//8 * W//8) float32. Channel 8 u + v holds vertical frequency u, horizontal v.
    """
    down, across = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    blocks = plane[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK)
    positions = np.ascontiguousarray(blocks.transpose(1, 3, 0, 2), np.int32).reshape(BLOCK, BLOCK, down * across)
    spectrum = np.empty((BLOCK * BLOCK, down * across), np.float32)
    for u, line in enumerate(_dct8(*positions)):
        for v, channel in enumerate(_dct8(*line)):
            spectrum[BLOCK * u + v] = channel
    return spectrum


def coefficients(luma: np.ndarray) -> np.ndarray:
    """The coefficients q of a target: the 4x4 DCT of its Laplacian.

    Shape: (..., H, W) uint8 luminance -> (..., 16, H/4, W/4) float32.
    """
    return _in_pieces(luma, laplacian)


def by_channel(q: np.ndarray) -> np.ndarray:
    """All coefficients of each channel. Shape: (N, 16, h, w) as `coefficients` gives them -> (16, N h w), a view."""
    return np.moveaxis(q, -3, 0).reshape(CHANNELS, -1)


def _in_pieces(planes: np.ndarray, first: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The transform of what `first` makes of the planes, some at a time."""
    *batch, height, width = planes.shape
    if height % PATCH or width % PATCH:
        raise ValueError(f"planes of {height}x{width}: both sides must be multiples of {PATCH}")
    count, down, across = math.prod(batch), height // PATCH, width // PATCH
    flat = planes.reshape(count, height, width)
    spectrum = np.empty((CHANNELS, count, down, across), np.float32)
    at_a_time = max(1, _CACHED // (height * width))
    for start in range(0, count, at_a_time):
        some = slice(start, start + at_a_time)
        patches = first(flat[some]).reshape(-1, down, PATCH, across, PATCH)
        # Position within the patch first: all that follows works on contiguous arrays.
        _transform(np.ascontiguousarray(patches.transpose(2, 4, 0, 1, 3)), spectrum[:, some])
    return np.moveaxis(spectrum.reshape(CHANNELS, *batch, down, across), 0, -3)


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


def _dct8(*x: np.ndarray) -> tuple[np.ndarray, ...]:
    """The 8-point transform along a list of eight arrays."""
    s0, s1, s2, s3 = (x[i] + x[7 - i] for i in range(4))
    d0, d1, d2, d3 = (_float(x[i] - x[7 - i]) for i in range(4))
    outer, inner = s0 + s3, s1 + s2
    outer_difference, inner_difference = _float(s0 - s3), _float(s1 - s2)
    a, b, c, d = _ODD
    return (
        _float(outer + inner) * _EVEN,
        d0 * a + d1 * b + d2 * c + d3 * d,
        outer_difference * _EVEN_A + inner_difference * _EVEN_B,
        d0 * b - d1 * d - d2 * a - d3 * c,
        _float(outer - inner) * _EVEN,
        d0 * c - d1 * a + d2 * d + d3 * b,
        outer_difference * _EVEN_B - inner_difference * _EVEN_A,
        d0 * d - d1 * c + d2 * b - d3 * a,
    )


def _float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)
