"""Exact quantiles: equal to NumPy's on all values, however they are divided and merged."""

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ced.core.quantiles import (
    BINS,
    Coarse,
    Fine,
    exact_sum,
    from_ordered_bits,
    inverted_cdf_ranks,
    mean,
    ordered_bits,
)

numbers = st.floats(-4080, 4080, width=32, allow_nan=False)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
arrays = hnp.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 60)), elements=numbers)


def same(one: Fine, other: Fine) -> bool:
    return all(np.array_equal(getattr(one, k), getattr(other, k)) for k in ("bins", "keys", "counts"))


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
    with pytest.raises(ValueError, match="not finite"):
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
            found, counts = fine.occurring(channel, row)
            at = np.searchsorted(np.cumsum(counts), rank - before[bins[channel, row]], side="right")
            assert found[at] == expected[row]


@given(arrays, st.lists(st.integers(0, 60), max_size=5), st.randoms())
@settings(max_examples=40, deadline=None)
def test_division_and_order_do_not_matter(values: np.ndarray, cuts: list[int], shuffle: object) -> None:
    whole = Coarse.of(values)
    pieces = np.split(values, sorted(min(cut, values.shape[1]) for cut in cuts), axis=1)
    shuffle.shuffle(pieces)  # type: ignore[attr-defined]
    merged = reduce(Coarse.merge, [Coarse.of(piece) for piece in pieces])
    assert np.array_equal(merged.counts, whole.counts)
    assert np.array_equal(merged.lower, whole.lower)
    bins = whole.locate(inverted_cdf_ranks(values.shape[1], 7))
    refined = reduce(Fine.merge, [Fine.of(piece, bins) for piece in pieces])
    assert same(refined, Fine.of(values, bins))


@given(arrays, st.tuples(*[st.sampled_from([1, -1])] * 2))
@settings(max_examples=60, deadline=None)
def test_a_mirror_counts_as_the_values_with_their_signs(values: np.ndarray, signs: tuple[int, int]) -> None:
    mirror = np.array(signs)
    both = np.concatenate([values, values * mirror[:, None].astype(np.float32)], axis=1)
    whole, folded = Coarse.of(both), Coarse.empty(2).update(values, mirror)
    assert np.array_equal(folded.counts, whole.counts)
    assert np.array_equal(folded.lower, whole.lower)
    bins = whole.locate(inverted_cdf_ranks(both.shape[1], 7))
    assert same(Fine.empty(bins).update(values, mirror), Fine.of(both, bins))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -np.nan])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        Coarse.of(np.array([[0.5, value]], np.float32))
    largest = np.finfo(np.float32).max
    assert Coarse.of(np.array([[largest, -largest]], np.float32)).counts.sum() == 2


@given(hnp.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 60)), elements=finite))
@settings(max_examples=60, deadline=None)
def test_sums_are_exact(values: np.ndarray) -> None:
    coarse = Coarse.of(values)
    for channel, row in enumerate(values):
        expected = sum(Fraction(float(v)) for v in row)
        bins, sums = coarse.sums(channel)
        assert bins.tolist() == sorted({int(code >> 16) for code in ordered_bits(row)})
        assert Fraction(sum(sums), 2**149) == expected
        assert mean(sum(sums), len(row)) == float(expected / len(row))
        found, counts = np.unique(row, return_counts=True)
        assert exact_sum(found, counts) == sum(sums)


def test_sums_stay_exact_where_a_bin_is_as_full_as_a_chunk_can_be() -> None:
    last = from_ordered_bits(np.array([0xC000FFFF], np.uint32))  # the greatest lower bits
    values = np.repeat(last, 3 * 131072 + 5)[None]
    bins, sums = Coarse.of(values).sums(0)
    assert bins.tolist() == [0xC000]
    assert Fraction(sums[0], 2**149) == Fraction(float(last[0])) * values.size


def test_summaries_survive_their_bytes() -> None:
    values = np.random.default_rng(0).normal(0, 50, (3, 5000)).astype(np.float32)
    coarse = Coarse.of(values)
    bins = coarse.locate(inverted_cdf_ranks(5000, 7))
    fine = Fine.of(values, bins)
    again, fine_again = Coarse.empty(3).merge_bytes(coarse.to_bytes()), Fine.empty(bins).merge_bytes(fine.to_bytes())
    assert np.array_equal(again.counts, coarse.counts)
    assert np.array_equal(again.lower, coarse.lower)
    assert same(fine_again, fine)
    assert np.array_equal(again.merge_bytes(coarse.to_bytes()).counts, coarse.merge(coarse).counts)
    assert np.array_equal(again.lower, coarse.merge(coarse).lower)
    assert same(fine_again.merge_bytes(fine.to_bytes()), fine.merge(fine))
    assert fine.merge(fine).counts.sum() == 2 * fine.counts.sum()


def test_memory_does_not_grow_with_the_values() -> None:
    few, many = (Coarse.of(np.random.default_rng(n).normal(0, 9, (1, n)).astype(np.float32)) for n in (10, 3_000_000))
    assert few.counts.nbytes == many.counts.nbytes == BINS * 8
    assert many.counts.sum() == 3_000_000


@given(arrays)
@settings(max_examples=40, deadline=None)
def test_fine_counts_are_those_of_the_values_in_the_bins(values: np.ndarray) -> None:
    bins = Coarse.of(values).locate(inverted_cdf_ranks(values.shape[1], 4))
    bins = np.unique(bins, axis=1)[:, :1]  # one bin a channel
    fine = Fine.of(values, bins)
    for channel in range(2):
        expected = np.array([v for v in values[channel] if ordered_bits(np.array([v]))[0] >> 16 == bins[channel, 0]])
        found, counts = fine.occurring(channel, 0)
        assert np.array_equal(np.repeat(found, counts), np.sort(expected + np.float32(0)))


def test_an_empty_array_is_the_neutral_element() -> None:
    values = np.array([[1.5, -2.0]], np.float32)
    merged = Coarse.of(values).merge(Coarse.of(values[:, :0]))
    assert np.array_equal(merged.counts, Coarse.of(values).counts)


def test_summaries_of_different_bins_do_not_merge() -> None:
    values = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match="different bins"):
        Fine.of(values, np.array([[1]])).merge(Fine.of(values, np.array([[2]])))
    with pytest.raises(ValueError, match="different bins"):
        Fine.of(values, np.array([[1]])).merge_bytes(Fine.of(values, np.array([[2]])).to_bytes())
    with pytest.raises(ValueError, match="different channels"):
        Coarse.of(values).merge_bytes(Coarse.empty(2).to_bytes())
