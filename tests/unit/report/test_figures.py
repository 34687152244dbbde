"""Figures 1, 4 and 5 and the comparison of versions: the right regions, their very pixels, and names that fit."""

import base64
import io
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ced import drawing
from ced.drawing import Box
from ced.report.figures import busiest, busiest_square, comparison, detail_side, figure_1, figure_4, figure_5, figures
from ced.report.html import figures_section
from ced.report.model import Figure, Picture, Report

MARGIN, LABEL, GAP = 24, drawing.text("x", 18).height, 12
ORANGE = (214, 73, 28)
SVG = "{http://www.w3.org/2000/svg}"
ALL = ("original", "jpeg", "ed", "ced-est", "ced-gt")
BOX = (16, 8, 48, 40)


def decoded(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image)


def plain(height: int, width: int, value: int = 100) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def slow_busiest(plane: np.ndarray, side: int) -> Box:
    """The same measure, block by block and square by square."""
    best, box = -1.0, (0, 0, 0, 0)
    for top in range(0, plane.shape[0] // 8 * 8 - side + 1, 8):
        for left in range(0, plane.shape[1] // 8 * 8 - side + 1, 8):
            square = plane[top : top + side, left : left + side].astype(float)
            blocks = [square[r : r + 8, c : c + 8] for r in range(0, side, 8) for c in range(0, side, 8)]
            measure = round(sum(math.sqrt(((b - b.mean()) ** 2).mean()) for b in blocks), 2)
            if measure > best:
                best, box = measure, (left, top, left + side, top + side)
    return box


def test_the_busiest_region_is_where_the_texture_is() -> None:
    plane = plain(128, 160)
    plane[40:72, 96:128] = np.random.default_rng(0).integers(0, 256, (32, 32))
    assert busiest_square(plane, 32) == (96, 40, 128, 72)
    assert busiest_square(np.dstack([plane] * 3), 32) == (96, 40, 128, 72)


def test_texture_counts_for_more_than_one_strong_edge() -> None:
    plane = plain(64, 128, 0)
    plane[:, 29:64] = 255  # the strongest edge there is, through the middle of a column of blocks
    plane[:, 96:128] = np.random.default_rng(0).integers(60, 190, (64, 32))
    assert busiest_square(plane, 32) == (96, 0, 128, 32) or busiest_square(plane, 32)[0] == 96


@pytest.mark.parametrize("seed", range(5))
def test_the_region_agrees_with_a_slow_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plane = (rng.integers(0, 256, (70, 91)) * np.linspace(0, 1, 91) ** rng.uniform(0, 3)).astype(np.uint8)
    assert busiest_square(plane, 24) == slow_busiest(plane, 24)


def test_the_first_of_equal_regions_is_taken() -> None:
    assert busiest_square(plain(64, 64), 32) == (0, 0, 32, 32)
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert busiest_square(stripes, 32) == (0, 0, 32, 32)


@pytest.mark.parametrize(
    ("height", "width", "side", "box"),
    [
        (64, 64, 200, (0, 0, 64, 64)),
        (20, 64, 64, (0, 0, 16, 16)),
        (64, 64, 1, (0, 0, 8, 8)),
        (5, 64, 32, (0, 0, 5, 5)),
        (1, 1, 8, (0, 0, 1, 1)),
    ],
)
def test_the_region_stays_inside_small_pictures(height: int, width: int, side: int, box: Box) -> None:
    assert busiest_square(plain(height, width), side) == box


@pytest.mark.parametrize(
    ("height", "width", "side"), [(512, 768, 80), (96, 96, 48), (100, 300, 48), (20, 20, 8), (3, 3, 8)]
)
def test_the_regions_side_suits_the_picture(height: int, width: int, side: int) -> None:
    plane = plain(height, width)
    assert detail_side(Picture("p", 10, (("original", plane), ("jpeg", plane)))) == side


def test_the_comparison_has_a_column_for_each_version(picture: Picture) -> None:
    sheet = decoded(comparison(picture, (0, 0, 32, 32)))  # 32 pixels as 320
    whole = round(320 * 64 / 96)
    assert sheet.shape == (2 * MARGIN + LABEL + whole + GAP + 320, 2 * MARGIN + 4 * 320 + 3 * GAP, 3)


def test_every_pixel_of_the_region_becomes_a_square(picture: Picture) -> None:
    box = (56, 8, 88, 24)
    sheet = decoded(comparison(picture, box))
    top = MARGIN + LABEL + round(320 * 64 / 96) + GAP
    for number, (_, plane) in enumerate(picture.versions):
        left = MARGIN + number * (320 + GAP)
        detail = sheet[top : top + 160, left : left + 320]
        expected = plane[8:24, 56:88].repeat(10, axis=0).repeat(10, axis=1)
        assert np.array_equal(detail, np.dstack([expected] * 3))


def test_without_a_region_the_busiest_of_the_original_is_shown(picture: Picture) -> None:
    box = busiest_square(picture.original, 32)
    assert box == (56, 8, 88, 40)
    assert comparison(picture) == comparison(picture, box)


def test_the_region_is_framed_in_each_whole_picture(picture: Picture) -> None:
    sheet = decoded(comparison(picture, (24, 24, 56, 40)))
    scale = 320 / 96
    for number in range(4):
        origin = MARGIN + number * (320 + GAP), MARGIN + LABEL
        column = sheet[:, origin[0] : origin[0] + 320]
        rows, columns = np.nonzero((column == ORANGE).all(axis=2))
        assert (columns.min(), columns.max()) == (round(24 * scale) - 2, round(56 * scale) + 1)
        assert (rows.min() - origin[1], rows.max() - origin[1]) == (round(24 * scale) - 2, round(40 * scale) + 1)


def test_the_labels_stand_above_the_pictures_and_name_the_quality(picture: Picture) -> None:
    sheet = decoded(comparison(picture))
    labels = sheet[: MARGIN + LABEL]
    inked = [(labels[:, MARGIN + n * (320 + GAP) :][:, :320] < 128).any() for n in range(4)]
    assert inked == [True] * 4
    other = Picture(picture.name, 20, picture.versions)
    assert not np.array_equal(decoded(comparison(other))[: MARGIN + LABEL], labels)
    assert np.array_equal(decoded(comparison(other))[MARGIN + LABEL :], sheet[MARGIN + LABEL :])


def test_colour_stays_colour() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    sheet = decoded(comparison(Picture("p", 10, (("original", red), ("jpeg", red))), (0, 0, 32, 32)))
    assert sheet[-MARGIN - 5, MARGIN + 5].tolist() == [200, 0, 0]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (3, 400), (400, 3), (17, 19)])
