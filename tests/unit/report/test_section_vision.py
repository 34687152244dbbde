"""Table 3 on the page, and what was seen."""

import base64
import dataclasses
import re

from ced.report.html import page
from ced.report.model import Drawing, Models, Report, Vision, VisionRow
from ced.report.section_vision import vision_section

MODELS = Models("tiny_detector.onnx", "tiny_segmenter.onnx")


def row(method: str, value: float, quality: int = 10, failures: int = 0) -> VisionRow:
    return VisionRow("voc", "rgb", quality, method, 213, value, value + 0.01, value + 0.2, {}, {}, {}, failures)


ROWS = (row("original", 0.8, 0), row("jpeg", 0.4), row("mine <1>", 0.5), row("jpeg", 0.7, 20))


def cells(section: str) -> dict[str, list[str]]:
    """The text of the cells of each line of the table by the line's head; the best between stars."""
    found = {}
    body = section[section.index("<tbody>") : section.index("</tbody>")].replace("<strong>", "*")
    for line in re.findall("<tr>(.*?)</tr>", body.replace("</strong>", "*")):
        head, *others = [re.sub("<[^>]*>", "", cell) for cell in re.findall("<t[hd][^>]*>(.*?)</t[hd]>", line)]
        found[head] = others
    return found


def test_nothing_makes_no_section() -> None:
    assert vision_section(None) == ""
    assert vision_section(Vision((), MODELS)) == ""


def test_the_figures_stand_with_the_papers_and_the_best_of_each_quality_is_marked() -> None:
    found = cells(vision_section(Vision(ROWS, MODELS)))
    assert found == {
        "JPEG QF&nbsp;10": ["0.400, the paper: 0.359", "0.410", "0.600, the paper: 0.414"],
        "mine &lt;1&gt; QF&nbsp;10": ["*0.500*", "*0.510*", "*0.700*"],
        "JPEG QF&nbsp;20": ["0.700", "0.710", "0.900"],
        "Original": ["0.800, the paper: 0.705", "0.810", "1.000, the paper: 0.631"],
    }


def test_a_method_that_failed_is_marked_told_of_and_never_the_best() -> None:
    rows = (*ROWS[:2], dataclasses.replace(ROWS[2], failures=2))
    section = vision_section(Vision(rows, MODELS))
    found = cells(section)
    assert found["mine &lt;1&gt; QF&nbsp;10"] == ["0.500†", "0.510†", "0.700†"]
    assert not any("*" in cell for cell in found["JPEG QF&nbsp;10"]), "nothing left to be better than"
    assert "† mine &lt;1&gt; (QF 10), RGB: failed on 2 of 215 images" in section


def test_what_was_seen_is_embedded_image_by_image() -> None:
    drawings = [Drawing("2007 & 1", "rgb", 0, "original", b"one"), Drawing("2007 & 1", "rgb", 10, "jpeg", b"two")]
    drawings.append(Drawing("2007 & 1", "y", 10, "jpeg", b"three"))
    section = vision_section(Vision(ROWS, MODELS, tuple(drawings)))
    assert section.count('<figure class="plate">') == 2
    for data in (b"one", b"two", b"three"):
        assert section.count(base64.b64encode(data).decode()) == 1
    assert "2007 &amp; 1 <small>RGB</small>" in section and "2007 &amp; 1 <small>Y</small>" in section
    assert 'alt="2007 &amp; 1, JPEG, QF 10: boxes and classes"' in section


def test_it_has_its_place_on_the_page_below_table_2() -> None:
    whole = page(Report(title="t", vision=Vision(ROWS, MODELS)))
    assert '<section id="vision"' in whole and "tiny_detector.onnx" in whole
    assert '<section id="vision"' not in page(Report(title="t"))
