import csv
import dataclasses
import io
import json
import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ced.evaluation.metrics import Row
from ced.report.results import plain_row, results_json, row_from, sheet, vision_json, vision_sheet

KEYS = ["dataset", "quality", "colour", "method", "images", "psnr", "psnr_b", "ssim", "bef_mse_bound"]
MORE = ["failures", "bef_mse", "ssim_gaussian", "w1", "energy", "lpips", "seconds_per_megapixel"]
MORE += ["kid", "kid_error", "dists_like", "ssimulacra2", "dists", "fid", "intervals", "from_best"]


def shown(row: Row) -> str:
    """nan is not equal to itself, but reads the same; what was not measured is nan too."""
    kept = {name: value for name, value in sorted(row.values.items()) if not math.isnan(value)}
    return repr(dataclasses.replace(row, values=kept))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def written(rows: tuple[Row, ...]) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(results_json(rows, {"ced": "0.1.0"}, {"seed": 0}))
    return whole


def test_the_keys_are_exactly_those_promised(rows: tuple[Row, ...]) -> None:
    whole = written(rows)
    assert list(whole) == ["versions", "config", "rows"]
    assert whole["versions"] == {"ced": "0.1.0"}
    assert whole["config"] == {"seed": 0}
    assert [list(row) for row in whole["rows"]] == [KEYS + MORE] * len(rows)


def test_figures_are_kept_in_full(rows: tuple[Row, ...]) -> None:
    assert [*written(rows)["rows"][1].values()][: len(KEYS)] == [
        "LIVE1",
        10,
        "y",
        "jpeg",
        29,
        27.7683,
        25.3271,
        0.7906,
        0.7544,
    ]


def test_infinite_and_missing_figures_are_null_everywhere(rows: tuple[Row, ...]) -> None:
    text = results_json(rows, {}, {"limits": (1.0, math.inf), "deep": {"value": math.nan}})
    whole = json.loads(text, parse_constant=refuse)
    assert whole["config"] == {"limits": [1.0, None], "deep": {"value": None}}
    assert [whole["rows"][5][key] for key in KEYS[5:]] == [None, None, 1.0, None]


def test_numpy_floats_are_written_as_numbers() -> None:
    row = Row("LIVE1", 10, "y", "ed", 29, {"psnr": np.float64(29.5), "psnr_b": np.float64(np.inf)})
    assert [written((row,))["rows"][0][key] for key in ("psnr", "psnr_b")] == [29.5, None]


def test_names_outside_ascii_stay_readable() -> None:
    row = Row("Østersøen “ferie”", 10, "y", "ed", 1, {"psnr": 1.0})
    text = results_json([row], {}, {})
    assert "Østersøen “ferie”" in text


@given(
    st.builds(
        Row,
        dataset=st.text(max_size=20),
        quality=st.integers(1, 100),
        colour=st.sampled_from(["y", "rgb"]),
        method=st.text(max_size=10),
        images=st.integers(0, 10**6),
        values=st.fixed_dictionaries(
            {
                "psnr": st.floats(allow_nan=False, allow_infinity=False),
                "psnr_b": st.floats(allow_nan=False, allow_infinity=False),
                "ssim": st.floats(-1, 1),
                "bef_mse_bound": st.floats(allow_nan=False, allow_infinity=False),
                "w1": st.floats(0, 9),
            }
        ),
        failures=st.integers(0, 9),
        intervals=st.dictionaries(st.text(max_size=9), st.tuples(st.floats(0, 1), st.floats(1, 2))),
        from_best=st.dictionaries(st.text(max_size=9), st.tuples(st.floats(-1, 0), st.floats(0, 1))),
    )
)
def test_any_finite_row_survives_the_way_to_json_and_back(row: Row) -> None:
    assert shown(row_from(json.loads(json.dumps(plain_row(row))))) == shown(row)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_figures_in_full_with_the_papers_beside_them(rows: tuple[Row, ...]) -> None:
    lines = read(sheet(rows))
    assert len(lines) == len(rows)
    jpeg = lines[1]
    assert (jpeg["dataset"], jpeg["method"], jpeg["images"], jpeg["psnr"]) == ("LIVE1", "jpeg", "29", "27.7683")
    assert (jpeg["paper_psnr"], jpeg["paper_bef_mse_bound"]) == ("27.77", "0.754")
    assert lines[4]["paper_psnr"] == ""
    assert (lines[5]["psnr"], lines[5]["bef_mse_bound"]) == ("inf", "")


def test_intervals_have_two_columns_each(rows: tuple[Row, ...]) -> None:
    with_one = dataclasses.replace(rows[0], intervals={"psnr": (26.0, math.inf)}, failures=2)
    first, second = read(sheet([with_one, rows[1]]))
    assert (first["psnr_low"], first["psnr_high"], first["failures"]) == ("26.0", "inf", "2")
    assert (second["psnr_low"], second["psnr_high"]) == ("", "")


def test_names_with_commas_and_quotes_stay_whole() -> None:
    (line,) = read(sheet([Row('a,"b"\nc', 10, "y", "m;n", 1)]))
    assert (line["dataset"], line["method"]) == ('a,"b"\nc', "m;n")


SEEN = tuple(
    Row("voc", quality, "rgb", method, 213, {"map": value, "map_area": value + 0.01, "miou": value + 0.2})
    for method, quality, value in (("original", 0, 0.8), ("jpeg", 10, 0.4), ("jpeg", 20, 0.6), ("mine", 10, math.nan))
)


def test_table_3_as_csv_has_every_figure_in_full() -> None:
    found = list(csv.DictReader(io.StringIO(vision_sheet(SEEN))))
    assert len(found) == len(SEEN)
    assert (found[1]["method"], found[1]["map"], found[1]["paper_map"], found[1]["paper_miou"]) == (
        "jpeg",
        "0.4",
        "0.359",
        "0.414",
    )
    assert found[2]["paper_map"] == ""
    assert list(found[0])[:9] == ["dataset", "colour", "quality", "method", "images", "failures", *NAMES_3]
    assert (found[3]["map"], found[3]["miou"]) == ("", "")


NAMES_3 = ["map", "map_area", "miou"]


def test_table_3_as_json_has_the_classes_and_null_where_there_is_no_figure() -> None:
    classes = {"ap": {"dog": 0.5, "cat": math.nan}, "ap_area": {}, "iou": {"dog": 1.0}}
    whole = json.loads(vision_json([dataclasses.replace(SEEN[3], classes=classes)], {}, {}), parse_constant=refuse)
    (row,) = whole["rows"]
    first = ["dataset", "colour", "quality", "method", "images"]
    assert list(row) == [*first, *NAMES_3, "ap", "ap_area", "iou", "failures"]
    assert (row["map"], row["ap"], row["failures"]) == (None, {"dog": 0.5, "cat": None}, 0)
