"""Tables as text, for people and for LaTeX."""

import csv
import io
import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from ced.evaluation.metrics import Row
from ced.report import text as rendering
from ced.report.results import vision_sheet
from ced.report.tables import table_3
from ced.report.text import latex, latex_3, markdown, markdown_3, terminal, terminal_3, tex
from ced.vision.results import Models

PLAIN = {"psnr": 30.0, "psnr_b": 29.0, "ssim": 0.8, "bef_mse_bound": 0.2}


def with_figures(row: Row, intervals: dict[str, tuple[float, float]] | None = None, **figures: float) -> Row:
    return replace(row, values={**row.values, **figures}, intervals=intervals or {})


def line(text: str, method: str) -> str:
    return next(line for line in text.splitlines() if re.search(rf"(?<![\w-]){method}(?![\w-])", line))


def test_every_method_has_its_line_with_the_papers_decimals(rows: tuple[Row, ...]) -> None:
    text = terminal(rows[:4], 80)
    assert line(text, "JPEG").split() == ["LIVE1", "10", "29", "JPEG", "0.754", "27.77", "25.33", "0.791"]
    assert line(text, "CED-EST").split() == ["CED-EST", "0.103", "29.10*", "28.62", "0.825"]
    names = re.findall(r"JPEG|CED-EST|CED-GT|(?<!C)ED\b(?!-)", text)
    assert names == ["JPEG", "ED", "CED-EST", "CED-GT"]


def test_columns_stand_in_the_papers_order(rows: tuple[Row, ...]) -> None:
    assert terminal(rows).split()[:9] == ["Test", "set", "QF", "Images", "Method", "BEF/MSE>", "PSNR", "PSNR-B", "SSIM"]


