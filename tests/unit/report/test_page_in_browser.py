"""The page in a real browser: it loads without complaint, and every control does what it says."""

import io

import numpy as np
import pytest
from PIL import Image

from ced.report.model import Report

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


def test_a_point_of_the_plane_says_its_figures_and_leads_to_its_crops(open_page, full_address: str) -> None:
    page = open_page(full_address)
    point = "#plane .chart a[href='#version-ced-gt']"
    assert page.locator(f"{point} title").first.text_content() == "CED-GT: PSNR 26.77 dB (25.77 to 27.77), W1 0.382"
    x, y = middle(page, f"{point} use")
    at = "document.elementFromPoint({}, {}).closest('a')?.getAttribute('href')"
    assert page.evaluate(at.format(x, y)) in {"#version-ced-gt", "#version-ed", "#version-ced-est"}
    page.locator(point).first.evaluate("link => link.focus()")
    page.keyboard.press("Enter")
    wait_until(page, "location.hash === '#version-ced-gt'")
    crop = "document.querySelector('.version:target .crop').getBoundingClientRect()"
    wait_until(page, f"{crop}.top >= 0 && {crop}.bottom <= innerHeight")
    assert page.evaluate("document.querySelector('.version:target figcaption').textContent") == "CED-GT"
