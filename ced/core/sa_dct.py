"""Pointwise shape-adaptive DCT: the deblocking of Foi, Katkovnik and Egiazarian (IEEE Transactions on Image
Processing 16(5), 2007), without training.

    plane --> 8 directional estimates at growing scales --ICI--> a star-shaped neighbourhood of each pixel
          --> SA-DCT of each neighbourhood --hard threshold--> mean of the overlapping estimates: a first estimate
          --> the same with Wiener's factors, known from the first estimate --> restored plane

The quantization of a JPEG is taken for Gaussian noise, whose strength its table tells (`noise`). What the publication
leaves open, or its authors' program decides, is in the constants below.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = (1, 2, 3, 5, 7, 9)  # pixels of a directional estimate, the middle one counted
_DIRECTIONS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))  # (down, right), 45 degrees apart
_REACH = SCALES[-1] - 1
_SIDE = 2 * _REACH + 1  # of the window that holds every neighbourhood
_FIRST_ORDER = 0.1  # share of the first-order estimate in the directional ones, the rest is of order zero
_THRESHOLD = 0.77  # of the universal one, sqrt(2 log n + 1)
_POSITIONS = 2048  # neighbourhoods at a time


def noise(table: np.ndarray) -> float:
    """The standard deviation, in grey levels, that a quantization table is taken for: sqrt(0.69 q^1.3), q the mean of
    its nine lowest frequencies. Shape: (64,) or (8, 8), in rows."""
    low = float(np.asarray(table, np.float64).reshape(8, 8)[:3, :3].mean())
    return math.sqrt(0.69 * low**1.3)


def deblocked(
    plane: np.ndarray, sigma: float, step: int = 1, guide: tuple[np.ndarray, float] | None = None
) -> np.ndarray:
    """A plane restored. Shape: (H, W) of any real type -> (H, W) float32, in the same unit as `sigma`.

    `step`: a neighbourhood is filtered at every so many pixels each way; 1 is the publication's.
    `guide`: another plane of the same image and its noise, in which the neighbourhoods are found, as chroma takes those
    of luma.
    """
    if sigma <= 0:
        return np.asarray(plane, np.float32)
    observed = torch.from_numpy(np.ascontiguousarray(plane, np.float32))
    shown, spread = (plane, sigma) if guide is None else guide
    lengths = neighbourhoods(torch.from_numpy(np.ascontiguousarray(shown, np.float32)), spread)
    first = _filtered(observed, None, lengths, sigma, step)
    return _filtered(observed, first, lengths, sigma, step).numpy()


def neighbourhoods(plane: Tensor, sigma: float) -> Tensor:
    """How far the neighbourhood of each pixel reaches in each direction: the longest scale whose confidence interval
    meets those of all shorter ones (ICI). Shape: (H, W) -> (8, H, W) of indices into SCALES."""
    height, width = plane.shape
    padded = F.pad(plane[None, None], [_REACH] * 4, mode="replicate")[0, 0]
    gamma = max(0.8, 2.4 / math.log(1 + 60 * sigma / 255))
    longest = torch.zeros(len(_DIRECTIONS), height, width, dtype=torch.long)
    for direction, (down, right) in enumerate(_DIRECTIONS):
        line = [_shifted(padded, n * down, n * right, plane.shape) for n in range(SCALES[-1])]
        lower, upper = torch.full_like(plane, -math.inf), torch.full_like(plane, math.inf)
        meets = torch.ones_like(plane, dtype=torch.bool)
        for index, scale in enumerate(SCALES):
            kernel = _kernel(scale)
            estimate = torch.stack(line[:scale]).mul(torch.tensor(kernel)[:, None, None]).sum(0)
            spread = gamma * sigma * math.sqrt(sum(weight**2 for weight in kernel))
            lower, upper = torch.maximum(lower, estimate - spread), torch.minimum(upper, estimate + spread)
            meets = meets & (lower <= upper)
            longest[direction][meets] = index
    return longest


def _shifted(padded: Tensor, down: int, right: int, shape: torch.Size) -> Tensor:
    top, left = _REACH + down, _REACH + right
    return padded[top : top + shape[0], left : left + shape[1]]


def _kernel(scale: int) -> list[float]:
    """The one-sided estimate of a pixel from itself and those before it on a line: a mean, and a little of a straight
    line's value."""
    first = [(2 * (2 * scale - 1) - 6 * n) / (scale * (scale + 1)) for n in range(scale)]
    return [_FIRST_ORDER * slope + (1 - _FIRST_ORDER) / scale for slope in first]


