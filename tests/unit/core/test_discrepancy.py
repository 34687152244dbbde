"""KID against a double loop over patches, and what has to hold for any features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ced.core import discrepancy
from ced.core.discrepancy import kid, pair_sums

Features = list[np.ndarray]


def features(seed: int, counts: tuple[int, ...], shift: float = 0.0) -> Features:
    """Of some images, so many patches each; those of one image are alike."""
    generator = np.random.default_rng(seed)
    middles = [generator.normal(shift, 1, 6) for _ in counts]
    return [
        generator.normal(middle, 0.5, (count, 6)).astype(np.float32)
        for middle, count in zip(middles, counts, strict=True)
    ]


def slow(originals: Features, restored: Features) -> float:
    """The mean over all pairs of patches of two different images, one by one, in float64."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((sum(float(p) * float(q) for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3)

    total, pairs = 0.0, 0
    for i, (x_i, y_i) in enumerate(zip(originals, restored, strict=True)):
        for j, (x_j, y_j) in enumerate(zip(originals, restored, strict=True)):
            if i == j:
                continue
            for x, y in zip(x_i, y_i, strict=True):
                for other_x, other_y in zip(x_j, y_j, strict=True):
                    total += k(x, other_x) + k(y, other_y) - k(x, other_y) - k(y, other_x)
                    pairs += 1
    return 1000 * total / pairs


def test_it_is_the_mean_over_pairs_of_patches_of_two_images() -> None:
    originals, restored = features(0, (3, 1, 4, 2)), features(1, (3, 1, 4, 2), shift=0.3)
    figures, _ = kid(originals, restored)
    assert figures["kid"] == pytest.approx(slow(originals, restored), rel=1e-9)


def test_with_one_patch_an_image_it_is_gretton_s_estimate_of_paired_samples() -> None:
    """Equation 4 of Gretton et al. 2012, from matrices of the kernel."""
    x, y = (np.concatenate(features(seed, (1,) * 9, shift)) for seed, shift in ((0, 0.0), (1, 0.5)))

    def matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        found = (a.astype(np.float64) @ b.T.astype(np.float64) / 6 + 1) ** 3
        return np.asarray(found - np.diag(np.diag(found)))

    expected = 1000 * (matrix(x, x) + matrix(y, y) - 2 * matrix(x, y)).sum() / (9 * 8)
    assert kid([*x[:, None]], [*y[:, None]])[0]["kid"] == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=6), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_originals_are_not_apart_from_themselves(counts: list[int], seed: int) -> None:
    same = features(seed, tuple(counts))
    found, _ = kid(same, same)
    assert found.get("kid", 0.0) == 0.0
    assert ("kid" in found) == (sum(count > 0 for count in counts) >= 2)


def test_it_has_no_bias_where_both_come_from_one_source() -> None:
    """The mean over many data sets is 0 within its error, whereas the mean with all pairs would be far from it."""
    found = [kid(features(seed, (2,) * 8), features(1000 + seed, (2,) * 8))[0]["kid"] for seed in range(300)]
    error = float(np.std(found)) / len(found) ** 0.5
    assert abs(np.mean(found)) < 3 * error


def test_the_standard_error_is_that_of_other_data_sets() -> None:
    found = [kid(features(s, (2,) * 40, 0.0), features(1000 + s, (2,) * 40, shift=0.8)) for s in range(60)]
    spread = np.std([figures["kid"] for figures, _ in found])
    told = np.mean([figures["kid_error"] for figures, _ in found])
    assert told == pytest.approx(spread, rel=0.3)
    expected = np.mean([figures["kid"] for figures, _ in found])
    held = sum(low <= expected <= high for _, ends in found for low, high in [ends["kid"]])
    assert held >= 50, "of 60, where 57 are expected"


def test_images_without_patches_play_no_part_and_the_order_of_images_none() -> None:
    originals, restored = features(0, (3, 0, 4, 2)), features(1, (3, 0, 4, 2))
    figures, ends = kid(originals, restored)
    without = [0, 2, 3]
    assert kid([originals[n] for n in without], [restored[n] for n in without]) == (figures, ends)
    order = [3, 1, 0, 2]
    turned, _ = kid([originals[n] for n in order], [restored[n] for n in order])
    assert turned["kid"] == pytest.approx(figures["kid"], rel=1e-12)


def test_two_images_have_no_error_and_one_has_no_figure() -> None:
    assert kid(features(0, (3,)), features(1, (3,))) == ({}, {})
    figures, ends = kid(features(0, (3, 2)), features(1, (3, 2)))
    assert list(figures) == ["kid"] and ends == {}
    assert kid([], []) == ({}, {})


def test_sums_are_symmetric_and_leave_out_an_image_with_itself() -> None:
    sums, pairs = pair_sums(features(0, (3, 1, 2)), features(1, (3, 1, 2)))
    assert np.allclose(sums, sums.T) and (np.diag(sums) == 0).all()
    assert pairs.tolist() == [[0, 3, 6], [3, 0, 2], [6, 2, 0]]
    assert discrepancy.SCALE == 1000
