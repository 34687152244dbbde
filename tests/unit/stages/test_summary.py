"""A run's outcome as JSON values, and as Markdown."""

import json
import math

from ced.stages import summary

ROW = {"dataset": "set", "quality": 10, "colour": "y", "method": "jpeg", "images": 2}
FIGURES = {"psnr": 27.77, "psnr_b": 25.33, "ssim": 0.791, "bef_mse_bound": 0.754}
TOLD = {
    "counts": {"photographs": 1200, "prepared": 1199, "quarantined": 1},
    "quarantine": [{"source": "set/bad.jpg", "reason": "empty", "message": "the file has no bytes"}],
    "rows": [{**ROW, **FIGURES}],
}


def test_markdown_has_the_table_the_counts_and_what_was_set_aside() -> None:
    page = summary.markdown(TOLD)
    assert "27.77" in page
    assert "1,200 photographs, 1,199 prepared, 1 quarantined" in page
    assert "- set aside: `set/bad.jpg` (empty: the file has no bytes)" in page


def test_infinity_travels_as_null() -> None:
    perfect = {**ROW, **FIGURES, "psnr": math.inf}
    plain = summary._finite(perfect)
    assert json.loads(json.dumps(plain, allow_nan=False))["psnr"] is None
    (row,) = summary.rows_from({"rows": [plain]})
    assert math.isinf(row.psnr)
    assert row.psnr_b == 25.33