def test_pictures_of_any_size_make_a_comparison(height: int, width: int) -> None:
    plane = plain(height, width)
    sheet = decoded(comparison(Picture("p", 10, (("original", plane), ("jpeg", plane)))))
    assert LABEL < sheet.shape[0] <= 2 * MARGIN + LABEL + GAP + 3 * sheet.shape[1]
    assert (sheet == 100).all(axis=2).any()


def test_a_tall_picture_is_shown_no_higher_than_two_squares() -> None:
    plane = plain(800, 160)
    sheet = decoded(comparison(Picture("p", 10, (("original", plane), ("jpeg", plane))), (0, 0, 80, 80)))
    assert sheet.shape[0] == 2 * MARGIN + LABEL + 640 + GAP + 320
    frame_row = sheet[MARGIN + LABEL + 30]
    assert (frame_row[MARGIN : MARGIN + 128] != 255).any(axis=1).sum() > 100  # 160 x 800 as 128 x 640
    assert (frame_row[MARGIN + 128 : MARGIN + 320] == 255).all()


@pytest.mark.parametrize("box", [(-1, 0, 8, 8), (0, 0, 97, 8), (0, 0, 8, 65), (8, 0, 8, 8), (0, 9, 8, 8)])
def test_a_region_outside_the_picture_is_refused(picture: Picture, box: Box) -> None:
    with pytest.raises(ValueError, match="not inside 96 x 64"):
        comparison(picture, box)


def test_the_same_picture_gives_the_same_bytes(picture: Picture) -> None:
    copy = Picture(picture.name, picture.quality, tuple((label, v.copy()) for label, v in picture.versions))
    assert comparison(picture) == comparison(copy)


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_region_agrees_with_a_slow_search(seed: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, (70, 90), dtype=np.uint8)
    plane[::3] //= 2
    best, expected = -1.0, (0, 0, 0, 0)
    for top in range(0, 64 - 16 + 1, 8):
        for left in range(0, 88 - 40 + 1, 8):
            region = plane[top : top + 16, left : left + 40].astype(float)
            blocks = [region[r : r + 8, c : c + 8].std() for r in (0, 8) for c in range(0, 40, 8)]
            if round(sum(blocks), 2) > best:
                best, expected = round(sum(blocks), 2), (left, top, left + 40, top + 16)
    assert busiest(plane, 40, 16) == expected


