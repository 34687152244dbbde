"""The page in a real browser: it loads without complaint, and every control does what it says."""

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
from ced.report.figures import figures
from ced.report.model import Report
from ced.vision.results import Drawing, Models, Vision

STAGE = ".stage"
PHONE = (390, 844)
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
    path.write_text(html.page(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(open_page, address: str):
    return open_page(address)


def middle(page, selector: str) -> tuple[float, float]:
    """The centre of an element in the window, once it is scrolled into view and the page stands still."""
    x, y = page.evaluate(STILL % repr(selector))
    return x, y


def width(page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["width"]


def drag(page, *points: tuple[float, float]) -> None:
    """Press the mouse at the first point, move it over the others, and let go at the last."""
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def wait_until(page, condition: str) -> None:
    """Playwright's own waiting is refused by the page's policy: it evaluates text in the page."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}")


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_the_page_loads_without_a_complaint_or_a_request(
    opened, complaints: list[str], requests: list[str], address: str
) -> None:
    assert opened.evaluate("document.readyState") == "complete"
    assert opened.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith("data:")] == [address]
    assert complaints == []


def test_a_complaint_would_be_noticed(opened, complaints: list[str]) -> None:
    opened.evaluate(
        "console.error('oh'); setTimeout(() => { throw new Error('late') }, 0); new Image().src = 'http://a.invalid/'"
    )
    opened.evaluate("new Promise(done => setTimeout(done, 200))")
    text = " ".join(complaints)
    assert "oh" in text
    assert "late" in text
    assert "Content Security Policy" in text


def test_dragging_the_divide_uncovers_the_other_version(opened) -> None:
    x, y = middle(opened, STAGE)
    quarter = width(opened, STAGE) / 4
    assert opened.evaluate(CLIP) == "inset(0px 0px 0px 50%)"
    drag(opened, (x, y), (x + 10, y), (x + quarter, y + 5))
    assert opened.evaluate(CLIP) == "inset(0px 0px 0px 75%)"
    drag(opened, (x - quarter, y), (x - 9 * quarter, y))  # beyond the edge: as far as it goes
    assert opened.evaluate(CLIP) == "inset(0px 0px 0px 0%)"
    assert (
        opened.evaluate("document.querySelector('.stage input').getAttribute('aria-valuetext')")
        == "0% JPEG, 100% CED-GT"
    )


def test_the_divide_separates_what_is_really_seen(opened, report: Report) -> None:
    # Left of the divide the JPEG, right of it CED-GT, which is the negative of the original here.
    versions = dict(report.pictures[0].versions)
    x, y = middle(opened, STAGE)
    step = width(opened, STAGE) / 96
    seen = pixels(opened.screenshot())[..., 0]
    for column, version in ((-30, "jpeg"), (-20, "jpeg"), (20, "ced-gt"), (30, "ced-gt")):
        for row in (-20, 20):
            expected = versions[version][32 + row, 48 + column]
            at = seen[round(y + (row + 0.5) * step), round(x + (column + 0.5) * step)]
            assert abs(at - int(expected)) < 12


def test_the_divide_follows_the_arrow_keys(opened) -> None:
    opened.evaluate("document.querySelector('.stage input').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        opened.keyboard.press(key)
    assert opened.evaluate(CLIP) == "inset(0px 0px 0px 52%)"
    opened.keyboard.press("Home")
    assert opened.evaluate(CLIP) == "inset(0px 0px 0px 0%)"


def test_any_two_versions_can_be_compared(opened) -> None:
    tags = "[...document.querySelector('.stage').querySelectorAll('.tag')].map(t => t.textContent)"
    assert opened.evaluate(tags) == ["JPEG", "CED-GT"]
    opened.evaluate("document.querySelector('#left-1').focus()")
    opened.keyboard.press("E")  # typed into the list: the version that begins so
    opened.keyboard.press("ArrowDown")
    opened.evaluate("document.querySelector('#right-1').focus()")
    opened.keyboard.press("ArrowUp")
    assert opened.evaluate(tags) == ["CED-GT", "ED"]
    for layer, index in ((".under", 3), (".over", 2)):
        same = f"document.querySelector('{layer} img').src == document.querySelectorAll('.whole img')[{index}].src"
        assert opened.evaluate(same)


def test_dragging_the_lens_moves_the_region_of_every_version(opened) -> None:
    start = opened.evaluate(REGION)
    x, y = middle(opened, ".whole")
    scale = width(opened, ".whole") / 96
    drag(opened, (x - 20 * scale, y), (x, y), (x - 10 * scale, y + 4 * scale))
    assert opened.evaluate(REGION) == [22, 20, 32]  # the centre, 38 x 36, less half the side
    assert start != [22, 20, 32]
    lefts = opened.evaluate(
        "[...document.querySelectorAll('.viewer')[0].querySelectorAll('.crop img')].map(i => i.offsetLeft)"
    )
    assert len(lefts) == 4
    assert len(set(lefts)) == 1
    assert lefts[0] == pytest.approx(-22 / 32 * width(opened, ".crop"), abs=1)
    other = "document.querySelectorAll('.viewer')[1].style.getPropertyValue('--x')"
    assert opened.evaluate(other) == str(start[0])  # each picture has its own lens


def test_the_enlarged_region_shows_the_pictures_very_pixels(opened, report: Report) -> None:
    # In the middle of each enlarged square stands exactly the value of its pixel.
    left, top, side = opened.evaluate(REGION)
    for number, (_, plane) in enumerate(report.pictures[0].versions, start=1):
        x, y = middle(opened, f".version:nth-of-type({number}) .crop")
        square = width(opened, ".crop") / side
        seen = pixels(opened.screenshot())
        centres = (np.arange(side) + 0.5) * square - side * square / 2
        rows, columns = (np.floor(at + centres).astype(int) for at in (y, x))
        expected = np.dstack([plane[top : top + side, left : left + side]] * 3)
        assert np.array_equal(seen[np.ix_(rows, columns)], expected)


def test_the_lens_obeys_the_keyboard(opened) -> None:
    opened.evaluate("document.querySelector('.lens').focus()")
    x, y, side = opened.evaluate(REGION)
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("ArrowUp")
    assert opened.evaluate(REGION) == [x - side // 16, y - side // 16, side]
    for _ in range(100):
        opened.keyboard.press("ArrowRight")
        opened.keyboard.press("ArrowDown")
    assert opened.evaluate(REGION) == [96 - side, 64 - side, side]  # it stays inside the picture
    opened.keyboard.press("-")
    assert opened.evaluate(REGION) == [32, 0, 64]
    opened.keyboard.press("+")
    assert opened.evaluate(REGION)[2] == 32
    label = opened.evaluate("document.querySelector('.lens').getAttribute('aria-label')")
    assert label.startswith("Enlarged region, 32 pixels across, at ")


def test_the_regions_size_can_be_chosen(opened) -> None:
    x, _, side = opened.evaluate(REGION)
    opened.locator(".sizes label:last-of-type").first.click()
    assert opened.evaluate(REGION) == [min(x + side // 2 - 32, 32), 0, 64]
    frame = width(opened, ".lens") / width(opened, ".whole")
    assert frame == pytest.approx(64 / 96, abs=0.01)


def test_the_divide_can_show_the_enlarged_region_alone(opened) -> None:
    opened.locator(".tick").first.click()
    assert width(opened, ".stage.close") == pytest.approx(0.78 * 900, abs=1)
    left = opened.evaluate("document.querySelector('.under img').offsetLeft")
    assert left == pytest.approx(-opened.evaluate(REGION)[0] / 32 * width(opened, STAGE), abs=1)


def test_a_finger_moves_the_frame_but_may_scroll_beside_it(open_page, address: str) -> None:
    opened = open_page(address, PHONE, phone=True)
    fingers = opened.context.new_cdp_session(opened)
    x, y = middle(opened, ".lens")
    start = opened.evaluate(REGION)
    scale = width(opened, ".whole") / 96

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", (x - 40 * scale, y))
    touch("touchMove", (x - 40 * scale, y + 60))
    touch("touchEnd")
    assert opened.evaluate(REGION) == start
    x, y = middle(opened, ".lens")
    touch("touchStart", (x, y))
    touch("touchMove", (x - 20 * scale, y))
    touch("touchMove", (x - 30 * scale, y))
    touch("touchEnd")
    assert opened.evaluate(REGION)[0] == pytest.approx(start[0] - 30, abs=1)
    y_before = opened.evaluate(REGION)[1]
    x, y = middle(opened, ".lens")
    touch("touchStart", (x, y))
    for way in (4, 8, 12, 16, 20):  # up and down too, where the page would scroll beside the frame
        touch("touchMove", (x, y + way * scale))
    touch("touchEnd")
    assert opened.evaluate(REGION)[1] == pytest.approx(y_before + 20, abs=1)


def test_a_tap_moves_the_frame(open_page, address: str) -> None:
    opened = open_page(address, PHONE, phone=True)
    x, y = middle(opened, ".whole")
    scale = width(opened, ".whole") / 96
    opened.touchscreen.tap(x - 20 * scale, y + 8 * scale)
    wanted = [48 - 20 - 16, 32 + 8 - 16, 32]
    # A tap is not one before the browser has waited for a second.
    wait_until(opened, f"{REGION}.every((value, n) => Math.abs(value - {wanted}[n]) <= 1)")


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
    seen = pixels(picture)
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


@pytest.fixture
def full_address(full_report: Report, tmp_path: Path) -> str:
    path = tmp_path / "full.html"
    path.write_text(html.page(full_report, figures(full_report)), encoding="utf-8")
    return path.as_uri()


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
    assert len(boxes) == 3 + 2 + 6 + 2 + 1  # of figures 1, 4, 5 and 6, and of Table 1
    for left, right, wide, high in boxes:
        assert 0 <= left < right <= window[0]
        assert wide >= 90 and high >= 30
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith("data:")] == [full_address]
    assert complaints == []
    (tmp_path / "page.png").write_bytes(page.screenshot(full_page=True))


def test_an_enlarged_photograph_shows_its_very_pixels(open_page, full_address: str, full_report: Report) -> None:
    page = open_page(full_address)
    cell = "#figure-4 .cell:nth-of-type(2) img"
    x, y = middle(page, cell)
    shape = page.evaluate(f"(e => [e.naturalWidth, e.naturalHeight])(document.querySelector('{cell}'))")
    square = width(page, cell) / shape[0]
    seen = pixels(page.screenshot())
    plane = dict(full_report.pictures[0].versions)["ced-gt"]
    assert shape == [96, 64]  # the whole of so small a picture
    for column, row in ((3, 5), (47, 31), (60, 20), (90, 60)):  # near a corner, where a smoothed one would differ
        at = seen[int(y + (row + 0.2 - 32) * square), int(x + (column + 0.2 - 48) * square)]
        assert at.tolist() == [plane[row, column]] * 3


def test_the_charts_follow_the_page_from_light_to_dark(open_page, full_address: str) -> None:
    line = "[...document.querySelectorAll('#figure-6 path')].find(p => p.style.stroke == 'var(--ink)')"
    strokes = []
    for scheme in ("light", "dark"):
        page = open_page(full_address, color_scheme=scheme)
        strokes.append(page.evaluate(f"getComputedStyle({line}).stroke"))
        assert strokes[-1] == page.evaluate("getComputedStyle(document.body).color")
    assert strokes[0] != strokes[1]


def test_a_table_too_wide_for_a_phone_is_scrolled_by_keyboard_and_its_names_stay(open_page, full_address: str) -> None:
    page = open_page(full_address, (320, 568), phone=True)
    wide = "[...document.querySelectorAll('section > .scroll')].find(e => e.scrollWidth > e.clientWidth)"
    name = f"{wide}.querySelector('tbody th[scope=row]')"
    before = page.evaluate(f"({name}.scrollIntoView({{block: 'center'}}), {name}.getBoundingClientRect().left)")
    page.evaluate(f"{wide}.focus()")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    wait_until(page, f"{wide}.scrollLeft > 20")  # it is scrolled smoothly
    assert page.evaluate(f"{name}.getBoundingClientRect().left") == pytest.approx(before, abs=1)


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
    vision = Vision(rows, Models("detector.onnx", "segmenter.tflite"), drawings)
    path.write_text(html.page(Report(title="Table 3", vision=vision)), encoding="utf-8")
    page = open_page(path.as_uri(), window, phone)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("document.querySelectorAll('#vision tbody tr').length") == 3
    assert width(page, "#vision .cell img") > 250
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 160)")
    assert complaints == []


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    match = re.fullmatch(r"\s*#([0-9a-f]{6})", colour)
    assert match
    values = np.frombuffer(base64.b16decode(match.group(1).upper()), np.uint8) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
