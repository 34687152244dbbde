"""The page in a real browser: it loads without complaint, and every control does what it says."""

import base64
import io
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.evaluation.metrics import Row
from ced.report.figures import figures
from ced.report.html import page
from ced.report.model import Report
from ced.vision.results import Drawing, Models, Vision

STAGE = ".stage"
CLIP = "getComputedStyle(document.querySelector('.over')).clipPath"
REGION = "['--x', '--y', '--r'].map(n => Number(document.querySelector('.viewer').style.getPropertyValue(n)))"

STILL = """(async () => {
  const element = document.querySelector(%s);
  let was;
  for (let same = 0; same < 5;) {
    element.scrollIntoView({ block: "center", behavior: "instant" });
    await new Promise(requestAnimationFrame);
    const box = element.getBoundingClientRect();
    same = was && was.x === box.x && was.y === box.y ? same + 1 : 0;
    was = box;
  }
  return [was.x + was.width / 2, was.y + was.height / 2];
})()"""


@pytest.fixture
def address(report: Report, tmp_path: Path) -> str:
    path = tmp_path / "report é.html"
    path.write_text(page(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def shown(tab, address: str):
    tab.size(1280, 900)
    tab.open(address)
    return tab


def middle(tab, selector: str) -> tuple[float, float]:
    """The centre of an element in the window, once it is scrolled into view and the page stands still."""
    x, y = tab.run(STILL % repr(selector))
    return x, y


def width(tab, selector: str) -> float:
    value: float = tab.run(f"document.querySelector({selector!r}).getBoundingClientRect().width")
    return value


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_the_page_loads_without_a_complaint_or_a_request(shown, address: str) -> None:
    assert shown.run("document.readyState") == "complete"
    assert shown.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert [url for url in shown.requests if not url.startswith("data:")] == [address]
    assert shown.complaints == []


def test_a_complaint_would_be_noticed(shown) -> None:
    shown.run(
        "console.error('oh'); setTimeout(() => { throw new Error('late') }, 0); new Image().src = 'http://a.invalid/'"
    )
    shown.run("new Promise(done => setTimeout(done, 200))")
    text = " ".join(shown.complaints)
    assert "oh" in text
    assert "late" in text
    assert "Content Security Policy" in text


def test_dragging_the_divide_uncovers_the_other_version(shown) -> None:
    x, y = middle(shown, STAGE)
    quarter = width(shown, STAGE) / 4
    assert shown.run(CLIP) == "inset(0px 0px 0px 50%)"
    shown.mouse((x, y), (x + 10, y), (x + quarter, y + 5))
    assert shown.run(CLIP) == "inset(0px 0px 0px 75%)"
    shown.mouse((x - quarter, y), (x - 9 * quarter, y))  # beyond the edge: as far as it goes
    assert shown.run(CLIP) == "inset(0px 0px 0px 0%)"
    assert shown.run("document.querySelector('.stage input').getAttribute('aria-valuetext')") == "0% JPEG, 100% CED-GT"


def test_the_divide_separates_what_is_really_seen(shown, report: Report) -> None:
    # Left of the divide the JPEG, right of it CED-GT, which is the negative of the original here.
    versions = dict(report.pictures[0].versions)
    x, y = middle(shown, STAGE)
    step = width(shown, STAGE) / 96
    seen = pixels(shown.screenshot(whole=False))[..., 0]
    for column, version in ((-30, "jpeg"), (-20, "jpeg"), (20, "ced-gt"), (30, "ced-gt")):
        for row in (-20, 20):
            expected = versions[version][32 + row, 48 + column]
            at = seen[round(y + (row + 0.5) * step), round(x + (column + 0.5) * step)]
            assert abs(at - int(expected)) < 12


def test_the_divide_follows_the_arrow_keys(shown) -> None:
    shown.run("document.querySelector('.stage input').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        shown.key(key)
    assert shown.run(CLIP) == "inset(0px 0px 0px 52%)"
    shown.key("Home")
    assert shown.run(CLIP) == "inset(0px 0px 0px 0%)"


def test_any_two_versions_can_be_compared(shown) -> None:
    tags = "[...document.querySelector('.stage').querySelectorAll('.tag')].map(t => t.textContent)"
    assert shown.run(tags) == ["JPEG", "CED-GT"]
    shown.run("document.querySelector('#left-1').focus()")
    shown.key("E")  # typed into the list: the version that begins so
    shown.key("ArrowDown")
    shown.run("document.querySelector('#right-1').focus()")
    shown.key("ArrowUp")
    assert shown.run(tags) == ["CED-GT", "ED"]
    for layer, index in ((".under", 3), (".over", 2)):
        same = f"document.querySelector('{layer} img').src == document.querySelectorAll('.whole img')[{index}].src"
        assert shown.run(same)


def test_dragging_the_lens_moves_the_region_of_every_version(shown) -> None:
    start = shown.run(REGION)
    x, y = middle(shown, ".whole")
    scale = width(shown, ".whole") / 96
    shown.mouse((x - 20 * scale, y), (x, y), (x - 10 * scale, y + 4 * scale))
    assert shown.run(REGION) == [22, 20, 32]  # the centre, 38 x 36, less half the side
    assert start != [22, 20, 32]
    lefts = shown.run(
        "[...document.querySelectorAll('.viewer')[0].querySelectorAll('.crop img')].map(i => i.offsetLeft)"
    )
    assert len(lefts) == 4
    assert len(set(lefts)) == 1
    assert lefts[0] == pytest.approx(-22 / 32 * width(shown, ".crop"), abs=1)
    other = "document.querySelectorAll('.viewer')[1].style.getPropertyValue('--x')"
    assert shown.run(other) == str(start[0])  # each picture has its own lens


def test_the_enlarged_region_shows_the_pictures_very_pixels(shown, report: Report) -> None:
    # In the middle of each enlarged square stands exactly the value of its pixel.
    left, top, side = shown.run(REGION)
    for number, (_, plane) in enumerate(report.pictures[0].versions, start=1):
        x, y = middle(shown, f".version:nth-of-type({number}) .crop")
        square = width(shown, ".crop") / side
        seen = pixels(shown.screenshot(whole=False))
        centres = (np.arange(side) + 0.5) * square - side * square / 2
        rows, columns = (np.floor(at + centres).astype(int) for at in (y, x))
        expected = np.dstack([plane[top : top + side, left : left + side]] * 3)
        assert np.array_equal(seen[np.ix_(rows, columns)], expected)


def test_the_lens_obeys_the_keyboard(shown) -> None:
    shown.run("document.querySelector('.lens').focus()")
    x, y, side = shown.run(REGION)
    shown.key("ArrowLeft")
    shown.key("ArrowUp")
    assert shown.run(REGION) == [x - side // 16, y - side // 16, side]
    for _ in range(100):
        shown.key("ArrowRight")
        shown.key("ArrowDown")
    assert shown.run(REGION) == [96 - side, 64 - side, side]  # it stays inside the picture
    shown.key("-")
    assert shown.run(REGION) == [32, 0, 64]
    shown.key("+")
    assert shown.run(REGION)[2] == 32
    label = shown.run("document.querySelector('.lens').getAttribute('aria-label')")
    assert label.startswith("Enlarged region, 32 pixels across, at ")


def test_the_regions_size_can_be_chosen(shown) -> None:
    x, _, side = shown.run(REGION)
    shown.mouse(middle(shown, ".sizes label:last-of-type"))
    assert shown.run(REGION) == [min(x + side // 2 - 32, 32), 0, 64]
    frame = width(shown, ".lens") / width(shown, ".whole")
    assert frame == pytest.approx(64 / 96, abs=0.01)


def test_the_divide_can_show_the_enlarged_region_alone(shown) -> None:
    shown.mouse(middle(shown, ".tick"))
    assert width(shown, ".stage.close") == pytest.approx(0.78 * 900, abs=1)
    left = shown.run("document.querySelector('.under img').offsetLeft")
    assert left == pytest.approx(-shown.run(REGION)[0] / 32 * width(shown, STAGE), abs=1)


def test_a_finger_moves_the_frame_but_may_scroll_beside_it(shown, address: str) -> None:
    shown.size(390, 844, phone=True)
    shown.open(address)
    x, y = middle(shown, ".lens")
    start = shown.run(REGION)
    scale = width(shown, ".whole") / 96

    def touch(kind: str, *points: tuple[float, float]) -> None:
        shown.command("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    touch("touchStart", (x - 40 * scale, y))
    touch("touchMove", (x - 40 * scale, y + 60))
    touch("touchEnd")
    assert shown.run(REGION) == start
    x, y = middle(shown, ".lens")
    touch("touchStart", (x, y))
    touch("touchMove", (x - 20 * scale, y))
    touch("touchMove", (x - 30 * scale, y))
    touch("touchEnd")
    assert shown.run(REGION)[0] == pytest.approx(start[0] - 30, abs=1)
    y_before = shown.run(REGION)[1]
    x, y = middle(shown, ".lens")
    touch("touchStart", (x, y))
    for way in (4, 8, 12, 16, 20):  # up and down too, where the page would scroll beside the frame
        touch("touchMove", (x, y + way * scale))
    touch("touchEnd")
    assert shown.run(REGION)[1] == pytest.approx(y_before + 20, abs=1)


def test_a_tap_moves_the_frame(shown, address: str) -> None:
    shown.size(390, 844, phone=True)
    shown.open(address)
    x, y = middle(shown, ".whole")
    scale = width(shown, ".whole") / 96
    shown.tap(x - 20 * scale, y + 8 * scale)
    wanted = [48 - 20 - 16, 32 + 8 - 16, 32]
    for _ in range(50):  # a tap is not one before the browser has waited for a second
        if shown.run(REGION) == pytest.approx(wanted, abs=1):
            return
        time.sleep(0.1)
    assert shown.run(REGION) == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("window", "phone"), [((1280, 900), False), ((390, 844), True), ((360, 740), True), ((320, 568), True)]
)
def test_the_page_fits_its_window(tab, address: str, tmp_path: Path, window: tuple, phone: bool, scheme: str) -> None:
    tab.size(*window, phone=phone)
    tab.scheme(scheme)
    tab.open(address)
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    picture = tab.screenshot()
    (tmp_path / "page.png").write_bytes(picture)
    seen = pixels(picture)
    assert abs(seen.shape[1] - window[0]) <= 20  # less a scroll bar
    assert seen.shape[0] > 1500
    corner = seen[2, 2].mean()
    assert corner > 240 if scheme == "light" else corner < 40
    assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(tab, address: str, scheme: str) -> None:
    tab.scheme(scheme)
    tab.open(address)
    names = ["--paper", "--ink", "--soft", "--muted", "--accent"]
    colours = tab.run(f"{names}.map(name => getComputedStyle(document.body).getPropertyValue(name))")
    paper, *inks = map(luminance, colours)
    for ink in inks:
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) >= 4.5  # WCAG 2 AA


def test_without_scripts_the_pictures_are_there_and_dead_controls_are_not(tab, address: str) -> None:
    tab.command("Emulation.setScriptExecutionDisabled", value=True)
    tab.size(1280, 900)
    tab.open(address)
    displayed = (
        "[...document.querySelectorAll({!r})].map(e => e.offsetParent !== null && e.getClientRects().length > 0)"
    )
    assert tab.run(displayed.format(".whole img")) == [True] * 8
    for selector in (".compare", ".lens", ".crop", ".sizes"):
        found = tab.run(displayed.format(selector))
        assert found
        assert not any(found)


@pytest.fixture
def full_address(full_report: Report, tmp_path: Path) -> str:
    path = tmp_path / "full.html"
    path.write_text(page(full_report, figures(full_report)), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize(("window", "phone"), [((1280, 900), False), ((360, 740), True)])
def test_the_figures_fit_every_window_and_each_is_seen(
    tab, full_address: str, tmp_path: Path, window: tuple, phone: bool
) -> None:
    tab.size(*window, phone=phone)
    tab.open(full_address)
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    boxes = tab.run(
        "[...document.querySelectorAll('.plate img, .plate svg')].map(e => e.getBoundingClientRect())"
        ".map(b => [b.left, b.right, b.width, b.height])"
    )
    assert len(boxes) == 3 + 2 + 6 + 2 + 1  # of figures 1, 4, 5 and 6, and of Table 1
    for left, right, wide, high in boxes:
        assert 0 <= left < right <= window[0]
        assert wide >= 90 and high >= 30
    assert tab.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert [url for url in tab.requests if not url.startswith("data:")] == [full_address]
    assert tab.complaints == []
    (tmp_path / "page.png").write_bytes(tab.screenshot())


def test_an_enlarged_photograph_shows_its_very_pixels(tab, full_address: str, full_report: Report) -> None:
    tab.size(1280, 900)
    tab.open(full_address)
    cell = "#figure-4 .cell:nth-of-type(2) img"
    x, y = middle(tab, cell)
    shape = tab.run(f"(e => [e.naturalWidth, e.naturalHeight])(document.querySelector('{cell}'))")
    square = width(tab, cell) / shape[0]
    seen = pixels(tab.screenshot(whole=False))
    plane = dict(full_report.pictures[0].versions)["ced-gt"]
    assert shape == [96, 64]  # the whole of so small a picture
    for column, row in ((3, 5), (47, 31), (60, 20), (90, 60)):  # near a corner, where a smoothed one would differ
        at = seen[int(y + (row + 0.2 - 32) * square), int(x + (column + 0.2 - 48) * square)]
        assert at.tolist() == [plane[row, column]] * 3


def test_the_charts_follow_the_page_from_light_to_dark(tab, full_address: str) -> None:
    line = "[...document.querySelectorAll('#figure-6 path')].find(p => p.style.stroke == 'var(--ink)')"
    strokes = []
    for scheme in ("light", "dark"):
        tab.scheme(scheme)
        tab.open(full_address)
        strokes.append(tab.run(f"getComputedStyle({line}).stroke"))
        assert strokes[-1] == tab.run("getComputedStyle(document.body).color")
    assert strokes[0] != strokes[1]


def test_a_table_too_wide_for_a_phone_is_scrolled_by_keyboard_and_its_names_stay(tab, full_address: str) -> None:
    tab.size(320, 568, phone=True)
    tab.open(full_address)
    wide = "[...document.querySelectorAll('section > .scroll')].find(e => e.scrollWidth > e.clientWidth)"
    name = f"{wide}.querySelector('tbody th[scope=row]')"
    before = tab.run(f"({name}.scrollIntoView({{block: 'center'}}), {name}.getBoundingClientRect().left)")
    tab.run(f"{wide}.focus()")
    for _ in range(3):
        tab.key("ArrowRight")
    for _ in range(50):  # it is scrolled smoothly
        if tab.run(f"{wide}.scrollLeft") > 20:
            break
        time.sleep(0.05)
    assert tab.run(f"{wide}.scrollLeft") > 20
    assert tab.run(f"{name}.getBoundingClientRect().left") == pytest.approx(before, abs=1)


def test_long_names_leave_room_for_figures_on_a_phone(tab, report: Report, tmp_path: Path) -> None:
    name = "a-restorer-whose-name-has-forty-letters-"
    first = report.pictures[0]
    renamed = tuple((f"{name}{label}"[-40:] if label in ("ed", "ced-gt") else label, p) for label, p in first.versions)
    rows = tuple(replace(row, method=name) if row.method == "ed" else row for row in report.rows)
    path = tmp_path / "long.html"
    path.write_text(page(replace(report, rows=rows, pictures=(replace(first, versions=renamed),))), encoding="utf-8")
    tab.size(360, 740, phone=True)
    tab.open(path.as_uri())
    row = f"[...document.querySelectorAll('.results tbody th')].find(e => e.textContent === {name!r})"
    assert tab.run(f"{row}.getBoundingClientRect().width") < 360 / 3
    right = tab.run("document.querySelector('.results').closest('.scroll').getBoundingClientRect().right")
    assert tab.run(f"{row}.nextElementSibling.nextElementSibling.getBoundingClientRect().right") < right
    left = "document.querySelector('#left-1')"
    tab.run(f"{left}.selectedIndex = 2; {left}.dispatchEvent(new Event('change'))")
    tags = tab.run(
        "[...document.querySelectorAll('.stage .tag')].map(t => t.getBoundingClientRect()).map(b => [b.left, b.right])"
    )
    assert tags[0][1] <= tags[1][0], "the labels lie over each other"


@pytest.mark.parametrize(("window", "phone"), [((1280, 900), False), ((360, 740), True)])
def test_table_3_fits_every_window_and_what_was_seen_is_shown(tab, tmp_path: Path, window: tuple, phone: bool) -> None:
    rows = tuple(
        Row("voc", quality, colour, method, 4, {"map": 0.5, "map_area": 0.51, "miou": 0.7})
        for colour in ("rgb", "y")
        for quality, method in ((0, "original"), (10, "jpeg"), (10, "a method with a long name"))
    )
    stream = io.BytesIO()
    Image.fromarray(np.full((60, 160, 3), (200, 40, 20), np.uint8)).save(stream, "PNG")
    drawings = tuple(Drawing("2007_000039", "rgb", quality, "jpeg", stream.getvalue()) for quality in (10, 20))
    path = tmp_path / "vision.html"
    vision = Vision(rows, Models("detector.onnx", "segmenter.tflite"), drawings)
    path.write_text(page(Report(title="Table 3", vision=vision)), encoding="utf-8")
    tab.size(*window, phone=phone)
    tab.open(path.as_uri())
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.run("document.querySelectorAll('#vision tbody tr').length") == 3
    assert width(tab, "#vision .cell img") > 250
    assert tab.run("[...document.images].every(i => i.complete && i.naturalWidth === 160)")
    assert tab.complaints == []


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    match = re.fullmatch(r"\s*#([0-9a-f]{6})", colour)
    assert match
    values = np.frombuffer(base64.b16decode(match.group(1).upper()), np.uint8) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
