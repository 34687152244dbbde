"""Exact quantiles: equal to NumPy's on all values, however they are divided and merged."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ced.core.quantiles import BINS, FIXED_POINT, Coarse, Fine, from_ordered_bits, inverted_cdf_ranks, ordered_bits

numbers = st.floats(-4080, 4080, width=32, allow_nan=False)
arrays = hnp.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 60)), elements=numbers)


@given(hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32, allow_nan=False)))
def test_codes_sort_as_the_values_do_and_give_them_back(values: np.ndarray) -> None:
    codes = ordered_bits(values)
    assert np.array_equal(values[np.argsort(codes, kind="stable")], np.sort(values))
    assert np.array_equal(from_ordered_bits(codes), values)


def test_both_zeros_share_a_code() -> None:
    assert len(set(ordered_bits(np.array([0.0, -0.0], np.float32)))) == 1


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ordered_bits(np.array([np.nan], np.float32))
    with pytest.raises(ValueError, match="beyond 8192 or NaN"):
        Coarse.of(np.array([[np.nan]], np.float32))


@given(st.integers(1, 10**12), st.integers(2, 20))
@settings(max_examples=200)
def test_ranks_are_numpys(count: int, parts: int) -> None:
    exact = [-(-count * k // parts) - 1 for k in range(1, parts)]
    # NumPy multiplies in float64: where count k / parts is whole, it may land one above.
    assert all(0 <= r - e <= 1 for r, e in zip(inverted_cdf_ranks(count, parts), exact, strict=True))


@pytest.mark.parametrize("count", [1, 6, 7, 13, 14, 49, 700, 4321])
def test_ranks_pick_the_values_that_numpy_picks(count: int) -> None:
    expected = np.quantile(np.arange(count, dtype=float), np.arange(1, 7) / 7, method="inverted_cdf")
    assert np.array_equal(inverted_cdf_ranks(count, 7), expected)


@given(arrays, st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_two_passes_give_numpys_quantiles_bit_for_bit(values: np.ndarray, parts: int) -> None:
    coarse = Coarse.of(values)
    ranks = inverted_cdf_ranks(values.shape[1], parts)
    bins = coarse.locate(ranks)
    fine = Fine.of(values, bins)
    for channel in range(2):
        expected = np.quantile(values[channel], np.arange(1, parts) / parts, method="inverted_cdf")
        before = np.cumsum(coarse.counts[channel]) - coarse.counts[channel]
        for row, rank in enumerate(ranks):
            at = np.searchsorted(np.cumsum(fine.counts[channel, row]), rank - before[bins[channel, row]], side="right")
            assert fine.values(channel, row)[at] == expected[row]


@given(arrays, st.lists(st.integers(0, 60), max_size=5), st.randoms())
@settings(max_examples=40, deadline=None)
def test_division_and_order_do_not_matter(values: np.ndarray, cuts: list[int], shuffle: object) -> None:
    whole = Coarse.of(values)
    pieces = np.split(values, sorted(min(cut, values.shape[1]) for cut in cuts), axis=1)
    shuffle.shuffle(pieces)  # type: ignore[attr-defined]
    merged = reduce(Coarse.merge, [Coarse.of(piece) for piece in pieces])
    assert np.array_equal(merged.counts, whole.counts)
    assert np.array_equal(merged.sums, whole.sums)
    bins = whole.locate(inverted_cdf_ranks(values.shape[1], 7))
    refined = reduce(Fine.merge, [Fine.of(piece, bins) for piece in pieces])
    assert np.array_equal(refined.counts, Fine.of(values, bins).counts)


@given(arrays)
@settings(max_examples=30, deadline=None)
def test_sums_are_exact_fixed_point(values: np.ndarray) -> None:
    exact = [sum(round(float(v) * FIXED_POINT) for v in row) for row in values]
    assert Coarse.of(values).sums.sum(axis=1).tolist() == exact


def test_summaries_survive_their_bytes() -> None:
    values = np.random.default_rng(0).normal(0, 50, (3, 5000)).astype(np.float32)
    coarse = Coarse.of(values)
    bins = coarse.locate(inverted_cdf_ranks(5000, 7))
    fine = Fine.of(values, bins)
    again, fine_again = Coarse.from_bytes(coarse.to_bytes()), Fine.from_bytes(fine.to_bytes())
    assert np.array_equal(again.counts, coarse.counts)
    assert np.array_equal(again.sums, coarse.sums)
    assert np.array_equal(fine_again.bins, bins)
    assert np.array_equal(fine_again.counts, fine.counts)


def test_memory_does_not_grow_with_the_values() -> None:
    few, many = (Coarse.of(np.random.default_rng(n).normal(0, 9, (1, n)).astype(np.float32)) for n in (10, 3_000_000))
    assert few.counts.nbytes == many.counts.nbytes == BINS * 8
    assert many.counts.sum() == 3_000_000


def test_an_empty_array_is_the_neutral_element() -> None:
    values = np.array([[1.5, -2.0]], np.float32)
    merged = Coarse.of(values).merge(Coarse.of(values[:, :0]))
    assert np.array_equal(merged.counts, Coarse.of(values).counts)


def test_summaries_of_different_bins_do_not_merge() -> None:
    values = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match="different bins"):
        Fine.of(values, np.array([[1]])).merge(Fine.of(values, np.array([[2]])))
