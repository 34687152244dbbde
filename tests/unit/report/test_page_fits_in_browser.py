"""The page in a real browser: it fits every window, in light and dark, with and without scripts."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.evaluation.metrics import Row
from ced.report import html
from ced.report.model import Drawing, Report
from ced.report.tables import table_3
from ced.vision.evaluate import Sources


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("window", "phone"), [((1280, 900), False), ((390, 844), True), ((360, 740), True), ((320, 568), True)]
)
def test_the_page_fits_its_window(
    open_page, complaints: list[str], address: str, tmp_path: Path, window: tuple, phone: bool, scheme: str
) -> None:
    page = open_page(address, window, phone, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    picture = page.screenshot(full_page=True)
    (tmp_path / "page.png").write_bytes(picture)
    seen = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    assert abs(seen.shape[1] - window[0]) <= 20  # less a scroll bar
    assert seen.shape[0] > 1500
    corner = seen[2, 2].mean()
    assert corner > 240 if scheme == "light" else corner < 40
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(open_page, address: str, scheme: str) -> None:
    page = open_page(address, color_scheme=scheme)
    names = ["--paper", "--ink", "--soft", "--muted", "--accent"]
    colours = page.evaluate(f"{names}.map(name => getComputedStyle(document.body).getPropertyValue(name))")
    paper, *inks = map(luminance, colours)
    for ink in inks:
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) >= 4.5  # WCAG 2 AA


def test_without_scripts_the_pictures_are_there_and_dead_controls_are_not(open_page, address: str) -> None:
    page = open_page(address, java_script_enabled=False)
    displayed = (
        "[...document.querySelectorAll({!r})].map(e => e.offsetParent !== null && e.getClientRects().length > 0)"
    )
    assert page.evaluate(displayed.format(".whole img")) == [True] * 8
    for selector in (".compare", ".lens", ".crop", ".sizes"):
        found = page.evaluate(displayed.format(selector))
        assert found
        assert not any(found)


@pytest.mark.parametrize(("window", "phone"), [((1280, 900), False), ((360, 740), True)])
def test_the_figures_fit_every_window_and_each_is_seen(
    open_page,
    complaints: list[str],
    requests: list[str],
    full_address: str,
    tmp_path: Path,
    window: tuple,
    phone: bool,
) -> None:
    page = open_page(full_address, window, phone)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.plate img, .plate svg')].map(e => e.getBoundingClientRect())"
        ".map(b => [b.left, b.right, b.width, b.height])"
    )
    assert len(boxes) == 1 + 3 + 2 + 6 + 2 + 1  # of the plane, of figures 1, 4, 5 and 6, and of Table 1
    for left, right, wide, high in boxes:
        assert 0 <= left < right <= window[0]
        assert wide >= 90 and high >= 30
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith("data:")] == [full_address]
    assert complaints == []
    (tmp_path / "page.png").write_bytes(page.screenshot(full_page=True))


def test_the_charts_follow_the_page_from_light_to_dark(open_page, full_address: str) -> None:
    line = "[...document.querySelectorAll('#figure-6 path')].find(p => p.style.stroke == 'var(--ink)')"
    strokes = []
    for scheme in ("light", "dark"):
        page = open_page(full_address, color_scheme=scheme)
        strokes.append(page.evaluate(f"getComputedStyle({line}).stroke"))
        assert strokes[-1] == page.evaluate("getComputedStyle(document.body).color")
    assert strokes[0] != strokes[1]


def test_long_names_leave_room_for_figures_on_a_phone(open_page, report: Report, tmp_path: Path) -> None:
    name = "a-restorer-whose-name-has-forty-letters-"
    first = report.pictures[0]
    renamed = tuple((f"{name}{label}"[-40:] if label in ("ed", "ced-gt") else label, p) for label, p in first.versions)
    rows = tuple(replace(row, method=name) if row.method == "ed" else row for row in report.rows)
    path = tmp_path / "long.html"
    path.write_text(
        html.page(replace(report, rows=rows, pictures=(replace(first, versions=renamed),))), encoding="utf-8"
    )
    page = open_page(path.as_uri(), (360, 740), phone=True)
    row = f"[...document.querySelectorAll('.results tbody th')].find(e => e.textContent === {name!r})"
    assert page.evaluate(f"{row}.getBoundingClientRect().width") < 360 / 3
    right = page.evaluate("document.querySelector('.results').closest('.scroll').getBoundingClientRect().right")
    assert page.evaluate(f"{row}.nextElementSibling.nextElementSibling.getBoundingClientRect().right") < right
    left = "document.querySelector('#left-1')"
    page.evaluate(f"{left}.selectedIndex = 2; {left}.dispatchEvent(new Event('change'))")
    tags = page.evaluate(
        "[...document.querySelectorAll('.stage .tag')].map(t => t.getBoundingClientRect()).map(b => [b.left, b.right])"
    )
    assert tags[0][1] <= tags[1][0], "the labels lie over each other"


@pytest.mark.parametrize(("window", "phone"), [((1280, 900), False), ((360, 740), True)])
def test_table_3_fits_every_window_and_what_was_seen_is_shown(
    open_page, complaints: list[str], tmp_path: Path, window: tuple, phone: bool
) -> None:
    rows = tuple(
        Row("voc", quality, colour, method, 4, {"map": 0.5, "map_area": 0.51, "miou": 0.7})
        for colour in ("rgb", "y")
        for quality, method in ((0, "original"), (10, "jpeg"), (10, "a method with a long name"))
    )
    stream = io.BytesIO()
    Image.fromarray(np.full((60, 160, 3), (200, 40, 20), np.uint8)).save(stream, "PNG")
    drawings = tuple(Drawing("2007_000039", "rgb", quality, "jpeg", stream.getvalue()) for quality in (10, 20))
    path = tmp_path / "vision.html"
    table = table_3(rows, Sources("voc", "", "detector.onnx", "segmenter.tflite"))
    path.write_text(html.vision_page("Table 3", (), table, drawings), encoding="utf-8")
    page = open_page(path.as_uri(), window, phone)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("document.querySelectorAll('#vision tbody tr').length") == 3
    box = page.locator("#vision .cell img").first.bounding_box()
    assert box is not None and box["width"] > 250
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 160)")
    assert complaints == []


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    match = re.fullmatch(r"\s*#([0-9a-f]{6})", colour)
    assert match
    values = np.frombuffer(base64.b16decode(match.group(1).upper()), np.uint8) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
