"""From rows per image to rows of Table 2."""

import math
from pathlib import Path

import pyarrow as pa
import pytest

from ced import schema
from ced.core.metrics import bef_mse_bound
from ced.evaluation import evaluate, pool
from ced.report import stage
from ced.store.outputs import Manifest, Output, write_table


def one(image: str, method: str, quality: int, psnr: float) -> dict[str, object]:
    facts = {"dataset": "set", "image_id": image, "method": method, "quality": quality, "colour": "y"}
    size = {"height": 16, "width": 16}
    measured = {"mse": 1.0, "bef": 1.0, "bef_mse": 1.0, "psnr": psnr, "psnr_b": psnr - 1, "seconds": 0.1}
    similar = {"ssim": 0.5, "ssim_gaussian": 0.4, "lpips": None}
    return {**facts, **size, **measured, **similar, "reason": "", "message": ""}


def evaluated(folder: Path, rows: list[dict[str, object]]) -> Output:
    write_table(folder / evaluate.FILE, pa.Table.from_pylist(rows, schema.PER_IMAGE))
    keys = dict.fromkeys((row["quality"], row["method"]) for row in rows)
    pooled = [{"quality": quality, "method": method, "w1": 0.1, "energy": 0.9} for quality, method in keys]
    write_table(folder / pool.FILE, pa.Table.from_pylist(pooled, schema.POOLED))
    return Output(folder, Manifest("evaluate", "f", {}, {}, {"images": 2}, {}), reused=False)


def test_rows_are_means_over_images_by_quality_and_method(tmp_path: Path) -> None:
    images = [
        one(image, method, quality, psnr + quality)
        for image, psnr in (("a", 20.0), ("b", 30.0))
        for quality in (10, 20)
        for method in ("jpeg", "ed")
    ]
    rows = stage.rows_of(evaluated(tmp_path, images))
    assert [(row.quality, row.method, row.images) for row in rows] == [
        (10, "jpeg", 2),
        (10, "ed", 2),
        (20, "jpeg", 2),
        (20, "ed", 2),
    ]
    assert rows[0].psnr == pytest.approx(35.0)
    assert rows[2].psnr_b == pytest.approx(44.0)
    assert rows[0].bef_mse_bound == bef_mse_bound(35.0, 34.0)
    assert (rows[0].w1, rows[0].energy, rows[0].failures) == (0.1, 0.9, 0)
    assert rows[0].interval("psnr") == (30.0, 40.0)


def test_a_perfect_image_makes_the_mean_infinite(tmp_path: Path) -> None:
    (row,) = stage.rows_of(evaluated(tmp_path, [one("a", "ed", 10, math.inf), one("b", "ed", 10, 30.0)]))
    assert math.isinf(row.psnr)


def test_versions_name_what_the_results_depend_on() -> None:
    assert {"ced", "python", "torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow"} == set(stage.versions())