def test_a_region_larger_than_the_picture_is_cut_to_it() -> None:
    assert busiest(plain(40, 64), 384, 160) == (0, 0, 64, 40)
    assert busiest(plain(5, 64), 384, 160) == (0, 0, 64, 5)


def noise(labels: tuple[str, ...] = ALL, name: str = "cat.png", quality: int = 10, size: tuple = (96, 64)) -> Picture:
    rng = np.random.default_rng(0)
    return Picture(name, quality, tuple((label, rng.integers(0, 256, size[::-1], np.uint8)) for label in labels))


def embedded(text: str) -> list[np.ndarray]:
    images = re.findall(r'data:image/png;base64,([^"]*)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in images]


def body(figure: Figure) -> str:
    """The figure on the page."""
    return figures_section([figure])


def words(figure: Figure) -> list[str | None]:
    return [text.text for text in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]


def places(figure: Figure) -> list[tuple[int, ...]]:
    images = ElementTree.fromstring(figure.svg).iter(f"{SVG}image")
    return [tuple(int(image.get(name) or -1) for name in ("x", "y", "width", "height")) for image in images]


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def crops(picture: Picture, box: tuple[int, int, int, int], *labels: str) -> list[np.ndarray]:
    left, top, right, bottom = box
    return [dict(picture.versions)[label][top:bottom, left:right] for label in labels]


def same(images: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(images) == len(expected) and all(np.array_equal(a, b) for a, b in zip(images, expected, strict=True))


def test_figure_1_is_jpeg_ed_and_ced_gt_from_top_to_bottom() -> None:
    first = noise()
    figure = drawn(figure_1([first, noise(name="dog")], BOX))
    assert words(figure) == ["JPEG, QF 10", "ED", "CED-GT"]
    for text in (figure.svg, body(figure)):
        assert same(embedded(text), crops(first, BOX, "jpeg", "ed", "ced-gt"))
    xs, ys, wide, high = zip(*places(figure), strict=True)
    assert len(set(xs)) == 1
    assert ys[0] + high[0] < ys[1] and ys[1] + high[1] < ys[2]
    assert set(wide) == {32 * 24}
    assert "cat.png" in figure.caption and "dog" not in figure.caption


def test_figure_1_needs_two_versions() -> None:
    assert figure_1([]) is None
    assert figure_1([noise(("original", "jpeg", "ced-est"))]) is None
    assert words(drawn(figure_1([noise(("original", "jpeg", "ced-gt"))]))) == ["JPEG, QF 10", "CED-GT"]


def test_figure_4_is_ced_est_beside_ced_gt() -> None:
    first = noise()
    figure = drawn(figure_4([first], BOX))
    assert words(figure) == ["CED-EST: trained with estimates", "CED-GT: trained with the truth"]
    assert same(embedded(figure.svg), crops(first, BOX, "ced-est", "ced-gt"))
    (left, right) = places(figure)
    assert left[1] == right[1] and left[0] + left[2] < right[0]
    assert figure_4([noise(("original", "jpeg", "ced-gt"))]) is None
    assert figure_4([]) is None


def test_figure_5_has_a_row_of_every_version_for_each_picture() -> None:
    first, second = noise(), noise(("original", "jpeg", "mine"), "dog.png", 20)
    figure = drawn(figure_5([first, second], BOX))
    assert words(figure) == [
        *("cat.png", "Original", "JPEG, QF 10", "ED", "CED-EST", "CED-GT"),
        *("dog.png", "Original", "JPEG, QF 20", "mine"),
    ]
    images = embedded(body(figure))
    assert same(images[1:6], crops(first, BOX, *ALL))
    assert same(images[7:], crops(second, BOX, "original", "jpeg", "mine"))
    assert images[0].shape == (160, 240)  # the whole photograph
    rows = [corner[1] for corner in places(figure)]
    assert rows == sorted(rows) and len(set(rows)) == 2
    assert figure_5([]) is None


def test_the_region_is_where_most_detail_is_and_marked_in_the_whole() -> None:
    plane = np.full((320, 480), 90, np.uint8)
    plane[160:240, 320:400] = np.random.default_rng(0).integers(0, 256, (80, 80))
    figure = drawn(figure_5([Picture("p", 10, (("original", plane), ("jpeg", plane)))]))
    assert busiest_square(plane, 80) == (320, 160, 400, 240)
    assert same(embedded(body(figure))[1:2], [plane[160:240, 320:400]])
    assert "with the most detail" in figure.caption
    # At half size the region is 160..200 x 80..120 of 240 x 160: the insets of top, right, bottom and left.
    assert 'style="inset:50.00% 16.67% 25.00% 66.67%"' in body(figure)
    sheet = np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))
    rows, columns = np.nonzero((sheet == (214, 73, 28)).all(axis=2))
    left, top, _, _ = places(figure)[0]
    assert (columns.min() - left, columns.max() - left) == (158, 201)
    assert (rows.min() - top, rows.max() - top) == (78, 121)


