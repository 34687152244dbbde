import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from ced.errors import FormatError
from ced.report import table
from ced.report.model import Row
from ced.report.table import markdown, terminal


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
    program = "from ced.report import table; print(table.room())"
    bare = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # readline sets it behind our back
    piped = int(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, env=bare, check=True).stdout)
    ends = (("psnr", 27.1, 28.2), ("psnr_b", 26.1, 27.2), ("ssim", 0.7, 0.8), ("w1", 0.1, 0.2), ("energy", 0.9, 1.1))
    more = {"ssim_gaussian": 0.8, "w1": 0.1, "energy": 1.0, "bef_mse": 0.1, "seconds_per_megapixel": 1.5}
    text = terminal([replace(row, intervals=ends, **more) for row in rows[:4]], piped)
    assert "(0.754)" in text and text.count("95 %") == len(ends) + 1
    monkeypatch.setenv("COLUMNS", "90")
    assert table.room() == 90


def test_both_tables_say_the_colour(rows: tuple[Row, ...]) -> None:
    text = terminal([replace(row, dataset="set", colour="rgb", w1=0.1) for row in rows[:2]])
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
    more = Row(name, 100, "rgb", "jpeg", 12345, float("inf"), 127.123, 0.8, -12.3456)
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
    rows = [Row("a", 10, "y", m, n, 30.0, 29.0, 0.8, 0.2) for m, n in (("jpeg", 3), ("ed", 3), ("ced-gt", 2))]
    text = terminal(rows)
    assert [line(text, m).split()[:-4] for m in ("ED", "CED-GT")] == [["ED"], ["2", "CED-GT"]]


def test_names_are_never_read_as_markup() -> None:
    row = Row("[red]x[/red]", 10, "y", "[b]\nmine", 1, 30.0, 29.0, 0.8, 0.2)
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
    row = Row("a|b\n<i>\\&", 10, "y", "ed", 1, 30.0, 29.0, 0.8, 0.2)
    assert "| a\\|b &lt;i&gt;\\\\&amp; | 10 |" in markdown([row])


def test_the_json_functions_are_at_hand_here(rows: tuple[Row, ...]) -> None:
    assert table.parse_results(table.results_json(rows[:4], {}, {})).rows == rows[:4]
    with pytest.raises(FormatError):
        table.parse_results("{}")


def test_importing_the_table_does_not_import_rich() -> None:
    script = "import sys, ced.report.table; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


FULL = {"ssim_gaussian": 0.7730, "w1": 0.382, "energy": 0.544, "bef_mse": 0.757, "seconds_per_megapixel": 1.234}
ENDS = (("psnr", 26.91, 28.65), ("psnr_b", 24.4, 26.2), ("ssim", 0.77, 0.81))


def full(rows: tuple[Row, ...]) -> list[Row]:
    return [replace(row, **FULL, intervals=ENDS) for row in rows]


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
