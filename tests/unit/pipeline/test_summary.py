"""A run's outcome as JSON values, and as Markdown."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.evaluation.metrics import Row
from ced.pipeline import summary
from ced.report.results import plain_row
from ced.store import finished
from ced.strict_json import finite

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


def test_the_page_of_the_data_adds_up_and_states_the_balance(pristine: Path) -> None:
    prepared, classes, _ = finished.find([pristine])
    page = summary.data(prepared, classes)
    assert "4 photographs = 3 prepared + 1 set aside (1 not an image); 12 examples in" in page
    assert "- set aside: `text.jpg` (not an image: no known image format)" in page
    counts = np.array(json.loads((pristine / "edges" / "classes.json").read_text())["counts"])
    least, most = counts.min() / counts[0].sum(), counts.max() / counts[0].sum()
    assert f"7 classes: each has {least:.3%} to {most:.3%} of a channel, where equal counts are 14.286%" in page
    assert "more in" not in page


def test_the_page_of_the_data_names_twenty_in_a_line_each(outputs: Path, edit: Callable, restate: Callable) -> None:
    rows = [{"source": f"a\n`{n}.jpg", "reason": "empty", "message": "no bytes"} for n in range(23)]
    part = outputs / "prepare/quarantine/part-00000.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema.QUARANTINE), part)
    restate(part)
    edit(outputs / "prepare", lambda stored: stored["counts"].update({"quarantined": 23}))
    prepared, classes, _ = finished.find([outputs])
    lines = summary.data(prepared, classes).splitlines()
    named = [line for line in lines if line.startswith("- set aside: ")]
    assert named == [f"- set aside: `a\\n'{n}.jpg` (empty: no bytes)" for n in range(20)]
    assert lines[-1] == f"- and 3 more in `{outputs / 'prepare' / 'quarantine'}`"


def test_what_json_cannot_hold_comes_back_all_the_same() -> None:
    perfect = Row(**ROW, values=FIGURES | {"psnr": math.inf}, intervals={"psnr": (27.0, math.inf), "ssim": (0.7, 0.8)})
    plain = finite(plain_row(perfect), str)
    text = json.dumps(plain, allow_nan=False)
    (row,) = summary.rows_from({"rows": [json.loads(text)]})
    assert math.isinf(row.value("psnr")) and math.isnan(row.value("w1"))
    assert row.value("psnr_b") == 25.33
    assert row.intervals == {"psnr": (27.0, math.inf), "ssim": (0.7, 0.8)}


def test_a_method_called_nan_keeps_its_name() -> None:
    (row,) = summary.rows_from({"rows": [{**ROW, **FIGURES, "method": "mine", "psnr": "nan"}]})
    assert row.method == "mine" and math.isnan(row.value("psnr"))
