"""Table 3 in four forms, with the paper's figures where it has them."""

import csv
import dataclasses
import io
import math

import pytest

from ced.networks import methods
from ced.report import table3
from ced.report.table3 import Models, VisionRow

MODELS = Models("tiny_detector.onnx", "tiny_segmenter.onnx")


def row(method: str, colour: str = "rgb", quality: int = 10, value: float = 0.5) -> VisionRow:
    return VisionRow("voc", colour, quality, method, 213, value, value + 0.01, value + 0.2, {}, {}, {})


ROWS = (
    row("original", "rgb", 0, 0.8),
    row("jpeg", "rgb", 10, 0.4),
    row("jpeg", "rgb", 20, 0.6),
    row("my_method", "rgb", 10, math.nan),
    row("original", "y", 0, 0.7),
    row("jpeg", "y", 10, 0.35),
)


FAILING = dataclasses.replace(row("mine", "rgb", 10, 0.5), images=211, failures=2)


def test_failures_are_marked_and_told_below() -> None:
    told = "† mine (QF 10), RGB: failed on 2 of 213 images, so its figures are of other images"
    rows = (row("jpeg"), FAILING)
    terminal = table3.terminal(rows, MODELS)
    assert terminal.splitlines()[0] == "voc, 213 images"
    assert next(line.split() for line in terminal.splitlines() if line.startswith("mine"))[-3:] == [
        *("0.500†", "0.510†", "0.700†"),
    ]
    assert told in terminal.splitlines()
    assert "| mine (QF 10) | 0.500† | 0.510† | 0.700† |" in table3.markdown(rows, MODELS)
    assert f"{told}." in table3.markdown(rows, MODELS)
    latex = table3.latex(rows, MODELS)
    assert r"0.500\textdagger & 0.510\textdagger & 0.700\textdagger" in latex and f"% {told}." in latex
    lines = list(csv.DictReader(io.StringIO(table3.comma_separated(rows))))
    assert [(line["images"], line["failures"]) for line in lines] == [("213", "0"), ("211", "2")]
    assert "†" not in table3.terminal(ROWS, MODELS)


def test_the_papers_figures_stand_where_the_paper_prints_them() -> None:
    assert table3.printed("map", row("jpeg")) == 0.359
    assert table3.printed("map", row("original", "y", 0)) == 0.637
    assert table3.printed("miou", row("ced-gt")) == 0.475
    assert table3.printed("miou", row("arcnn", "y")) == 0.375
    assert table3.printed("map", row("galteri-mse")) == 0.519
    assert table3.printed("map", row("jpeg", quality=20)) is None
    assert table3.printed("map_area", row("jpeg")) is None
    assert table3.printed("map", row("arcnn")) is None


def test_all_methods_of_ours_are_in_the_papers_table_by_their_own_names() -> None:
    assert set(methods()) < set(table3.PAPER)


def test_a_few_images_are_not_the_papers() -> None:
    few = [dataclasses.replace(one, images=208) for one in ROWS]
    assert table3.printed("map", few[1]) is None
    assert table3.printed("map", dataclasses.replace(ROWS[1], images=300, failures=1)) is None
    for text in (table3.terminal(few, MODELS), table3.markdown(few, MODELS), table3.latex(few, MODELS)):
        assert "0.359" not in text and "paper" not in text and "tiny_segmenter.onnx." in text
    assert [line["paper_map"] for line in csv.DictReader(io.StringIO(table3.comma_separated(few)))] == [""] * len(few)


def test_a_method_that_restored_nothing_has_no_figures() -> None:
    nothing = VisionRow("voc", "rgb", 10, "mine", 0, math.nan, math.nan, math.nan, {}, {}, {}, failures=213)
    rows = (row("jpeg"), nothing)
    assert "† mine (QF 10), RGB: failed on all of the 213 images" in table3.terminal(rows, MODELS).splitlines()
    assert r"mine (QF 10) & --\textdagger & --\textdagger & --\textdagger \\" in table3.latex(rows, MODELS).splitlines()
    (_, line) = csv.DictReader(io.StringIO(table3.comma_separated(rows)))
    assert (line["images"], line["failures"], line["map"], line["miou"]) == ("0", "213", "", "")


def test_ced_gt_is_the_papers_best_and_jpeg_its_worst() -> None:
    for place in range(4):
        column = {name: line[place] for name, line in table3.PAPER.items() if line[place] is not None}
        assert min(column, key=column.get) == "jpeg"  # type: ignore[arg-type]
        restored = {name: value for name, value in column.items() if name != "original"}
        assert restored["ced-gt"] == max(restored.values())  # type: ignore[type-var]


def test_the_terminal_has_the_papers_order_and_figures_in_brackets() -> None:
    lines = table3.terminal(ROWS, MODELS).splitlines()
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
    lines = table3.markdown(ROWS, MODELS).splitlines()
    assert lines[2] == "| Method | mAP (RGB) | mAP (Y) | mAP area (RGB) | mAP area (Y) | mIoU (RGB) | mIoU (Y) |"
    assert {line.count("|") for line in lines[2:8]} == {8}
    assert lines[4].startswith("| JPEG (QF 10) | 0.400 (0.359) | 0.350 (0.292) | 0.410 | 0.360 |")
    assert table3.markdown([row("a|b")], MODELS).splitlines()[4].startswith("| a\\|b (QF 10) |")


def test_latex_has_a_cell_for_each_column_and_escapes_names() -> None:
    lines = table3.latex(ROWS, MODELS).splitlines()
    body = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in body} == {6}
    assert any(line.startswith(r"my\_method (QF 10) & ") for line in body)
    assert r"0.400 {\scriptsize (0.359)}" in body[1]
    assert lines[1] == r"\begin{tabular}{lrrrrrr}" and lines[-1] == r"\end{tabular}"


def test_csv_has_every_figure_in_full() -> None:
    found = list(csv.DictReader(io.StringIO(table3.comma_separated(ROWS))))
    assert len(found) == len(ROWS)
    assert (found[1]["method"], found[1]["map"], found[1]["paper_map"], found[1]["paper_miou"]) == (
        "jpeg",
        "0.4",
        "0.359",
        "0.414",
    )
    assert found[2]["paper_map"] == ""


@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_one_colour_is_half_the_table(colour: str) -> None:
    heading = table3.markdown([row("jpeg", colour)], MODELS).splitlines()[2]
    assert heading.count("mAP") == 2 and heading.count("mIoU") == 1
    assert ("RGB" in heading) == (colour == "rgb")
