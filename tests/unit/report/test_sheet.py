"""The table as CSV: read back by Python's own reader, figures in full."""

import csv
import io
import math
from dataclasses import replace

from ced.report.model import Row
from ced.report.sheet import sheet


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
    with_one = replace(rows[0], intervals=(("psnr", 26.0, math.inf),), failures=2)
    first, second = read(sheet([with_one, rows[1]]))
    assert (first["psnr_low"], first["psnr_high"], first["failures"]) == ("26.0", "inf", "2")
    assert (second["psnr_low"], second["psnr_high"]) == ("", "")


def test_names_with_commas_and_quotes_stay_whole() -> None:
    (line,) = read(sheet([Row('a,"b"\nc', 10, "y", "m;n", 1, 30.0, 29.0, 0.8, 0.2)]))
    assert (line["dataset"], line["method"]) == ('a,"b"\nc', "m;n")
