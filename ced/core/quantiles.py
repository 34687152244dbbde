"""Exact quantiles of any number of float32 values in bounded memory, by values that merge.

A float32's bits, with the sign folded in, sort as unsigned integers. A `Coarse` summary counts the upper 16
bits of each value and tells in which of 65,536 bins a wanted rank lies. A `Fine` summary then counts the lower
16 bits inside those bins alone, which gives the value of that rank to the last bit. Both hold nothing but sums
of integers: update and merge commute, so the answer cannot depend on how the values were divided among
workers or in which order they came.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

BINS = 1 << 16
_AT_ONCE = 1 << 18  # values: what one float64 holds the count of, and beside it the sum of their lower 16 bits
_COUNT = 34  # the bit of that float64 where the count begins: 2^18 x (2^16 - 1) < 2^34, and 2^18 x 2^34 < 2^53
_LOWER = np.uint32(BINS - 1)
_SIGN = np.uint32(1 << 31)
_ZERO = np.uint32(1 << 31)  # the code of 0.0
_UNIT = 1 << 149  # every float32 is a whole multiple of 2^-149
_FIRST, _LAST = 0x0080, 0xFF7F  # the bins of finite values


def ordered_bits(values: np.ndarray) -> np.ndarray:
    """uint32 codes that sort as the float32 `values` do; -0.0 and 0.0 share one. Raises ValueError on NaN."""
    values = np.ascontiguousarray(values, np.float32)
    if np.isnan(values).any():
        raise ValueError("NaN among the values of a quantile")
    return _codes(values)


def from_ordered_bits(codes: np.ndarray) -> np.ndarray:
    """The float32 values of `ordered_bits`."""
    codes = np.asarray(codes, np.uint32)
    return np.where(codes & _SIGN, codes & ~_SIGN, ~codes).astype(np.uint32).view(np.float32)


def _codes(values: np.ndarray) -> np.ndarray:
    bits = (values + np.float32(0.0)).view(np.int32)  # -0.0 + 0.0 = 0.0
    # All bits of a negative number are turned, of a positive one the sign alone: >> copies the sign.
    codes: np.ndarray = (bits ^ ((bits >> 31) | np.int32(-(1 << 31)))).view(np.uint32)
    return codes


def inverted_cdf_ranks(count: int, parts: int) -> np.ndarray:
    """0-based ranks of the quantiles k / parts, k = 1 .. parts - 1, of `count` values.

    The same float64 arithmetic as `numpy.quantile(values, numpy.arange(1, parts) / parts,
    method="inverted_cdf")`, rounding included. Shape: (parts - 1,) int64.
    """
    index = count * (np.arange(1, parts) / parts) - 1
    return np.maximum(np.ceil(index), 0).astype(np.int64)


def _chunks(row: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(row), _AT_ONCE):
        yield np.ascontiguousarray(row[start : start + _AT_ONCE])


def _upper(codes: np.ndarray) -> np.ndarray:
    """The coarse bin of each code, as an index."""
    return (codes >> np.uint32(16)).astype(np.intp)


@dataclass(frozen=True, eq=False)
class Coarse:
    """Per channel and bin of the upper 16 bits: how many values, and the sum of their lower 16 bits.

    Values of one bin are evenly spaced, so that both tell the exact sum of its values. Shapes: counts, lower
    (C, 65536) int64.
    """

    counts: np.ndarray
    lower: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> Self:
        """The summary of no values."""
        return cls(*(np.zeros((channels, BINS), np.int64) for _ in range(2)))

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """The summary of (C, N) values."""
        return cls.empty(len(values)).update(values)

    def update(self, values: np.ndarray, mirror: np.ndarray | None = None) -> Self:
        """Take in, in place, (C, N) float32 values. Raises ValueError where one is not finite.

        With `mirror`, a sign (1 or -1) for each channel, `values * mirror[:, None]` too, at little cost.
        """
        for channel, row in enumerate(np.asarray(values, np.float32)):
            for chunk in _chunks(row):
                codes = _codes(chunk)
                bins, counts, lower = _histogram(codes)
                self._add(channel, bins, counts, lower)
                if mirror is not None and mirror[channel] > 0:
                    self._add(channel, bins, counts, lower)
                elif mirror is not None:
                    # The code of -v is that of v with all bits turned; but 0 is its own negative.
                    self._add(channel, BINS - 1 - bins, counts, counts * (BINS - 1) - lower)
                    zeros = np.count_nonzero(codes == _ZERO) * np.array([-1, 1])
                    self._add(channel, np.array([BINS // 2 - 1, BINS // 2]), zeros, zeros * np.array([BINS - 1, 0]))
        return self

    def merge(self, other: Self) -> Self:
        """The summary of the values of both."""
        return type(self)(self.counts + other.counts, self.lower + other.lower)

    def sums(self, channel: int) -> tuple[np.ndarray, list[int]]:
        """The bins of a channel that hold values, ascending, and the exact sum of each in units of 2^-149."""
        bins = np.flatnonzero(self.counts[channel])
        start = from_ordered_bits(bins.astype(np.uint32) << np.uint32(16)).astype(np.float64)
        step = from_ordered_bits((bins.astype(np.uint32) << np.uint32(16)) + np.uint32(1)).astype(np.float64) - start
        rows = zip(start, self.counts[channel, bins], step, self.lower[channel, bins], strict=True)
        return bins, [_whole(first) * int(n) + _whole(width) * int(low) for first, n, width, low in rows]

    def locate(self, ranks: np.ndarray) -> np.ndarray:
        """The bin of each rank. Shape: (C, R) or (R,) int64 -> (C, R) int64."""
        ranks = np.broadcast_to(ranks, (len(self.counts), np.shape(ranks)[-1]))
        ends = np.cumsum(self.counts, axis=1)
        return np.stack([np.searchsorted(e, r, side="right") for e, r in zip(ends, ranks, strict=True)])

    def to_bytes(self) -> bytes:
        """A compact form: the bins that hold values."""
        filled = np.flatnonzero(self.counts > 0)
        stream = io.BytesIO()
        shape = np.array(self.counts.shape)
        np.savez(stream, shape=shape, bins=filled, counts=self.counts.flat[filled], lower=self.lower.flat[filled])
        return stream.getvalue()

    def merge_bytes(self, data: bytes) -> Self:
        """Take in, in place, the summary whose `to_bytes` are given."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            if tuple(stored["shape"]) != self.counts.shape:
                raise ValueError("summaries of different channels do not merge")
            bins = stored["bins"]
            self.counts.ravel()[bins] += stored["counts"]
            self.lower.ravel()[bins] += stored["lower"]
        return self

    def _add(self, channel: int, bins: np.ndarray, counts: np.ndarray, lower: np.ndarray) -> None:
        self.counts[channel, bins] += counts
        self.lower[channel, bins] += lower