def test_what_is_no_terminal_has_room_for_everything(rows: tuple[Row, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    program = "from ced.report import text; print(text.room())"
    bare = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # readline sets it behind our back
    piped = int(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, env=bare, check=True).stdout)
    ends = {"psnr": (27.1, 28.2), "psnr_b": (26.1, 27.2), "ssim": (0.7, 0.8), "w1": (0.1, 0.2), "energy": (0.9, 1.1)}
    more = {"ssim_gaussian": 0.8, "w1": 0.1, "energy": 1.0, "bef_mse": 0.1, "seconds_per_megapixel": 1.5}
    text = terminal([with_figures(row, ends, **more) for row in rows[:4]], piped)
    assert "(0.754)" in text and text.count("95 %") == len(ends) + 1
    monkeypatch.setenv("COLUMNS", "90")
    assert rendering.room() == 90


def test_both_tables_say_the_colour(rows: tuple[Row, ...]) -> None:
    text = terminal([replace(with_figures(row, w1=0.1), dataset="set", colour="rgb") for row in rows[:2]])
    assert [line.split()[:2] for line in text.splitlines() if " 10 " in line] == [["set", "(RGB)"]] * 2


def test_the_best_carry_a_star_in_plain_text(rows: tuple[Row, ...]) -> None:
    text = terminal(rows[:4], 80)
    starred = re.findall(r"\S+\*", text)
    assert starred == ["29.10*", "28.69*", "0.826*", "29.10*", "0.007*"]
    assert "* the best of its test set" in text
    assert "\x1b" not in text


def test_the_best_are_bold_on_a_terminal(rows: tuple[Row, ...]) -> None:
    text = terminal(rows[:4], 80, styled=True)
    assert re.findall(r"\x1b\[1;32m(\S+?)\x1b\[0m", text) == ["29.10", "28.69", "0.826", "29.10", "0.007"]
    assert "*" not in text


def test_the_papers_figure_stands_in_brackets_where_there_is_room(rows: tuple[Row, ...]) -> None:
    wide = terminal(rows)
    assert "0.754  (0.754)" in line(wide, "JPEG")
    assert "0.007* (0.007)" in line(wide, "CED-GT")
    assert len(re.findall(r"\(\d+\.\d+\)", wide)) == 16
    assert "in brackets: the paper's Table 2" in wide
    assert "(0.754)" not in terminal(rows, 80)
    assert "brackets" not in terminal(rows[4:])


@pytest.mark.parametrize("width", [72, 80, 99, 100, 120, 200])
@pytest.mark.parametrize("name", ["LIVE1", "a test set with a name that is far too long for one line", "Ünïcödé" * 12])
def test_no_line_is_wider_than_asked_and_no_figure_is_cut(rows: tuple[Row, ...], width: int, name: str) -> None:
    more = Row(
        name, 100, "rgb", "jpeg", 12345, PLAIN | {"psnr": float("inf"), "psnr_b": 127.123, "bef_mse_bound": -12.3456}
    )
    text = terminal([*rows, more], width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(figure in text for figure in ("∞", "127.12", "-12.346", "12345", "28.69*"))


def test_a_narrow_terminal_gets_whole_figures_all_the_same(rows: tuple[Row, ...]) -> None:
    assert terminal(rows, 20) == terminal(rows, 72)


def test_colour_and_missing_figures_are_said(rows: tuple[Row, ...]) -> None:
    text = terminal(rows[4:])
    assert "holiday (RGB)" in text
    assert line(text, "ED").split() == ["ED", "–", "∞*", "∞*", "1.000*"]


def test_another_number_of_images_is_said_in_its_own_line() -> None:
    rows = [Row("a", 10, "y", m, n, PLAIN) for m, n in (("jpeg", 3), ("ed", 3), ("ced-gt", 2))]
    text = terminal(rows)
    assert [line(text, m).split()[:-4] for m in ("ED", "CED-GT")] == [["ED"], ["2", "CED-GT"]]


def test_names_are_never_read_as_markup() -> None:
    row = Row("[red]x[/red]", 10, "y", "[b]\nmine", 1, PLAIN)
    text = terminal([row], styled=True)
    assert "[red]x[/red]" in text
    assert "[b] mine" in text


def test_the_environment_does_not_change_the_text(rows: tuple[Row, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, styled = terminal(rows), terminal(rows, styled=True)
    for name, value in {"COLUMNS": "40", "NO_COLOR": "1", "TERM": "dumb", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert (terminal(rows), terminal(rows, styled=True)) == (plain, styled)


def test_no_rows_are_a_heading_alone() -> None:
    assert "Method" in terminal([])
    assert markdown([]).count("\n") == 2


def test_markdown_is_one_table_with_the_best_in_bold(rows: tuple[Row, ...]) -> None:
    lines = markdown(rows).splitlines()
    assert lines[0] == "| Test set | QF | Method | BEF/MSE&gt; | PSNR | PSNR-B | SSIM |"
    assert lines[2] == "| LIVE1 | 10 | JPEG | 0.754 (0.754) | 27.77 (27.77) | 25.33 (25.33) | 0.791 (0.791) |"
    assert lines[3] == "| LIVE1 | 10 | ED | 0.099 (0.074) | **29.10** (29.40) | **28.69** (29.09) | **0.826** (0.833) |"
    assert lines[7] == "| holiday (RGB) | 95 | ED | – | **∞** | **∞** | **1.000** |"
    assert lines[9].endswith("in brackets: the paper's Table 2.")
    assert len(lines) == 10


def test_markdown_without_the_papers_test_sets_has_no_note(rows: tuple[Row, ...]) -> None:
    assert "brackets" not in markdown(rows[4:])


def test_markdown_cells_hold_any_name() -> None:
    row = Row("a|b\n<i>\\&", 10, "y", "ed", 1, PLAIN)
    assert "| a\\|b &lt;i&gt;\\\\&amp; | 10 |" in markdown([row])


def test_importing_the_table_does_not_import_rich() -> None:
    script = "import sys, ced.report.text; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


FULL = {"ssim_gaussian": 0.7730, "w1": 0.382, "energy": 0.544, "bef_mse": 0.757, "seconds_per_megapixel": 1.234}
ENDS = {"psnr": (26.91, 28.65), "psnr_b": (24.4, 26.2), "ssim": (0.77, 0.81)}


def full(rows: tuple[Row, ...]) -> list[Row]:
    return [with_figures(row, ENDS, **FULL) for row in rows]


@pytest.mark.parametrize("width", [72, 80, 100, 140])
def test_what_the_paper_does_not_print_stands_in_a_second_table(rows: tuple[Row, ...], width: int) -> None:
    text = terminal(full(rows), width)
    assert max(map(len, text.splitlines())) <= width
    second = text[text.index("SSIM (G)") :]
    assert all(figure in second for figure in ("0.7730", "0.382", "0.544", "0.757", "1.23"))
    assert "LPIPS" not in text, "a column without a figure is left out"
    assert ("26.91..28.65" in second) == (width >= 100)
    assert ("0.770..0.810" in second) == (width >= 140)
    assert "SSIM (G)" not in terminal(rows, width)


def test_failures_are_said_and_marked_everywhere(rows: tuple[Row, ...]) -> None:
    some = [rows[1], replace(rows[2], images=27, failures=2)]
    for text in (terminal(some, 80), markdown(some)):
        assert "27 of 29\N{DAGGER}" in text
        assert "failed on the others: a mean over other images" in text
    for text in (terminal(rows, 80), markdown(rows)):
        assert "\N{DAGGER}" not in text


def test_markdown_has_the_intervals_in_full(rows: tuple[Row, ...]) -> None:
    text = markdown(full(rows))
    assert "| PSNR 95 % | PSNR-B 95 % | SSIM 95 % |" in text
    assert "| 26.91..28.65 | 24.40..26.20 | 0.770..0.810 |" in text
    widths = {line.count("|") for block in text.split("\n\n") if block.startswith("|") for line in block.splitlines()}
    assert len(widths) == 2, "every line of a table has its columns"


def body(text: str) -> list[list[str]]:
    return [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if " & " in line]


def test_latex_has_every_column_in_every_line(rows: tuple[Row, ...]) -> None:
    text = latex(rows)
    (columns,) = re.findall(r"\\begin\{tabular\}\{(l+r+)\}", text)
    assert {len(line) for line in body(text)} == {len(columns)}
    assert text.count("{") == text.count("}")
    assert text.count(r"\midrule") == 2
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_latex_figures_are_the_papers_decimals_the_best_bold_and_the_papers_beneath(rows: tuple[Row, ...]) -> None:
    lines = body(latex(rows))
    assert lines[0][:4] == ["QF", "Method", "BEF/MSE$>$", "PSNR"]
    assert lines[1][:6] == ["10", "JPEG", "0.754", "27.77", "25.33", "0.791"]
    assert lines[2][1:6] == [
        r"{\small the paper}",
        *(rf"{{\small ({f})}}" for f in ("0.754", "27.77", "25.33", "0.791")),
    ]
    assert r"\textbf{29.10}" in lines[3]
    assert r"\textbf{$\infty$}" in latex(rows) and "--" in lines[-1]


def test_failures_are_marked_in_latex(rows: tuple[Row, ...]) -> None:
    text = latex([rows[1], replace(rows[2], images=27, failures=2)])
    assert r"ED (27 of 29\textdagger)" in text
    assert "not comparable" in text
    assert "dagger" not in latex(rows)


def test_latex_names_are_escaped() -> None:
    assert tex("a_b & 50% {x} \\ ~^ <$#>") == (
        r"a\_b \& 50\% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} \textless{}\$\#\textgreater{}"
    )
    text = latex([Row("my_set", 10, "y", "a&b", 1, PLAIN)])
    assert r"my\_set" in text and r"a\&b" in text


MODELS = Models("tiny_detector.onnx", "tiny_segmenter.onnx")


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
    shown = terminal_3(table_3(rows, MODELS))
    assert shown.splitlines()[0] == "voc, 213 images"
    assert next(line.split() for line in shown.splitlines() if line.startswith("mine"))[-3:] == [
        *("0.500†", "0.510†", "0.700†"),
    ]
    assert told in shown.splitlines()
    assert "| mine (QF 10) | 0.500† | 0.510† | 0.700† |" in markdown_3(table_3(rows, MODELS))
    assert f"{told}." in markdown_3(table_3(rows, MODELS))
    in_latex = latex_3(table_3(rows, MODELS))
    assert r"0.500\textdagger & 0.510\textdagger & 0.700\textdagger" in in_latex and f"% {told}." in in_latex
    lines = list(csv.DictReader(io.StringIO(vision_sheet(rows))))
    assert [(line["images"], line["failures"]) for line in lines] == [("213", "0"), ("211", "2")]
    assert "†" not in terminal_3(table_3(SEEN, MODELS))


def test_a_few_images_are_not_the_papers() -> None:
    few = [replace(one, images=208) for one in SEEN]
    for text in (terminal_3(table_3(few, MODELS)), markdown_3(table_3(few, MODELS)), latex_3(table_3(few, MODELS))):
        assert "0.359" not in text and "paper" not in text and "tiny_segmenter.onnx." in text
    assert [line["paper_map"] for line in csv.DictReader(io.StringIO(vision_sheet(few)))] == [""] * len(few)


def test_a_method_that_restored_nothing_has_no_figures() -> None:
    nothing = Row("voc", 10, "rgb", "mine", 0, failures=213)
    rows = (seen("jpeg"), nothing)
    assert "† mine (QF 10), RGB: failed on all of the 213 images" in terminal_3(table_3(rows, MODELS)).splitlines()
    assert (
        r"mine (QF 10) & --\textdagger & --\textdagger & --\textdagger \\"
        in latex_3(table_3(rows, MODELS)).splitlines()
    )
    (_, line) = csv.DictReader(io.StringIO(vision_sheet(rows)))
    assert (line["images"], line["failures"], line["map"], line["miou"]) == ("0", "213", "", "")


def test_the_terminal_has_the_papers_order_and_figures_in_brackets() -> None:
    lines = terminal_3(table_3(SEEN, MODELS)).splitlines()
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
    lines = markdown_3(table_3(SEEN, MODELS)).splitlines()
    assert lines[2] == "| Method | mAP (RGB) | mAP (Y) | mAP area (RGB) | mAP area (Y) | mIoU (RGB) | mIoU (Y) |"
    assert {line.count("|") for line in lines[2:8]} == {8}
    assert lines[4].startswith("| JPEG (QF 10) | 0.400 (0.359) | 0.350 (0.292) | 0.410 | 0.360 |")
    assert markdown_3(table_3([seen("a|b")], MODELS)).splitlines()[4].startswith("| a\\|b (QF 10) |")


def test_latex_has_a_cell_for_each_column_and_escapes_names() -> None:
    lines = latex_3(table_3(SEEN, MODELS)).splitlines()
    body = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in body} == {6}
    assert any(line.startswith(r"my\_method (QF 10) & ") for line in body)
    assert r"0.400 {\scriptsize (0.359)}" in body[1]
    assert lines[1] == r"\begin{tabular}{lrrrrrr}" and lines[-1] == r"\end{tabular}"


@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_one_colour_is_half_the_table(colour: str) -> None:
    heading = markdown_3(table_3([seen("jpeg", colour)], MODELS)).splitlines()[2]
    assert heading.count("mAP") == 2 and heading.count("mIoU") == 1
    assert ("RGB" in heading) == (colour == "rgb")