def _filtered(observed: Tensor, first: Tensor | None, lengths: Tensor, sigma: float, step: int) -> Tensor:
    """The weighted mean of the neighbourhoods, filtered by a threshold; with a first estimate, by Wiener's factors."""
    height, width = observed.shape
    planes = [observed] if first is None else [observed, first]
    windows = [F.pad(plane[None, None], [_REACH] * 4, mode="replicate")[0, 0] for plane in planes]
    # In float64, so that the order of the sums is not seen in the answer.
    total = torch.zeros(2, height + 2 * _REACH, width + 2 * _REACH, dtype=torch.float64)
    sums = total[:, _REACH : _REACH + height, _REACH : _REACH + width]
    wanted = torch.zeros(height, width, dtype=torch.bool)
    wanted[::step, ::step] = True
    while wanted.any():
        for y, x in (some.unbind(1) for some in torch.split(wanted.nonzero(), _POSITIONS)):
            mask = _masks(lengths[:, y, x])
            estimate, weight = _shape_adaptive([_windows(window, y, x) for window in windows], mask, sigma)
            weights = weight[:, None, None] * mask
            _add(total, torch.stack([estimate * weights, weights]), y, x)
        wanted = sums[1] == 0  # between the steps, and in no other pixel's neighbourhood
    return (sums[0] / sums[1]).float()


