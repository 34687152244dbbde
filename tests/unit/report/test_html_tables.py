"""Tables 2 and 3 on the page: every figure in its cell, with notes, legend and what the models saw."""

import base64
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

from ced.evaluation.metrics import Row
from ced.report.html import page, table_section, vision_page, vision_section
from ced.report.model import Drawing, Report
from ced.report.tables import table_3
from ced.vision.evaluate import Sources


class Cells(HTMLParser):
    """The text of every cell of the first table, row by row; the best figures between stars."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(page[: page.index("</table>")])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True
        elif tag == "strong":
            self.rows[-1][-1] += "*"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False
        elif tag == "strong":
            self.rows[-1][-1] += "*"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")


def test_no_rows_make_no_section() -> None:
    assert table_section([]) == ""


def test_columns_say_unit_and_direction(rows: tuple[Row, ...]) -> None:
    head = Cells(table_section(rows)).rows[0]
    assert head == ["Method", "BEF/MSE> ↓", "PSNR dB ↑", "PSNR-B dB ↑", "SSIM ↑"]


def test_each_test_set_has_a_heading_and_its_methods(rows: tuple[Row, ...]) -> None:
    lines = Cells(table_section(rows)).rows
    assert [line[0] for line in lines[1:]] == [
        "LIVE1 QF 10 · luminance · 29 images",
        "JPEG",
        "ED",
        "CED-EST",
        "CED-GT",
        "holiday QF 95 · RGB · 2 images",
        "JPEG",
        "ED",
    ]


def test_figures_with_the_papers_beside_them_and_the_best_marked(rows: tuple[Row, ...]) -> None:
    lines = Cells(table_section(rows)).rows
    said = ", the paper: "
    assert lines[3] == [
        "ED",
        f"0.099{said}0.074",
        f"*29.10*{said}29.40",
        f"*28.69*{said}29.09",
        f"*0.826*{said}0.833",
    ]
    assert lines[5][1] == f"*0.007*{said}0.007"
    assert lines[8] == ["ED", "–", "*∞*", "*∞*", "*1.000*"]


def test_the_other_works_of_the_paper_are_folded_away(rows: tuple[Row, ...]) -> None:
    section = table_section(rows)
    folded = section[section.index("<details") : section.index("</details>")]
    assert re.findall(r'scope="row">([^<]*)<', folded) == ["*AR-CNN", "Galteri-MSE", "*Galteri-MSE", "*Galteri-GAN"]
    assert "28.74" in folded
    assert "open" not in folded[: folded.index(">")]


def test_without_the_papers_test_sets_the_paper_is_not_shown(rows: tuple[Row, ...]) -> None:
    own = table_section(rows[4:])
    fewer = table_section([replace(row, images=10) for row in rows[:4]])
    for section in (own, fewer):
        assert "with-paper" not in section
        assert "<details" not in section
        assert "In grey" not in section


def test_the_paper_is_told_of_where_its_figures_are_shown(rows: tuple[Row, ...]) -> None:
    """A method of one's own has none beside it, and one that failed somewhere must not hide the others'."""
    mine = replace(rows[1], method="mine")
    assert "In grey" not in table_section([mine]) and "The other works" in table_section([mine])
    failed = replace(rows[0], images=28, failures=1)
    section = table_section([failed, *rows[1:4]])
    assert "In grey" in section and "with-paper" in section and "The other works" in section


def test_every_column_is_explained_and_so_is_ced_gt(rows: tuple[Row, ...]) -> None:
    section = table_section(rows[4:])
    after = section[section.index("</table>") :]
    assert [unescape(term) for term in re.findall("<dt>(.*?)</dt>", after)] == ["BEF/MSE>", "PSNR", "PSNR-B", "SSIM"]
    assert "CED-GT learned with the true ones" in after


def test_names_are_escaped() -> None:
    row = Row('<script>"a&b', 10, "<i>", "<b>mine", 1, {"psnr": 30.0, "psnr_b": 29.0, "ssim": 0.8})
    section = table_section([row])
    assert "&lt;script&gt;&#34;a&amp;b" in section
    assert "&lt;i&gt;" in section
    assert "&lt;b&gt;mine" in section
    assert "<script" not in section


def test_what_the_paper_does_not_print_is_a_table_of_its_own(full_report: Report) -> None:
    section = table_section(full_report.rows)
    second = Cells(section[section.index("<h3>") :]).rows
    assert second[0] == ["Method", "SSIM (G) ↑", "W1 ↓", "Energy →1", "BEF/MSE ↓", "s/Mpixel"]
    assert second[2] == ["JPEG", "0.8123", "0.382", "0.544", "0.760", "0.50"]
    terms = [unescape(term) for term in re.findall("<dt>(.*?)</dt>", section)]
    assert terms == ["BEF/MSE>", "PSNR", "PSNR-B", "SSIM", "SSIM (G)", "W1", "Energy", "BEF/MSE", "s/Mpixel"]


def test_energy_is_best_nearest_to_one(rows: tuple[Row, ...]) -> None:
    energies = {"jpeg": 0.5, "ed": 0.4, "ced-est": 1.3, "ced-gt": 0.8}
    section = table_section([replace(row, values={**row.values, "energy": energies[row.method]}) for row in rows[:4]])
    second = Cells(section[section.index("<h3>") :]).rows
    assert [line[1] for line in second[2:]] == ["0.500", "0.400", "1.300", "*0.800*"]


def test_intervals_are_folded_away(full_report: Report) -> None:
    section = table_section(full_report.rows)
    folded = section[section.index("confidence intervals") :]
    folded = folded[: folded.index("</details>")]
    lines = Cells(folded).rows
    assert lines[0] == ["Method", "PSNR dB ↑"]
    assert lines[2] == ["JPEG", "26.77 – 28.77"]
    assert "confidence" not in table_section([replace(row, intervals={}) for row in full_report.rows])


def test_a_method_that_failed_on_some_images_says_so(rows: tuple[Row, ...]) -> None:
    failing = replace(rows[2], images=27, failures=2)
    section = table_section([rows[1], failing])
    assert Cells(section).rows[3][0] == "ED 27 of 29†"
    assert "† The method failed on the other images" in section
    assert "†" not in table_section(rows)


SOURCES = Sources("voc", "", "tiny_detector.onnx", "tiny_segmenter.onnx")


def row(method: str, value: float, quality: int = 10) -> Row:
    return Row("voc", quality, "rgb", method, 213, {"map": value, "map_area": value + 0.01, "miou": value + 0.2})


ROWS = (row("original", 0.8, 0), row("jpeg", 0.4), row("mine <1>", 0.5), row("jpeg", 0.7, 20))


def cells(section: str) -> dict[str, list[str]]:
    """The text of the cells of each line of the table by the line's head; the best between stars."""
    found = {}
    body = section[section.index("<tbody>") : section.index("</tbody>")].replace("<strong>", "*")
    for line in re.findall("<tr>(.*?)</tr>", body.replace("</strong>", "*")):
        head, *others = [re.sub("<[^>]*>", "", cell) for cell in re.findall("<t[hd][^>]*>(.*?)</t[hd]>", line)]
        found[head] = others
    return found


