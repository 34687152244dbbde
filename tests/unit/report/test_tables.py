"""Table 2: what stands beside what, which figure is the best, and how it is printed for people and for LaTeX."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from ced.evaluation.metrics import METRICS, Row
from ced.report import tables
from ced.report.model import FAILED, Column
from ced.report.tables import latex, markdown, table_2, terminal, tex

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
    program = "from ced.report import tables; print(tables.room())"
    bare = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # readline sets it behind our back
    piped = int(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, env=bare, check=True).stdout)
    ends = {"psnr": (27.1, 28.2), "psnr_b": (26.1, 27.2), "ssim": (0.7, 0.8), "w1": (0.1, 0.2), "energy": (0.9, 1.1)}
    more = {"ssim_gaussian": 0.8, "w1": 0.1, "energy": 1.0, "bef_mse": 0.1, "seconds_per_megapixel": 1.5}
    text = terminal([with_figures(row, ends, **more) for row in rows[:4]], piped)
    assert "(0.754)" in text and text.count("95 %") == len(ends) + 1
    monkeypatch.setenv("COLUMNS", "90")
    assert tables.room() == 90


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
    script = "import sys, ced.report.tables; sys.exit('rich' in sys.modules)"
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


def test_an_interval_keeps_no_room_for_a_star(rows: tuple[Row, ...]) -> None:
    first, second = full(rows[1:3])
    better = replace(second, values={**second.values, "w1": 0.1})
    text = terminal([first, better], 140)
    assert "0.100*" in text and text.count("  26.91..28.65  24.40..26.20  0.770..0.810\n") == 2


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


def row(method: str, psnr: float = 30.0, bound: float = 0.5, images: int = 29, **figures: float) -> Row:
    values = {"psnr": psnr, "psnr_b": psnr - 1, "ssim": 0.8, "bef_mse_bound": bound, **figures}
    return Row("LIVE1", 10, "y", method, images, values)


def best(metric: str, *rows: Row) -> list[str]:
    return [
        line.method
        for block in table_2(rows, [Column(METRICS.get(metric))]).blocks
        for line in block.lines
        if line.cells[0].best
    ]


def test_methods_stand_in_the_papers_order_and_others_after_them() -> None:
    (block,) = table_2([row(name) for name in ("mine", "ced-gt", "ced-est", "jpeg", "also", "ed")]).blocks
    assert [line.method for line in block.lines] == ["JPEG", "ED", "CED-EST", "CED-GT", "mine", "also"]


def test_only_rows_of_one_test_set_quality_and_colour_are_compared() -> None:
    first = row("jpeg")
    others = [replace(first, dataset="BSDS500"), replace(first, quality=20), replace(first, colour="rgb")]
    blocks = table_2([others[0], first, *others[1:], replace(first, method="ed", colour="lab")]).blocks
    assert [(block.dataset, block.quality, block.colour) for block in blocks] == [
        ("BSDS500", 10, "luminance"),
        ("LIVE1", 10, "luminance"),
        ("LIVE1", 20, "luminance"),
        ("LIVE1", 10, "RGB"),
        ("LIVE1", 10, "lab"),
    ]
    assert table_2([]).blocks == ()


def test_the_best_is_the_highest_psnr_and_the_lowest_block_effect() -> None:
    rows = row("jpeg", 27.0, 0.75), row("ed", 29.0, 0.07), row("ced-gt", 26.0, 0.007)
    assert best("psnr", *rows) == ["ED"]
    assert best("bef_mse_bound", *rows) == ["CED-GT"]


def test_figures_that_print_alike_are_equally_good() -> None:
    assert best("psnr", row("jpeg", 27.0), row("ed", 29.404), row("ced-est", 29.396)) == ["ED", "CED-EST"]


def test_infinite_psnr_is_best_and_a_missing_figure_never_is() -> None:
    assert best("psnr", row("jpeg", 27.0), row("ed", math.inf)) == ["ED"]
    bounds = row("jpeg", bound=0.5), row("ed", bound=math.nan), row("ced-gt", bound=0.1)
    assert best("bef_mse_bound", *bounds) == ["CED-GT"]
    assert best("psnr", row("jpeg", math.nan), row("ed", math.nan)) == []


def test_nothing_is_best_without_a_rival() -> None:
    assert best("psnr", row("jpeg")) == []
    assert best("psnr", row("jpeg", 27.0), row("ed", math.nan)) == []
    assert best("psnr", row("jpeg", 27.0), row("ed", 27.001)) == []


@pytest.mark.parametrize(("counts", "text"), [((1, 1), "1 image"), ((29, 29), "29 images"), ((28, 29), "28–29 images")])
def test_the_number_of_images_is_said(counts: tuple[int, int], text: str) -> None:
    (block,) = table_2([row(name, images=n) for name, n in zip(("jpeg", "ed"), counts, strict=True)]).blocks
    assert block.images == text


def test_a_mean_over_other_images_is_neither_the_best_nor_in_the_way() -> None:
    good, lucky = row("jpeg", psnr=27.0), replace(row("mine", psnr=35.0, images=27), failures=2)
    rows = good, row("ed", psnr=30.0), row("ced-est", psnr=29.0), lucky
    assert best("psnr", *rows) == ["ED"]
    table = table_2(rows)
    assert table.differs and not table_2(rows[:3]).differs
    assert not any(FAILED in cell.text for cell in table.cells), "it stands with the images"
    lines = table.blocks[0].lines
    assert [lines[0].images, lines[-1].images, lines[0].about, lines[-1].about] == ["29", "27 of 29†", "", "27 of 29†"]


def test_the_best_energy_is_the_one_nearest_to_one_and_speed_is_no_contest() -> None:
    assert best("energy", row("jpeg", energy=0.5), row("ed", energy=0.9), row("ced-gt", energy=1.2)) == ["ED"]
    speeds = [row(name, seconds_per_megapixel=value) for name, value in (("jpeg", 0.0), ("ed", 0.9))]
    assert best("seconds_per_megapixel", *speeds) == []


def test_what_cannot_be_told_from_the_best_is_marked_and_said() -> None:
    rows = [row("jpeg", 27.0), row("ed", 29.40), row("ced-est", 29.38), row("ced-gt", 26.0)]
    rows[2] = replace(rows[2], from_best={"psnr": (-0.1, 0.06)})
    rows[3] = replace(rows[3], from_best={"psnr": (-3.5, -3.1)})
    cells = [line.cells[0] for line in table_2(rows, [Column(METRICS.get("psnr"))]).blocks[0].lines]
    assert [(cell.best, cell.level) for cell in cells] == [(False, False), (True, False), (False, True), (False, False)]
    text = terminal(rows, 80)
    assert "29.40*" in text and "29.38≈" in text and "26.00 " in text
    assert "29.38≈" in terminal(rows, 80, styled=True)
    assert "29.38≈ (29.40)" in markdown(rows)
    assert r"29.38$\approx$" in latex(rows)
    for said in (text, markdown(rows), latex(rows)):
        assert "not told apart from the best" in said
    plain = [row("jpeg", 27.0), row("ed", 29.4)]
    assert not any("told apart" in said for said in (terminal(plain), markdown(plain), latex(plain)))


def test_what_prints_as_the_best_is_the_best() -> None:
    rows = [row("ed", 29.404), replace(row("ced-est", 29.403), from_best={"psnr": (-0.01, 0.01)}), row("jpeg", 27.0)]
    cells = [line.cells[0] for line in table_2(rows, [Column(METRICS.get("psnr"))]).blocks[0].lines]
    assert [(cell.best, cell.level) for cell in cells] == [(False, False), (True, False), (True, False)]


def test_a_mark_makes_no_line_wider() -> None:
    rows = [row("jpeg", 27.0), row("ed", 29.40), replace(row("ced-est", 29.38), from_best={"psnr": (-0.1, 0.06)})]
    assert max(map(len, terminal(rows, 72).splitlines())) <= 72
