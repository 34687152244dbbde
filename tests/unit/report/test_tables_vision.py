"""Table 3, for people and for LaTeX."""

import csv
import io
import math
from dataclasses import replace

import pytest

from ced.evaluation.metrics import Row
from ced.report.results import vision_sheet
from ced.report.tables import latex_3, markdown_3, table_3, terminal_3
from ced.vision.evaluate import Sources

SOURCES = Sources("voc", "", "tiny_detector.onnx", "models/tiny_segmenter.onnx")


def seen(method: str, colour: str = "rgb", quality: int = 10, value: float = 0.5) -> Row:
    """A row of Table 3."""
    figures = {"map": value, "map_area": value + 0.01, "miou": value + 0.2}
    return Row("voc", quality, colour, method, 213, figures)


SEEN = (
    seen("original", "rgb", 0, 0.8),
    seen("jpeg", "rgb", 10, 0.4),
    seen("jpeg", "rgb", 20, 0.6),
    seen("my_method", "rgb", 10, math.nan),
    seen("original", "y", 0, 0.7),
    seen("jpeg", "y", 10, 0.35),
)
FAILING = replace(seen("mine", "rgb", 10, 0.5), images=211, failures=2)


def test_failures_are_marked_and_told_below() -> None:
    told = "† mine (QF 10), RGB: failed on 2 of 213 images, so its figures are of other images"
    rows = (seen("jpeg"), FAILING)
    shown = terminal_3(table_3(rows, SOURCES))
    assert shown.splitlines()[0] == "voc, 213 images"
    assert next(line.split() for line in shown.splitlines() if line.startswith("mine"))[-3:] == [
        *("0.500†", "0.510†", "0.700†"),
    ]
    assert told in shown.splitlines()
    assert "| mine (QF 10) | 0.500† | 0.510† | 0.700† |" in markdown_3(table_3(rows, SOURCES))
    assert f"{told}." in markdown_3(table_3(rows, SOURCES))
    in_latex = latex_3(table_3(rows, SOURCES))
    assert r"0.500\textdagger & 0.510\textdagger & 0.700\textdagger" in in_latex and f"% {told}." in in_latex
    lines = list(csv.DictReader(io.StringIO(vision_sheet(rows))))
    assert [(line["images"], line["failures"]) for line in lines] == [("213", "0"), ("211", "2")]
    assert "†" not in terminal_3(table_3(SEEN, SOURCES))


def test_a_few_images_are_not_the_papers() -> None:
    few = [replace(one, images=208) for one in SEEN]
    for text in (terminal_3(table_3(few, SOURCES)), markdown_3(table_3(few, SOURCES)), latex_3(table_3(few, SOURCES))):
        assert "0.359" not in text and "paper" not in text and "tiny_segmenter.onnx." in text
    assert [line["paper_map"] for line in csv.DictReader(io.StringIO(vision_sheet(few)))] == [""] * len(few)


def test_a_method_that_restored_nothing_has_no_figures() -> None:
    nothing = Row("voc", 10, "rgb", "mine", 0, failures=213)
    rows = (seen("jpeg"), nothing)
    assert "† mine (QF 10), RGB: failed on all of the 213 images" in terminal_3(table_3(rows, SOURCES)).splitlines()
    assert (
        r"mine (QF 10) & --\textdagger & --\textdagger & --\textdagger \\"
        in latex_3(table_3(rows, SOURCES)).splitlines()
    )
    (_, line) = csv.DictReader(io.StringIO(vision_sheet(rows)))
    assert (line["images"], line["failures"], line["map"], line["miou"]) == ("0", "213", "", "")


def test_the_terminal_has_the_papers_order_and_figures_in_brackets() -> None:
    lines = terminal_3(table_3(SEEN, SOURCES)).splitlines()
    assert lines[0] == "voc, 213 images"
    assert lines[2].split("  ")[0] == "Method" and "mAP (RGB)" in lines[2] and "mIoU (Y)" in lines[2]
    assert [line.split("  ")[0] for line in lines[3:7]] == [
        "JPEG (QF 10)",
        "my_method (QF 10)",
        "JPEG (QF 20)",
        "Original",
    ]
    assert "0.400 (0.359)" in lines[3] and "0.350 (0.292)" in lines[3] and "0.600 (0.414)" in lines[3]
    assert "–" in lines[4] and "nan" not in lines[4]
    assert "(0." not in lines[5]
    assert "tiny_detector.onnx" in lines[-1] and "Faster R-CNN and FCN-8s" in lines[-1]


def test_markdown_is_a_table() -> None:
    lines = markdown_3(table_3(SEEN, SOURCES)).splitlines()
    assert lines[2] == "| Method | mAP (RGB) | mAP (Y) | mAP area (RGB) | mAP area (Y) | mIoU (RGB) | mIoU (Y) |"
    assert {line.count("|") for line in lines[2:8]} == {8}
    assert lines[4].startswith("| JPEG (QF 10) | 0.400 (0.359) | 0.350 (0.292) | 0.410 | 0.360 |")
    assert markdown_3(table_3([seen("a|b")], SOURCES)).splitlines()[4].startswith("| a\\|b (QF 10) |")


def test_latex_has_a_cell_for_each_column_and_escapes_names() -> None:
    lines = latex_3(table_3(SEEN, SOURCES)).splitlines()
    body = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in body} == {6}
    assert any(line.startswith(r"my\_method (QF 10) & ") for line in body)
    assert r"0.400 {\scriptsize (0.359)}" in body[1]
    assert lines[1] == r"\begin{tabular}{lrrrrrr}" and lines[-1] == r"\end{tabular}"


@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_one_colour_is_half_the_table(colour: str) -> None:
    heading = markdown_3(table_3([seen("jpeg", colour)], SOURCES)).splitlines()[2]
    assert heading.count("mAP") == 2 and heading.count("mIoU") == 1
    assert ("RGB" in heading) == (colour == "rgb")
