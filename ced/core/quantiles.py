"""Exact quantiles of any number of float32 values in bounded memory, by values that merge.

A float32's bits, with the sign folded in, sort as unsigned integers. A `Coarse` summary counts the upper 16
bits of each value and tells in which of 65,536 bins a wanted rank lies. A `Fine` summary then counts the lower
16 bits inside those bins alone, which gives the value of that rank to the last bit. Both hold nothing but sums
of integers: update and merge commute, so the answer cannot depend on how the values were divided among
workers or in which order they came.
"""

import io
from dataclasses import dataclass
from typing import Self

import numpy as np

BINS = 1 << 16
FIXED_POINT = 1 << 20  # values are summed as whole multiples of 2^-20
LARGEST = 1 << 13  # of a value's magnitude; the coefficients of 8-bit images stay under 4,081
_EXACT = 1 << 20  # values a float64 accumulator sums exactly: 2^20 x 2^13 x 2^20 = 2^53
_SIGN = np.uint32(1 << 31)


def ordered_bits(values: np.ndarray) -> np.ndarray:
    """uint32 codes that sort as the float32 `values` do; -0.0 and 0.0 share one. Raises ValueError on NaN."""
    values = np.ascontiguousarray(values, np.float32) + np.float32(0.0)  # -0.0 + 0.0 = 0.0
    if np.isnan(values).any():
        raise ValueError("NaN among the values of a quantile")
    bits = values.view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def from_ordered_bits(codes: np.ndarray) -> np.ndarray:
    """The float32 values of `ordered_bits`."""
    codes = np.asarray(codes, np.uint32)
    return np.where(codes & _SIGN, codes & ~_SIGN, ~codes).astype(np.uint32).view(np.float32)


def inverted_cdf_ranks(count: int, parts: int) -> np.ndarray:
    """0-based ranks of the quantiles k / parts, k = 1 .. parts - 1, of `count` values.

    The same float64 arithmetic as `numpy.quantile(values, numpy.arange(1, parts) / parts,
    method="inverted_cdf")`, rounding included. Shape: (parts - 1,) int64.
    """
    index = count * (np.arange(1, parts) / parts) - 1
    return np.maximum(np.ceil(index), 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Coarse:
    """Per channel and bin of the upper 16 bits: how many values, and their fixed-point sum.

    Shapes: counts (C, 65536) int64; sums (C, 65536) int64 in units of 2^-20.
    """

    counts: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """The summary of (C, N) finite float32 values of magnitude at most 8192 (else ValueError)."""
        if values.size and not np.abs(values).max() <= LARGEST:
            raise ValueError(f"a value beyond {LARGEST} or NaN")
        channels = values.shape[0]
        offsets = np.arange(channels, dtype=np.int64)[:, None] * BINS
        summary = cls(*(np.zeros((channels, BINS), np.int64) for _ in range(2)))
        for start in range(0, values.shape[1], _EXACT):
            chunk = np.ascontiguousarray(values[:, start : start + _EXACT], np.float32)
            index = ((ordered_bits(chunk) >> np.uint32(16)) + offsets).ravel()
            fixed = np.rint(chunk.astype(np.float64) * FIXED_POINT).ravel()
            summary.counts.ravel()[:] += np.bincount(index, minlength=channels * BINS)
            summary.sums.ravel()[:] += np.bincount(index, fixed, channels * BINS).astype(np.int64)
        return summary

    def merge(self, other: Self) -> Self:
        """The summary of the values of both."""
        return type(self)(self.counts + other.counts, self.sums + other.sums)

    def locate(self, ranks: np.ndarray) -> np.ndarray:
        """The bin of each rank. Shape: (C, R) or (R,) int64 -> (C, R) int64."""
        ranks = np.broadcast_to(ranks, (len(self.counts), np.shape(ranks)[-1]))
        ends = np.cumsum(self.counts, axis=1)
        return np.stack([np.searchsorted(e, r, side="right") for e, r in zip(ends, ranks, strict=True)])

    def to_bytes(self) -> bytes:
        """A compact form: the bins that hold values."""
        filled = np.flatnonzero(self.counts)
        stream = io.BytesIO()
        shape = np.array(self.counts.shape)
        np.savez(stream, shape=shape, bins=filled, counts=self.counts.flat[filled], sums=self.sums.flat[filled])
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The summary of `to_bytes`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            summary = cls(*(np.zeros(tuple(stored["shape"]), np.int64) for _ in range(2)))
            summary.counts.flat[stored["bins"]] = stored["counts"]
            summary.sums.flat[stored["bins"]] = stored["sums"]
        return summary


@dataclass(frozen=True, eq=False)
class Fine:
    """How often each float32 value occurs inside chosen bins.

    Shapes: bins (C, R) int64, the coarse bin of each row; counts (C, R, 65536) int64 by the lower 16 bits.
    """

    bins: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, bins: np.ndarray) -> Self:
        """The summary of (C, N) float32 values inside `bins` (C, R)."""
        counts = np.zeros((*bins.shape, BINS), np.int64)
        for channel, wanted in enumerate(bins):
            codes = ordered_bits(values[channel])
            upper = codes >> np.uint32(16)
            for row, bin_ in enumerate(wanted):
                lower = (codes[upper == bin_] & np.uint32(BINS - 1)).astype(np.int64)
                counts[channel, row] = np.bincount(lower, minlength=BINS)
        return cls(bins, counts)

    def merge(self, other: Self) -> Self:
        """The summary of the values of both; they must look into the same bins."""
        if not np.array_equal(self.bins, other.bins):
            raise ValueError("summaries of different bins do not merge")
        return type(self)(self.bins, self.counts + other.counts)

    def values(self, channel: int, row: int) -> np.ndarray:
        """The 65,536 float32 values that the counts of one row belong to, ascending."""
        upper = np.uint32(self.bins[channel, row]) << np.uint32(16)
        return from_ordered_bits(upper + np.arange(BINS, dtype=np.uint32))

    def to_bytes(self) -> bytes:
        """A compact form: the values that occur."""
        filled = np.flatnonzero(self.counts)
        stream = io.BytesIO()
        np.savez(stream, bins=self.bins, filled=filled, counts=self.counts.flat[filled])
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The summary of `to_bytes`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            counts = np.zeros((*stored["bins"].shape, BINS), np.int64)
            counts.flat[stored["filled"]] = stored["counts"]
            return cls(stored["bins"], counts)
