"""JPEG files that were compressed before: the earlier compression, found in the pixels.

A file's header tells the last compression alone. Of one before it, by a lower quality factor or on another grid, the
coefficients of the 8x8 DCT still lie near multiples of its table's steps, on its own grid and on no other; and so do
those of a PNG that was a JPEG. For each quality factor and each of the 64 places of the grid the evidence is the
logarithm of how much likelier the coefficients c are under "multiples of the step T, and noise" than under "no step":

    log(0.95 g(r) + 0.05)      g: the density of c's distance r to the nearest multiple of T, times T

summed over all that are no zeros (|c| > T / 2; zeros are there without a compression too). In pictures that were never
compressed, and in those that were once, the sum is below zero or near it; in others it is in the thousands.

Not found: what was resized or filtered after its compression, tables that are far from those of the IJG's library, and
what is nearly flat.
"""

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image

from ced.core import jpeg
from ced.core.frequency import dct8x8

_LOWER = 10  # an earlier compression is told where its quality factor is so much lower than the header's
_LARGEST = 90  # quality factor: finer steps drown in the rounding of the pixels

_WINDOW = 192  # pixels: only the most detailed part of this size is looked at
_SMALLEST = 16  # pixels of a side
_LOWEST = 15  # quality factor: with a header of less than 25 another one hardly changes what is restored
_WIDTH, _BINS = 0.5, 600  # of the histograms of coefficients' magnitudes; what is larger tells little
_LOW = np.array([8 * u + v for u in range(8) for v in range(8) if 0 < u + v < 7])  # frequencies: the others have few
_NOISES = (0.5, 1.2, 2.8)  # standard deviations of the noise; the least: pixels that were rounded
_OUTLIERS = 0.05  # share of coefficients that lie anywhere: clipped pixels, edges of pictures that were pasted in
_EVIDENCE, _EVIDENCE_EACH = 80.0, 0.12  # that is asked for: in all, and of a coefficient
_FREQUENCIES, _VARIETY = 6, 20  # that show it, and different coefficients: patterns drawn by a computer have few
_MAGNITUDES = _WIDTH * np.arange(_BINS)


class Trace(NamedTuple):
    """An earlier compression."""

    quality: int  # factor of the IJG's library, by its table for luminance
    offset: tuple[int, int]  # of its grid: the rows above, and the columns left of its first whole block, 0 to 7