def test_nothing_seen_makes_no_section() -> None:
    assert vision_section(table_3((), SOURCES)) == ""


def test_the_figures_stand_with_the_papers_and_the_best_of_each_quality_is_marked() -> None:
    found = cells(vision_section(table_3(ROWS, SOURCES)))
    assert found == {
        "JPEG QF 10": ["0.400, the paper: 0.359", "0.410", "0.600, the paper: 0.414"],
        "mine &lt;1&gt; QF 10": ["*0.500*", "*0.510*", "*0.700*"],
        "JPEG QF 20": ["0.700", "0.710", "0.900"],
        "Original": ["0.800, the paper: 0.705", "0.810", "1.000, the paper: 0.631"],
    }


def test_a_method_that_failed_is_marked_told_of_and_never_the_best() -> None:
    rows = (*ROWS[:2], replace(ROWS[2], failures=2))
    section = vision_section(table_3(rows, SOURCES))
    found = cells(section)
    assert found["mine &lt;1&gt; QF 10"] == ["0.500†", "0.510†", "0.700†"]
    assert not any("*" in cell for cell in found["JPEG QF 10"]), "nothing left to be better than"
    assert "† mine &lt;1&gt; (QF 10), RGB: failed on 2 of 215 images" in section


def test_what_was_seen_is_embedded_image_by_image() -> None:
    drawings = [Drawing("2007 & 1", "rgb", 0, "original", b"one"), Drawing("2007 & 1", "rgb", 10, "jpeg", b"two")]
    drawings.append(Drawing("2007 & 1", "y", 10, "jpeg", b"three"))
    section = vision_section(table_3(ROWS, SOURCES), drawings)
    assert section.count('<figure class="plate">') == 2
    for data in (b"one", b"two", b"three"):
        assert section.count(base64.b64encode(data).decode()) == 1
    assert "2007 &amp; 1 <small>RGB</small>" in section and "2007 &amp; 1 <small>Y</small>" in section
    assert 'alt="2007 &amp; 1, JPEG, QF 10: boxes and classes"' in section


def test_it_has_a_page_of_its_own() -> None:
    whole = vision_page("t", (), table_3(ROWS, SOURCES))
    assert '<section id="vision"' in whole and "tiny_detector.onnx" in whole
    assert '<section id="vision"' not in page(Report(title="t"))