def test_every_version_of_a_row_is_equally_large() -> None:
    for box in (None, BOX, (0, 0, 96, 8), (3, 3, 4, 4)):
        sizes = {corner[2:] for corner in places(drawn(figure_5([noise()], box)))[1:]}
        assert len(sizes) == 1
        (size,) = sizes
        assert 160 <= max(size) <= 320


@pytest.mark.parametrize("size", [(9, 9), (8, 300), (300, 9), (17, 400)])
def test_pictures_of_any_size_make_figures(size: tuple[int, int]) -> None:
    for figure in (
        figure_1([noise(size=size)]),
        figure_4([noise(size=size)]),
        figure_5([noise(size=size)]),
    ):
        Image.open(io.BytesIO(drawn(figure).png)).verify()


def test_colour_pictures_stay_in_colour() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    figure = drawn(figure_5([Picture("p", 10, (("original", red), ("jpeg", red)))]))
    assert embedded(figure.svg)[1][0, 0].tolist() == [200, 0, 0]


def test_any_name_is_text_and_a_long_one_is_cut() -> None:
    nasty = '"><script>&' + "long/" * 30 + "cat.png"
    figure = drawn(figure_5([noise(name=nasty)]))
    assert "<script" not in body(figure) and "<script" not in figure.svg
    assert (words(figure)[0] or "").startswith("…") and (words(figure)[0] or "").endswith("cat.png")
    ElementTree.fromstring(figure.svg)


def test_a_long_name_of_a_method_is_cut_before_the_next_photograph() -> None:
    name = "a-method-whose-name-has-forty-characters"
    images = words(drawn(figure_5([noise((*ALL, name))])))
    assert name not in images and images[-1] is not None and images[-1].startswith("…")
    assert name in drawn(figure_5([noise((*ALL, name))])).caption


def test_the_caption_of_figure_5_is_of_all_its_pictures() -> None:
    """A method may have failed on the first, and there may be several quality factors."""
    pictures = [noise(quality=10), noise((*ALL, "mine"), quality=20)]
    assert drawn(figure_5(pictures)).caption.endswith(": Original, JPEG, ED, CED-EST, CED-GT and mine; QF 10 and 20.")


def test_the_same_pictures_give_the_same_bytes() -> None:
    once, again = (drawn(figure_5([noise()])) for _ in range(2))
    assert (once.png, once.svg, body(once)) == (again.png, again.svg, body(again))


def test_everything_there_is_is_drawn_in_the_papers_order(full_report: Report) -> None:
    every = figures(full_report)
    assert [figure.name for figure in every] == ["plane", "figure-1", "figure-4", "figure-5", "figure-6", "table-1"]
    assert all(
        figure.png.startswith(b"\x89PNG") and "<svg" in figure.svg and (figure.photos or figure.charts)
        for figure in every
    )
    assert all(figure.title and figure.caption.endswith(".") for figure in every)


def test_only_what_can_be_drawn_is_drawn(full_report: Report) -> None:
    assert figures(Report("empty")) == ()
    (only,) = figures(replace(full_report, rows=(), pictures=(), curves=()))
    assert only.name == "figure-6"


def test_the_region_and_the_channels_are_the_reports(full_report: Report) -> None:
    every = {figure.name: figure for figure in figures(replace(full_report, channels=("3-1",), crop=(8, 8, 40, 24)))}
    assert "<h4>3-1</h4>" in body(every["figure-6"])
    for name in ("figure-1", "figure-4", "figure-5"):
        assert 'width="32" height="16"' in body(every[name])


def test_a_tall_region_leaves_the_whole_pictures_as_wide_as_others(picture: Picture) -> None:
    sheet = decoded(comparison(picture, (0, 0, 8, 64)))
    assert sheet.shape[1] == 2 * MARGIN + 4 * 320 + 3 * GAP
    assert sheet.shape[0] == 2 * MARGIN + LABEL + round(320 * 64 / 96) + GAP + 320
