"""A run's outcome as JSON values, and as Markdown."""

import dataclasses
import json
import math

from ced.report.model import Row
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


def test_what_json_cannot_hold_comes_back_all_the_same() -> None:
    perfect = Row(**ROW, **FIGURES | {"psnr": math.inf}, intervals=(("psnr", 27.0, math.inf), ("ssim", 0.7, 0.8)))
    plain = summary._plain(dataclasses.asdict(perfect))
    text = json.dumps(plain, allow_nan=False)
    (row,) = summary.rows_from({"rows": [json.loads(text)]})
    assert math.isinf(row.psnr) and math.isnan(row.w1)
    assert row.psnr_b == 25.33
    assert row.intervals == (("psnr", 27.0, math.inf), ("ssim", 0.7, 0.8))


def test_a_method_called_nan_keeps_its_name() -> None:
    (row,) = summary.rows_from({"rows": [{**ROW, **FIGURES, "method": "mine", "psnr": "nan"}]})
    assert row.method == "mine" and math.isnan(row.psnr)
