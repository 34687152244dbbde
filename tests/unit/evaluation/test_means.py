"""From rows per image to a row of the table: means, failures, intervals and speed."""

import math
from typing import Any

import numpy as np
import pytest

from ced.core.metrics import bef_mse_bound
from ced.evaluation import means
from ced.evaluation.pool import Figures

KEY = ("set", 10, "y", "mine")


def one(psnr: float, reason: str = "", seconds: float | None = 0.5) -> dict[str, Any]:
    measured = {"psnr": psnr, "psnr_b": psnr - 1, "ssim": psnr / 100, "ssim_gaussian": psnr / 200, "bef_mse": 0.3}
    if reason:
        measured = dict.fromkeys(measured)  # type: ignore[assignment]
    return {**measured, "lpips": None, "seconds": None if reason else seconds, "reason": reason, "height": 500} | {
        "width": 1000
    }


def test_means_are_over_the_images() -> None:
    row = means.row(KEY, [one(20.0), one(30.0)], Figures(0.3, 0.6))
    assert (row.dataset, row.quality, row.colour, row.method) == KEY
    assert (row.images, row.failures) == (2, 0)
    assert (row.psnr, row.psnr_b, row.ssim, row.ssim_gaussian, row.bef_mse) == (25.0, 24.0, 0.25, 0.125, 0.3)
    assert row.bef_mse_bound == bef_mse_bound(25.0, 24.0)
    assert (row.w1, row.energy) == (0.3, 0.6)
    assert math.isnan(row.lpips)
    assert row.seconds_per_megapixel == pytest.approx(1.0)


def test_failures_are_counted_and_not_averaged() -> None:
    row = means.row(KEY, [one(20.0), one(0, "timeout"), one(30.0)], Figures(0.3, 0.6))
    assert (row.images, row.failures, row.psnr) == (2, 1, 25.0)
    assert row.seconds_per_megapixel == pytest.approx(1.0)


def test_a_method_that_restored_nothing_has_a_row_without_figures() -> None:
    row = means.row(KEY, [one(0, "timeout")] * 3, Figures(math.nan, math.nan))
    assert (row.images, row.failures, row.intervals) == (0, 3, ())
    assert all(math.isnan(value) for value in (row.psnr, row.ssim, row.bef_mse_bound, row.seconds_per_megapixel))


def test_intervals_hold_their_means_and_are_the_same_every_time() -> None:
    ones = [one(float(value)) for value in np.random.default_rng(0).normal(30, 2, 29)]
    row = means.row(KEY, ones, Figures(0.3, 0.6))
    assert [name for name, _, _ in row.intervals] == [
        *("psnr", "psnr_b", "ssim", "ssim_gaussian", "bef_mse"),
        "bef_mse_bound",
    ]
    for name, low, high in row.intervals:
        # The bound enters with two decimals: a constant difference of 1 dB is 1.00 or 0.99 or 1.01.
        assert low - 0.01 <= getattr(row, name) <= high + 0.01, name
    low, high = row.interval("psnr") or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * 2 / 29**0.5, rel=0.3)
    assert means.row(KEY, ones, Figures(0.3, 0.6)) == row or means.row(KEY, ones, (0.3, 0.6)).intervals == row.intervals


def test_lpips_is_a_mean_where_it_was_measured() -> None:
    row = means.row(KEY, [one(20.0) | {"lpips": 0.2}, one(30.0) | {"lpips": 0.4}], Figures(0.3, 0.6))
    assert row.lpips == pytest.approx(0.3)
    assert row.interval("lpips") == (0.2, 0.4)


def test_the_speed_of_a_folder_is_not_known() -> None:
    row = means.row(KEY, [one(20.0, seconds=None), one(30.0, seconds=None)], Figures(0.3, 0.6))
    assert math.isnan(row.seconds_per_megapixel)


def test_an_infinite_mean_has_an_interval() -> None:
    row = means.row(KEY, [one(math.inf), one(30.0), one(31.0)], Figures(0.3, 0.6))
    assert math.isinf(row.psnr)
    low, high = row.interval("psnr") or (0, 0)
    assert 30 <= low <= 31 and math.isinf(high)


def test_the_pooled_figures_bring_their_intervals() -> None:
    pooled = Figures(0.3, 0.6, (("w1", 0.2, 0.4), ("energy", 0.5, 0.7)))
    row = means.row(KEY, [one(20.0), one(30.0)], pooled)
    assert (row.interval("w1"), row.interval("energy")) == ((0.2, 0.4), (0.5, 0.7))
    assert row.interval("psnr") == (20.0, 30.0)
    assert means.row(KEY, [one(0, "timeout")], Figures(math.nan, math.nan)).intervals == ()