def exact_sum(values: np.ndarray, counts: np.ndarray) -> int:
    """The sum of float32 `values`, each `counts` times, in units of 2^-149."""
    return sum(_whole(v) * int(n) for v, n in zip(values, counts, strict=True))


def mean(total: int, count: int) -> float:
    """The mean of `count` values whose exact sum is `total` units of 2^-149, rounded once."""
    return total / (count * _UNIT)


def _whole(value: float) -> int:
    return int(float(value) * _UNIT)  # a power of two: nothing is rounded


def _histogram(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bins that hold values, how many each, and the sum of their lower bits."""
    weights = (codes & _LOWER).astype(np.float64)
    weights += 1 << _COUNT
    both = np.bincount(_upper(codes), weights)
    bins = np.flatnonzero(both > 0)  # of truths: several times as fast as of numbers
    if bins[0] < _FIRST or bins[-1] > _LAST:
        raise ValueError("a value that is not finite")
    both = both[bins].astype(np.int64)
    return bins, both >> _COUNT, both & ((1 << _COUNT) - 1)


@dataclass(eq=False)
class Fine:
    """How often each float32 value occurs inside chosen bins.

    Shapes: bins (C, R) int64, the coarse bin of each row; keys (K,) int64 ascending, which value: (channel R + row)
    65536 + lower 16 bits; counts (K,) int64, how often. K is at most C R 65536.
    """

    bins: np.ndarray
    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, bins: np.ndarray) -> Self:
        """The summary of no values."""
        return cls(bins, *(np.zeros(0, np.int64) for _ in range(2)))

    @classmethod
    def of(cls, values: np.ndarray, bins: np.ndarray) -> Self:
        """The summary of (C, N) float32 values inside `bins` (C, R)."""
        return cls.empty(bins).update(values)

    def update(self, values: np.ndarray, mirror: np.ndarray | None = None) -> Self:
        """Take in, in place, (C, N) float32 values, and with `mirror` also `values * mirror[:, None]`."""
        pieces: list[np.ndarray] = []
        for channel, row in enumerate(np.asarray(values, np.float32)):
            negated = mirror is not None and mirror[channel] < 0
            for chunk in _chunks(row):
                codes = self._near(channel, _codes(chunk), negated)
                pieces += self._keys(channel, codes)
                if negated:
                    pieces += self._keys(channel, np.where(codes == _ZERO, codes, ~codes))
                elif mirror is not None:
                    pieces += pieces[-self.bins.shape[1] :]
        keys = np.sort(np.concatenate(pieces)) if pieces else np.zeros(0, np.int64)
        starts = _starts(keys)
        return self._add(keys[starts], np.diff(starts, append=len(keys)))

    def merge(self, other: Self) -> Self:
        """The summary of the values of both; they must look into the same bins."""
        return type(self)(self.bins, self.keys, self.counts)._merge(other.bins, other.keys, other.counts)

    def merge_bytes(self, data: bytes) -> Self:
        """Take in, in place, the summary whose `to_bytes` are given; it must look into the same bins."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return self._merge(stored["bins"], stored["keys"], stored["counts"])

    def occurring(self, channel: int, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The float32 values that occur in the bin of one row, ascending, and how often each does."""
        first = (channel * self.bins.shape[1] + row) * BINS
        inside = slice(*np.searchsorted(self.keys, [first, first + BINS]))
        lower = (self.keys[inside] - first).astype(np.uint32)
        upper = np.uint32(self.bins[channel, row]) << np.uint32(16)
        return from_ordered_bits(upper + lower), self.counts[inside]

    def to_bytes(self) -> bytes:
        """A compact form."""
        stream = io.BytesIO()
        np.savez(stream, bins=self.bins, keys=self.keys, counts=self.counts)
        return stream.getvalue()

    def _near(self, channel: int, codes: np.ndarray, negated: bool) -> np.ndarray:
        """The codes in the bins of a channel, where `negated` also those whose negatives lie there: few of all."""
        upper = (codes >> np.uint32(16)).astype(np.uint16)  # small: compared 32 at a time
        bins = self.bins[channel]
        if negated:
            bins = np.concatenate([bins, BINS - 1 - bins, [_ZERO >> 16]])  # 0 is its own negative
        inside = np.zeros(len(codes), bool)
        for bin_ in np.unique(bins):
            inside |= upper == np.uint16(bin_)
        return codes[inside]

    def _keys(self, channel: int, codes: np.ndarray) -> list[np.ndarray]:
        """The keys of the codes in the bins of a channel, one array for each row."""
        upper, lower = codes >> np.uint32(16), (codes & _LOWER).astype(np.int64)
        first = channel * self.bins.shape[1] * BINS
        return [lower[upper == bin_] + (first + row * BINS) for row, bin_ in enumerate(self.bins[channel])]

    def _merge(self, bins: np.ndarray, keys: np.ndarray, counts: np.ndarray) -> Self:
        if not np.array_equal(self.bins, bins):
            raise ValueError("summaries of different bins do not merge")
        return self._add(keys, counts)

    def _add(self, keys: np.ndarray, counts: np.ndarray) -> Self:
        keys, counts = np.concatenate([self.keys, keys]), np.concatenate([self.counts, counts])
        order = np.argsort(keys, kind="stable")  # both halves are sorted: this merges them
        starts = _starts(keys[order])
        self.keys = keys[order][starts]
        self.counts = np.add.reduceat(counts[order], starts) if len(starts) else counts
        return self


def _starts(keys: np.ndarray) -> np.ndarray:
    """Where each value of sorted `keys` begins."""
    return np.flatnonzero(np.diff(keys, prepend=-1))