def _windows(padded: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Shape: -> (N, side, side)."""
    around = torch.arange(_SIDE)
    return padded[(y[:, None] + around)[:, :, None], (x[:, None] + around)[:, None, :]]


def _add(total: Tensor, values: Tensor, y: Tensor, x: Tensor) -> None:
    around = torch.arange(_SIDE)
    index = (y[:, None] + around)[:, :, None] * total.shape[2] + (x[:, None] + around)[:, None, :]
    for plane, some in zip(total, values, strict=True):
        plane.view(-1).index_add_(0, index.reshape(-1), some.reshape(-1).double())


def _masks(lengths: Tensor) -> Tensor:
    """The neighbourhoods: polygons around the middle of the window, whose corners the eight lengths say.

    Shape: (8, N) -> (N, side, side) of 0.0 and 1.0.
    """
    sectors = _sectors()
    mask = torch.zeros(lengths.shape[1], _SIDE, _SIDE, dtype=torch.bool)
    for direction in range(len(_DIRECTIONS)):
        mask |= sectors[direction][lengths[direction], lengths[(direction + 1) % len(_DIRECTIONS)]]
    return mask.float()


@functools.cache
def _sectors() -> Tensor:
    """Of each direction, length and next direction's length, the triangle between them and the middle.

    Shape: (8, scales, scales, side, side) bool.
    """
    grid = np.arange(_SIDE) - _REACH
    down, right = np.meshgrid(grid, grid, indexing="ij")
    sectors = np.zeros((len(_DIRECTIONS), len(SCALES), len(SCALES), _SIDE, _SIDE), bool)
    for direction, one in enumerate(_DIRECTIONS):
        two = _DIRECTIONS[(direction + 1) % len(_DIRECTIONS)]
        determinant = one[0] * two[1] - one[1] * two[0]
        along_one = (down * two[1] - right * two[0]) / determinant  # pixels are sums of the two directions
        along_two = (right * one[0] - down * one[1]) / determinant
        for i, a in enumerate(SCALES):
            for j, b in enumerate(SCALES):
                inside = (along_one >= 0) & (along_two >= 0)
                limit = along_one / max(a - 1, 1e-3) + along_two / max(b - 1, 1e-3)
                sectors[direction, i, j] = inside & (limit <= 1 + 1e-6)
    return torch.from_numpy(sectors)


def _shape_adaptive(patches: list[Tensor], mask: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The filtered neighbourhoods and their weights. Shape: of each patch and of the mask (N, side, side) -> the same,
    (N,)."""
    size = mask.sum((1, 2))
    means = [(patch * mask).sum((1, 2)) / size for patch in patches]
    transform = _Transform(mask)
    spectra = [transform.forward((p - m[:, None, None]) * mask) for p, m in zip(patches, means, strict=True)]
    if len(patches) == 1:
        threshold = _THRESHOLD * sigma * (2 * size.log() + 1).sqrt()
        factors = (spectra[0].abs() > threshold[:, None, None]).float()
        kept = factors.sum((1, 2))
    else:
        power = spectra[1].square()
        factors = power / (power + sigma**2)
        kept = factors.square().sum((1, 2))
    estimate = transform.backward(spectra[0] * factors)
    return estimate + means[0][:, None, None], 1 / ((1 + kept) * size)


class _Transform:
    """The SA-DCT of some neighbourhoods: each column's pixels are moved together and transformed, then each row of what
    that gives. Both steps are orthonormal."""

    def __init__(self, mask: Tensor):
        """Shape: (N, row, column), 1.0 inside."""
        heights = mask.sum(1)  # (N, column)
        filled = torch.arange(_SIDE)[None, :, None] < heights[:, None]  # (N, k, column)
        self._down = torch.where(mask > 0, mask.cumsum(1).long() - 1, _SIDE)  # where each goes; outside: nowhere
        self._right = torch.where(filled, filled.cumsum(2) - 1, _SIDE)
        self._columns = _by_length(heights.long())
        self._rows = _by_length(filled.sum(2))

    def forward(self, patch: Tensor) -> Tensor:
        """Shape: (N, row, column), 0 outside -> (N, k, l)."""
        columns = _dct(_moved(patch, 1, self._down).transpose(1, 2), self._columns).transpose(1, 2)
        return _dct(_moved(columns, 2, self._right), self._rows)

    def backward(self, spectrum: Tensor) -> Tensor:
        """The other way round."""
        columns = F.pad(_dct(spectrum, self._rows, inverse=True), (0, 1)).gather(2, self._right)
        rows = _dct(columns.transpose(1, 2), self._columns, inverse=True).transpose(1, 2)
        return F.pad(rows, (0, 0, 0, 1)).gather(1, self._down)


def _moved(values: Tensor, dimension: int, where: Tensor) -> Tensor:
    shape = list(values.shape)
    shape[dimension] += 1  # for what goes nowhere
    return values.new_zeros(shape).scatter_(dimension, where, values).narrow(dimension, 0, _SIDE)


def _by_length(lengths: Tensor) -> list[tuple[int, Tensor]]:
    """The lines of each length, by their number; none of length 0."""
    order = lengths.reshape(-1).argsort()
    counts = lengths.reshape(-1).bincount(minlength=_SIDE + 1).tolist()
    return [(length, some) for length, some in enumerate(torch.split(order, counts)) if length and len(some)]


def _dct(lines: Tensor, by_length: list[tuple[int, Tensor]], inverse: bool = False) -> Tensor:
    """The DCT of each line's first so many values. Shape: (N, lines, side) -> the same, 0 behind them."""
    flat = lines.reshape(-1, _SIDE)
    transformed = torch.zeros_like(flat)
    for length, some in by_length:
        basis = _dct_basis(length)
        transformed[some, :length] = flat[some, :length] @ (basis.T if inverse else basis)
    return transformed.view(lines.shape)


@functools.cache
def _dct_basis(length: int) -> Tensor:
    """The orthonormal DCT-II. Shape: (position, k)."""
    k, n = np.meshgrid(np.arange(length), np.arange(length))
    basis = np.cos(np.pi * (2 * n + 1) * k / (2 * length)) * math.sqrt(2 / length)
    basis[:, 0] /= math.sqrt(2)
    return torch.from_numpy(basis.astype(np.float32))
