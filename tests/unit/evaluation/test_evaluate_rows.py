"""From rows per image to a row of the table: means, failures, intervals and speed."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ced.core.metrics import bef_mse_bound
from ced.evaluation import evaluate, pool
from ced.evaluation.metrics import per_image_schema, pooled_schema
from ced.evaluation.rows import Means, from_best, row_of
from ced.store.outputs import Manifest, Output, write_table

KEY = ("set", 10, "y", "mine")
MEASURED = ["psnr", "psnr_b", "ssim", "ssim_gaussian", "bef_mse"]
POOLED = {"w1": 0.3, "energy": 0.6}, {"w1": (0.2, 0.4), "energy": (0.5, 0.7)}


def one(psnr: float, reason: str = "", seconds: float | None = 0.5) -> dict[str, Any]:
    measured = {"psnr": psnr, "psnr_b": psnr - 1, "ssim": psnr / 100, "ssim_gaussian": psnr / 200, "bef_mse": 0.3}
    if reason:
        measured = dict.fromkeys(measured)  # type: ignore[assignment]
    return {**measured, "lpips": None, "seconds": None if reason else seconds, "reason": reason, "height": 500} | {
        "width": 1000
    }


def test_means_are_over_the_images() -> None:
    row = row_of(KEY, Means.of([one(20.0), one(30.0)]), *POOLED)
    assert (row.dataset, row.quality, row.colour, row.method) == KEY
    assert (row.images, row.failures) == (2, 0)
    assert [row.value(name) for name in MEASURED] == [25.0, 24.0, 0.25, 0.125, 0.3]
    assert row.value("bef_mse_bound") == bef_mse_bound(25.0, 24.0)
    assert (row.value("w1"), row.value("energy")) == (0.3, 0.6)
    assert math.isnan(row.value("lpips"))
    assert row.value("seconds_per_megapixel") == pytest.approx(1.0)


def test_failures_are_counted_and_not_averaged() -> None:
    row = row_of(KEY, Means.of([one(20.0), one(0, "timeout"), one(30.0)]), *POOLED)
    assert (row.images, row.failures, row.value("psnr")) == (2, 1, 25.0)
    assert row.value("seconds_per_megapixel") == pytest.approx(1.0)


def test_a_method_that_restored_nothing_has_a_row_without_figures() -> None:
    row = row_of(KEY, Means.of([one(0, "timeout")] * 3), {}, {})
    assert (row.images, row.failures, row.intervals) == (0, 3, {})
    assert all(
        math.isnan(value) for value in map(row.value, ("psnr", "ssim", "bef_mse_bound", "w1", "seconds_per_megapixel"))
    )


def test_intervals_hold_their_means_and_are_the_same_every_time() -> None:
    ones = [one(float(value)) for value in np.random.default_rng(0).normal(30, 2, 29)]
    row = row_of(KEY, Means.of(ones), *POOLED)
    assert list(row.intervals) == [
        *MEASURED,
        "bef_mse_bound",
        *("w1", "energy"),
    ]
    for name, (low, high) in row.intervals.items():
        # The bound enters with two decimals: a constant difference of 1 dB is 1.00 or 0.99 or 1.01.
        assert low - 0.01 <= row.value(name) <= high + 0.01, name
    low, high = row.intervals["psnr"]
    assert high - low == pytest.approx(2 * 1.96 * 2 / 29**0.5, rel=0.3)
    assert row_of(KEY, Means.of(ones), *POOLED) == row


def test_lpips_is_a_mean_where_it_was_measured() -> None:
    row = row_of(KEY, Means.of([one(20.0) | {"lpips": 0.2}, one(30.0) | {"lpips": 0.4}]), *POOLED)
    assert row.value("lpips") == pytest.approx(0.3)
    assert row.intervals["lpips"] == (0.2, 0.4)


def test_the_speed_of_a_folder_is_not_known() -> None:
    row = row_of(KEY, Means.of([one(20.0, seconds=None), one(30.0, seconds=None)]), *POOLED)
    assert math.isnan(row.value("seconds_per_megapixel"))


def test_an_infinite_mean_has_an_interval() -> None:
    row = row_of(KEY, Means.of([one(math.inf), one(30.0), one(31.0)]), *POOLED)
    assert math.isinf(row.value("psnr"))
    low, high = row.intervals["psnr"]
    assert 30 <= low <= 31 and math.isinf(high)


def test_the_pooled_figures_bring_their_intervals() -> None:
    row = row_of(KEY, Means.of([one(20.0), one(30.0)]), *POOLED)
    assert (row.intervals["w1"], row.intervals["energy"]) == ((0.2, 0.4), (0.5, 0.7))
    assert row.intervals["psnr"] == (20.0, 30.0)
    assert row_of(KEY, Means.of([one(0, "timeout")]), {}, {}).intervals == {}


def measured(image: str, method: str, quality: int, psnr: float) -> dict[str, object]:
    facts = {"dataset": "set", "image_id": image, "method": method, "quality": quality, "colour": "y"}
    size = {"height": 16, "width": 16}
    figures = {"mse": 1.0, "bef": 1.0, "bef_mse": 1.0, "psnr": psnr, "psnr_b": psnr - 1, "seconds": 0.1}
    similar = {"ssim": 0.5, "ssim_gaussian": 0.4, "lpips": None}
    return {**facts, **size, **figures, **similar, "reason": "", "message": ""}


def evaluated(folder: Path, rows: list[dict[str, object]]) -> Output:
    write_table(folder / evaluate.FILE, pa.Table.from_pylist(rows, per_image_schema()))
    keys = dict.fromkeys((row["quality"], row["method"]) for row in rows)
    pooled = [{"quality": quality, "method": method, "w1": 0.1, "energy": 0.9} for quality, method in keys]
    write_table(folder / pool.FILE, pa.Table.from_pylist(pooled, pooled_schema()))
    return Output(folder, Manifest("evaluate", "f", {}, {}, {"images": 2}, {}), reused=False)


def test_rows_are_means_over_images_by_quality_and_method(tmp_path: Path) -> None:
    images = [
        measured(image, method, quality, psnr + quality)
        for image, psnr in (("a", 20.0), ("b", 30.0))
        for quality in (10, 20)
        for method in ("jpeg", "ed")
    ]
    rows = evaluate.rows_of(evaluated(tmp_path, images))
    assert [(row.quality, row.method, row.images) for row in rows] == [
        (10, "jpeg", 2),
        (10, "ed", 2),
        (20, "jpeg", 2),
        (20, "ed", 2),
    ]
    assert rows[0].value("psnr") == pytest.approx(35.0)
    assert rows[2].value("psnr_b") == pytest.approx(44.0)
    assert rows[0].value("bef_mse_bound") == bef_mse_bound(35.0, 34.0)
    assert (rows[0].value("w1"), rows[0].value("energy"), rows[0].failures) == (0.1, 0.9, 0)
    assert rows[0].intervals["psnr"] == (30.0, 40.0)


def test_a_perfect_image_makes_the_mean_infinite(tmp_path: Path) -> None:
    (row,) = evaluate.rows_of(evaluated(tmp_path, [measured("a", "ed", 10, math.inf), measured("b", "ed", 10, 30.0)]))
    assert math.isinf(row.value("psnr"))


def compared(**psnrs: list[float]) -> dict[str, dict[str, tuple[float, float]]]:
    """How far methods with these figures of the same images are from the best; nan: it failed there."""
    means = {
        ("set", 10, "y", method): Means.of([one(value, "timeout" if math.isnan(value) else "") for value in values])
        for method, values in psnrs.items()
    }
    rows = {key: row_of(key, one_s, *POOLED) for key, one_s in means.items()}
    return {key[3]: from_best(key, rows, means) for key in rows}  # type: ignore[misc]


def test_a_difference_is_of_the_same_images_drawn_for_both() -> None:
    """Images differ by far more than methods do: intervals overlap, and still the difference holds."""
    generator = np.random.default_rng(0)
    best = [*generator.normal(30, 3, 29)]
    behind = [*(np.array(best) - generator.normal(0.1, 0.1, 29))]
    level = [*(np.array(best) - generator.normal(0.02, 0.5, 29))]
    found = compared(best=best, behind=behind, level=level)
    assert "psnr" not in found["best"]
    low, high = found["behind"]["psnr"]
    differences = np.array(behind) - np.array(best)
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=20_000, method="percentile", rng=2)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.004) and high < 0
    low, high = found["level"]["psnr"]
    assert low < 0 < high
    assert {"psnr_b", "ssim", "bef_mse_bound"} - {*found["behind"]} == {"bef_mse_bound"}, "the bound is the same"


def test_a_method_that_failed_somewhere_is_no_rival() -> None:
    found = compared(a=[20.0, 30.0, 31.0], b=[20.1, 30.1, 31.1], lucky=[math.nan, 40.0, 41.0])
    assert found["lucky"] == {} and "psnr" not in found["b"]
    assert found["a"]["psnr"] == pytest.approx((-0.1, -0.1))
    assert compared(a=[20.0, 30.0]) == {"a": {}}


def test_infinite_figures_have_a_difference_where_only_one_is() -> None:
    found = compared(perfect=[math.inf] * 3, good=[30.0, 31.0, 32.0], also=[math.inf] * 3)
    assert found["good"]["psnr"] == (-math.inf, -math.inf)
    assert "psnr" not in found["perfect"] and "psnr" not in found["also"]