def trace(pixels: np.ndarray, quality: int | None = None) -> Trace | None:
    """The earlier compression that an image shows, whose file states this quality factor (None: it is no JPEG).

    Shape: (H, W) or (H, W, 3) uint8. None where there is no evidence for one.
    """
    highest = _LARGEST if quality is None else min(_LARGEST, quality - _LOWER)
    if highest < _LOWEST or min(pixels.shape[:2]) < _SMALLEST:
        return None
    top, left = _detailed(pixels)
    counts = _counts(pixels[top : top + _WINDOW, left : left + _WINDOW])
    own = int(quality is not None)  # how many grids are the file's own: on that one another way is right
    others = counts[..., own:]
    choices = [_best(np.einsum("sb,fbp->fsp", ratios, others, optimize=True), highest, own) for ratios in _ratios()]
    if quality is not None:
        evidence = np.einsum("fsb,fb->fs", _ratios_above(quality), counts[..., 0], optimize=True)
        choices.append(_best(evidence[..., None], highest, 0))
    found, place, evidence = max(choices, key=lambda choice: float(choice[2].sum()))
    no_zeros = counts[..., place] * (jpeg.luminance_tables()[found - 1][_LOW, None] / 2 < _MAGNITUDES)
    enough = evidence.sum() > max(_EVIDENCE, _EVIDENCE_EACH * no_zeros.sum())
    if not enough or (evidence > 0).sum() < _FREQUENCIES or np.count_nonzero(no_zeros) < _VARIETY:
        return None
    return Trace(found, ((place // 8 + top) % 8, (place % 8 + left) % 8))


def _detailed(pixels: np.ndarray) -> tuple[int, int]:
    """The corner of the window with most detail that was not clipped. Shape: (H, W) or (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    lines = pixels[::4]  # so many are enough
    plane = (lines if lines.ndim == 2 else lines[..., 1]).astype(np.int16)
    steps = np.minimum(np.abs(np.diff(plane, axis=1)), 16)  # edges alone are no detail
    steps[_clipped(lines)[:, 1:]] = 0
    corners = [
        (row, column)
        for row in range(0, max(1, height - _WINDOW + 1), _WINDOW // 2)
        for column in range(0, max(1, width - _WINDOW + 1), _WINDOW // 2)
    ]
    return max(corners, key=lambda at: steps[at[0] // 4 :, at[1] :][: _WINDOW // 4, :_WINDOW].mean())


def _clipped(pixels: np.ndarray) -> np.ndarray:
    """Where a value may have been beyond black or white. Shape: (H, W) or (H, W, 3) uint8 -> (H, W) bool."""
    ends = (pixels == 0) | (pixels == 255)
    clipped: np.ndarray = ends if ends.ndim == 2 else ends.any(axis=2)
    return clipped


def _counts(pixels: np.ndarray) -> np.ndarray:
    """Histograms of the coefficients' magnitudes for each place of the grid, over the blocks that have no clipped
    pixels: clipping moves all coefficients of a block. Those beyond the last bin do not count.

    Shape: (H, W) or (H, W, 3) uint8 -> (frequencies, bins, 64 places).
    """
    luma = pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))
    luma, clipped = luma.astype(np.int16) - 128, _clipped(pixels)
    counts = np.empty((64, len(_LOW), _BINS), np.float32)
    first = _BINS * np.arange(len(_LOW), dtype=np.int32)[:, None]
    for place in range(64):
        row, column = divmod(place, 8)
        down, across = (len(luma) - row) // 8, (luma.shape[1] - column) // 8
        blocks = clipped[row:, column:][: 8 * down, : 8 * across].reshape(down, 8, across, 8)
        spectrum = np.abs(dct8x8(luma[row:, column:])[_LOW][:, ~blocks.any(axis=(1, 3)).ravel()])
        numbers = np.minimum(np.rint(spectrum / _WIDTH).astype(np.int32), _BINS - 1) + first
        counts[place] = np.bincount(numbers.ravel(), minlength=len(_LOW) * _BINS).reshape(-1, _BINS)
    counts[..., -1] = 0
    return counts.transpose(1, 2, 0)


def _best(evidence: np.ndarray, highest: int, first: int) -> tuple[int, int, np.ndarray]:
    """The quality factor up to `highest`, and the place, with most evidence, and its evidence by frequency. `first` is
    the number of the first place.

    Shape: (frequencies, steps, places) -> (frequencies,).
    """
    steps = _steps_of_tables()[:highest]  # (quality factors, frequencies): the number of each step
    each = evidence[np.arange(len(_LOW)), steps]  # (quality factors, frequencies, places)
    quality, place = np.unravel_index(each.sum(axis=1).argmax(), (len(each), each.shape[2]))
    return int(quality) + 1, int(place) + first, each[quality, :, place]


def _ratio(noise: float, zero: float | None = None) -> np.ndarray:
    """The evidence of a coefficient in each bin for each step; those up to `zero` (None: half of the step) are zeros.

    Shape: (steps, bins).
    """
    step = _steps()[:, None].astype(np.float64)
    apart = _MAGNITUDES - step * np.rint(_MAGNITUDES / step)
    density = sum(np.exp(-0.5 * ((apart + turn * step) / noise) ** 2) for turn in (-1, 0, 1))
    ratio = np.log((1 - _OUTLIERS) * density * step / (noise * np.sqrt(2 * np.pi)) + _OUTLIERS)
    ratio[(step < 3 * noise)[:, 0]] = 0  # no multiples can be told apart
    return np.where((step / 2 if zero is None else zero) < _MAGNITUDES, ratio, 0).astype(np.float32)


@functools.cache
def _ratios() -> tuple[np.ndarray, ...]:
    return tuple(_ratio(noise) for noise in _NOISES)


@functools.lru_cache(maxsize=4)
def _ratios_above(quality: int) -> np.ndarray:
    """`_ratio` on the grid of a last compression by `quality`, which rounded to multiples of its own steps: those that
    the first one left, so that what became no zero by the last one was none before.

    Shape: (frequencies, steps, bins).
    """
    table = jpeg.luminance_tables()[quality - 1][_LOW]
    noises = np.sqrt(_NOISES[0] ** 2 + table**2 / 12)
    ratios = {step: _ratio(noise, step / 2) for step, noise in zip(table, noises, strict=True)}
    return np.stack([ratios[step] for step in table])


@functools.cache
def _steps() -> np.ndarray:
    """All steps of the tables that are looked for. Shape: (steps,)."""
    return np.unique(jpeg.luminance_tables()[:_LARGEST, _LOW])


@functools.cache
def _steps_of_tables() -> np.ndarray:
    """The number in `_steps` of each quality factor's step of each frequency. Shape: (_LARGEST, frequencies)."""
    return np.searchsorted(_steps(), jpeg.luminance_tables()[:_LARGEST, _LOW])
