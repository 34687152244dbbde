"""Intervals of means against SciPy's bootstrap and the normal approximation; the same ones every time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from skimage import data

from ced.core import jpeg, resampling
from ced.core.images import luminance
from ced.core.resampling import REPEATS, SEED, Interval, PooledDraws, percentiles, resampled
from ced.core.spectrum import CoarseSpectrum, Filled, Likeness, Spectrum, coarse_middles, likeness


def intervals(values: np.ndarray) -> tuple[Interval, ...]:
    return percentiles(resampled(values))


def test_it_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(1).gamma(2.0, 3.0, 100)
    ((low, high),) = intervals(values[:, None])
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    # 2,000 draws place a 2.5 % tail within a tenth of a standard error.
    tolerance = values.std() / 10 / 10 * 1.5
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=tolerance)


def test_it_is_about_two_standard_errors_either_side() -> None:
    values = np.random.default_rng(3).normal(30, 2, 400)
    ((low, high),) = intervals(values[:, None])
    error = values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 3)), elements=st.floats(-100, 100)))
@settings(max_examples=20, deadline=None)
def test_it_is_the_same_every_time_and_holds_nothing_beyond_the_values(values: np.ndarray) -> None:
    found = intervals(values)
    assert found == intervals(values.copy())
    for (low, high), column in zip(found, values.T, strict=True):
        assert column.min() - 1e-9 <= low <= high <= column.max() + 1e-9


def test_methods_are_compared_on_the_same_draws() -> None:
    values = np.random.default_rng(4).normal(size=(29, 1))
    together = intervals(np.hstack([values, values + 5]))
    assert intervals(values)[0] == together[0]
    assert together[1] == pytest.approx([end + 5 for end in together[0]])


def test_many_images_are_drawn_in_pieces_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(size=(50, 1))
    whole = intervals(values)
    monkeypatch.setattr("ced.core.resampling._AT_ONCE", 50 * 7)
    assert intervals(values) == whole


def test_figures_may_be_made_of_the_means() -> None:
    values = np.random.default_rng(6).normal(10, 1, (40, 2))

    def difference(means: np.ndarray) -> np.ndarray:
        assert means.shape == (REPEATS, 2)
        return means[:, :1] - means[:, 1:]

    ((low, high),) = percentiles(difference(resampled(values)))
    assert low < values[:, 0].mean() - values[:, 1].mean() < high


def test_infinite_means_and_single_images() -> None:
    assert intervals(np.array([[np.inf], [1.0], [1.0]]))[0] == (1.0, np.inf)
    assert intervals(np.array([[3.5]]))[0] == (3.5, 3.5)
    with pytest.raises(ValueError, match="no images"):
        intervals(np.zeros((0, 1)))


PLANES = [
    np.ascontiguousarray(plane[top : top + 64 + 8 * (top % 3), left : left + 72])
    for plane in (data.camera(), luminance(data.chelsea()), luminance(data.coffee()), data.brick())
    for top, left in ((0, 0), (40, 90), (100, 50), (130, 160), (170, 300))
]
DAMAGED = [jpeg.decode(jpeg.encode(plane, 10)) for plane in PLANES]


def pooled(planes: list[np.ndarray]) -> Spectrum:
    total = Spectrum.empty()
    for plane in planes:
        total.update(plane)
    return total


def exact_and_intervals(planes: list[np.ndarray], restored: list[np.ndarray]) -> tuple[Likeness, Any]:
    draws = PooledDraws()
    for number, pair in enumerate(zip(planes, restored, strict=True)):
        draws.add(number, *(CoarseSpectrum.of(Filled.of(plane)) for plane in pair))
    exact = likeness(pooled(planes), pooled(restored))
    return exact, draws.intervals(exact)


def test_pooled_intervals_are_those_of_pooling_the_drawn_images_anew() -> None:
    """200 of the very draws, pooled in full: the same middle and ends, up to a sixth of the interval's width."""
    generator = np.random.Generator(np.random.Philox(key=SEED))
    drawn = generator.integers(0, len(PLANES), (1000, len(PLANES)))[:200]
    spectra = [tuple(Spectrum.empty().update(plane) for plane in pair) for pair in zip(PLANES, DAMAGED, strict=True)]
    figures = []
    for draw in drawn:
        counts = np.bincount(draw, minlength=len(PLANES))
        sides = [
            Spectrum(
                sum(n * pair[side].counts for n, pair in zip(counts, spectra, strict=True)),
                sum(n * pair[side].lower for n, pair in zip(counts, spectra, strict=True)),
            )
            for side in (0, 1)
        ]
        figures.append(likeness(*sides))
    low, high = np.quantile(figures, [0.025, 0.975], axis=0)
    exact, found = exact_and_intervals(PLANES, DAMAGED)
    for column, interval in enumerate(found):
        slack = (high[column] - low[column]) / 6
        assert abs(interval.low - low[column]) < slack and abs(interval.high - high[column]) < slack
        assert interval.low < exact[column] < interval.high


def test_identical_images_have_pooled_intervals_without_width() -> None:
    _, (w1, energy) = exact_and_intervals(PLANES, PLANES)
    assert w1 == (0, 0) and energy == pytest.approx((1, 1), abs=1e-12)


def test_a_flat_restoration_has_energy_0() -> None:
    exact, (w1, energy) = exact_and_intervals(PLANES, [np.full_like(plane, 128) for plane in PLANES])
    assert energy == (0, 0) and w1.low < exact.w1 < w1.high


def test_flat_originals_have_none_or_no_width() -> None:
    flat = [np.full((64, 64), value, np.uint8) for value in (10, 90)]
    assert exact_and_intervals(flat, DAMAGED[:2])[1] is None
    _, (w1, energy) = exact_and_intervals(flat, flat)
    assert w1 == (0, 0) and energy == pytest.approx((1, 1))


def test_pooled_intervals_depend_on_no_order_and_many_images_are_drawn_in_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = likeness(pooled(PLANES), pooled(DAMAGED))
    numbered = list(enumerate(zip(PLANES, DAMAGED, strict=True)))
    monkeypatch.setattr(resampling, "GROUPS", 7)
    ends = []
    for order in (numbered, numbered[::-1]):
        draws = PooledDraws()
        for number, pair in order:
            draws.add(number, *(CoarseSpectrum.of(Filled.of(plane)) for plane in pair))
        ends.append(draws.intervals(exact))
    assert ends[0] == ends[1]
    assert ends[0] is not None and ends[0][0].low < exact.w1 < ends[0][0].high


def test_coarse_bins_hold_the_values_around_their_middles() -> None:
    """A quarter of an octave each: the counts of numpy's histogram between the middles of neighbours."""
    filled = Filled.of(PLANES[0])
    coarse, spectrum = CoarseSpectrum.of(filled), Spectrum.empty().add(filled)
    middles = coarse_middles()
    assert (np.diff(middles) > 0).all()
    for row in (1, 9, 63):
        values, counts = spectrum.values(*divmod(row, 8))
        assert coarse.counts[row].sum() == coarse.moments[row, 0] == counts.sum()
        assert coarse.moments[row, 1] == pytest.approx(values @ counts, abs=0.004 * np.abs(values) @ counts)
        assert coarse.moments[row, 2] == pytest.approx(values**2 @ counts, rel=0.008)
        nearest = np.abs(values[:, None] - middles).argmin(axis=1)
        held = np.repeat(np.arange(len(middles)), coarse.counts[row])
        assert np.abs(held - np.repeat(nearest, counts)).max() <= 1
        assert np.abs(middles[held] - np.repeat(values, counts)).max() <= 0.13 * np.abs(values).max()
