"""Intervals of means against SciPy's bootstrap and the normal approximation; the same ones every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from ced.core.bootstrap import REPEATS, intervals


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
    monkeypatch.setattr("ced.core.bootstrap._AT_ONCE", 50 * 7)
    assert intervals(values) == whole


def test_figures_may_be_made_of_the_means() -> None:
    values = np.random.default_rng(6).normal(10, 1, (40, 2))

    def difference(means: np.ndarray) -> np.ndarray:
        assert means.shape == (REPEATS, 2)
        return means[:, :1] - means[:, 1:]

    ((low, high),) = intervals(values, difference)
    assert low < values[:, 0].mean() - values[:, 1].mean() < high


def test_infinite_means_and_single_images() -> None:
    assert intervals(np.array([[np.inf], [1.0], [1.0]]))[0] == (1.0, np.inf)
    assert intervals(np.array([[3.5]]))[0] == (3.5, 3.5)
    with pytest.raises(ValueError, match="no images"):
        intervals(np.zeros((0, 1)))
