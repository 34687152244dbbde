import io
import math

import numpy as np
import pytest
from PIL import Image

from ced.report.model import Picture
from ced.report.pictures import Box, busiest, busiest_rectangle, cut, detail_side, png, strip, width, write

MARGIN, LABEL, GAP = 20, 36, 12
ORANGE = (214, 73, 28)


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


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
def test_png_keeps_every_value(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decoded(png(pixels)), pixels)


def test_the_busiest_region_is_where_the_texture_is() -> None:
    plane = plain(128, 160)
    plane[40:72, 96:128] = np.random.default_rng(0).integers(0, 256, (32, 32))
    assert busiest(plane, 32) == (96, 40, 128, 72)
    assert busiest(np.dstack([plane] * 3), 32) == (96, 40, 128, 72)


def test_texture_counts_for_more_than_one_strong_edge() -> None:
    plane = plain(64, 128, 0)
    plane[:, 29:64] = 255  # the strongest edge there is, through the middle of a column of blocks
    plane[:, 96:128] = np.random.default_rng(0).integers(60, 190, (64, 32))
    assert busiest(plane, 32) == (96, 0, 128, 32) or busiest(plane, 32)[0] == 96


@pytest.mark.parametrize("seed", range(5))
def test_the_region_agrees_with_a_slow_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plane = (rng.integers(0, 256, (70, 91)) * np.linspace(0, 1, 91) ** rng.uniform(0, 3)).astype(np.uint8)
    assert busiest(plane, 24) == slow_busiest(plane, 24)


def test_the_first_of_equal_regions_is_taken() -> None:
    assert busiest(plain(64, 64), 32) == (0, 0, 32, 32)
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert busiest(stripes, 32) == (0, 0, 32, 32)


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
    assert busiest(plain(height, width), side) == box


@pytest.mark.parametrize(
    ("height", "width", "side"), [(512, 768, 80), (96, 96, 48), (100, 300, 48), (20, 20, 8), (3, 3, 8)]
)
def test_the_regions_side_suits_the_picture(height: int, width: int, side: int) -> None:
    plane = plain(height, width)
    assert detail_side(Picture("p", 10, (("original", plane), ("jpeg", plane)))) == side


def test_the_strip_has_a_column_for_each_version(picture: Picture) -> None:
    sheet = decoded(strip(picture, (0, 0, 32, 32)))  # 32 pixels as 320
    whole = round(320 * 64 / 96)
    assert sheet.shape == (2 * MARGIN + LABEL + whole + GAP + 320, 2 * MARGIN + 4 * 320 + 3 * GAP, 3)


def test_every_pixel_of_the_region_becomes_a_square(picture: Picture) -> None:
    box = (56, 8, 88, 24)
    sheet = decoded(strip(picture, box))
    top = MARGIN + LABEL + round(320 * 64 / 96) + GAP
    for number, (_, plane) in enumerate(picture.versions):
        left = MARGIN + number * (320 + GAP)
        shown = sheet[top : top + 160, left : left + 320]
        expected = plane[8:24, 56:88].repeat(10, axis=0).repeat(10, axis=1)
        assert np.array_equal(shown, np.dstack([expected] * 3))


def test_without_a_region_the_busiest_of_the_original_is_shown(picture: Picture) -> None:
    box = busiest(picture.original, 32)
    assert box == (56, 8, 88, 40)
    assert strip(picture) == strip(picture, box)


def test_the_region_is_framed_in_each_whole_picture(picture: Picture) -> None:
    sheet = decoded(strip(picture, (24, 24, 56, 40)))
    scale = 320 / 96
    for number in range(4):
        origin = MARGIN + number * (320 + GAP), MARGIN + LABEL
        column = sheet[:, origin[0] : origin[0] + 320]
        rows, columns = np.nonzero((column == ORANGE).all(axis=2))
        assert (columns.min(), columns.max()) == (round(24 * scale) - 2, round(56 * scale) + 1)
        assert (rows.min() - origin[1], rows.max() - origin[1]) == (round(24 * scale) - 2, round(40 * scale) + 1)


def test_the_labels_stand_above_the_pictures_and_name_the_quality(picture: Picture) -> None:
    sheet = decoded(strip(picture))
    labels = sheet[: MARGIN + LABEL]
    inked = [(labels[:, MARGIN + n * (320 + GAP) :][:, :320] < 128).any() for n in range(4)]
    assert inked == [True] * 4
    other = Picture(picture.name, 20, picture.versions)
    assert not np.array_equal(decoded(strip(other))[: MARGIN + LABEL], labels)
    assert np.array_equal(decoded(strip(other))[MARGIN + LABEL :], sheet[MARGIN + LABEL :])


def test_colour_stays_colour() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    sheet = decoded(strip(Picture("p", 10, (("original", red), ("jpeg", red))), (0, 0, 32, 32)))
    assert sheet[-MARGIN - 5, MARGIN + 5].tolist() == [200, 0, 0]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (3, 400), (400, 3), (17, 19)])
def test_pictures_of_any_size_make_a_strip(height: int, width: int) -> None:
    plane = plain(height, width)
    sheet = decoded(strip(Picture("p", 10, (("original", plane), ("jpeg", plane)))))
    assert LABEL < sheet.shape[0] <= 2 * MARGIN + LABEL + GAP + 3 * sheet.shape[1]
    assert (sheet == 100).all(axis=2).any()


def test_a_tall_picture_is_shown_no_higher_than_two_squares() -> None:
    plane = plain(800, 160)
    sheet = decoded(strip(Picture("p", 10, (("original", plane), ("jpeg", plane))), (0, 0, 80, 80)))
    assert sheet.shape[0] == 2 * MARGIN + LABEL + 640 + GAP + 320
    frame_row = sheet[MARGIN + LABEL + 30]
    assert (frame_row[MARGIN : MARGIN + 128] != 255).any(axis=1).sum() > 100  # 160 x 800 as 128 x 640
    assert (frame_row[MARGIN + 128 : MARGIN + 320] == 255).all()


@pytest.mark.parametrize("box", [(-1, 0, 8, 8), (0, 0, 97, 8), (0, 0, 8, 65), (8, 0, 8, 8), (0, 9, 8, 8)])
def test_a_region_outside_the_picture_is_refused(picture: Picture, box: Box) -> None:
    with pytest.raises(ValueError, match="not inside 96 x 64"):
        strip(picture, box)


def test_the_same_picture_gives_the_same_bytes(picture: Picture) -> None:
    copy = Picture(picture.name, picture.quality, tuple((label, v.copy()) for label, v in picture.versions))
    assert strip(picture) == strip(copy)


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
    assert busiest_rectangle(plane, 40, 16) == expected


def test_a_region_larger_than_the_picture_is_cut_to_it() -> None:
    assert busiest_rectangle(plain(40, 64), 384, 160) == (0, 0, 64, 40)
    assert busiest_rectangle(plain(5, 64), 384, 160) == (0, 0, 64, 5)


def drawn(text: str) -> bytes:
    sheet = Image.new("RGB", (40, 40), "white")
    write(sheet, (4, 30), text)
    return sheet.tobytes()


def test_letters_beyond_ascii_are_drawn() -> None:
    """What a font lacks is the same box each time; what none has is written as its number."""
    assert len({drawn(letter) for letter in "üïéßøñжλ"}) == 8
    assert cut("ünï", 300, 15) == "ünï"
    assert cut("a漢字.jpg", 300, 15) == "a\\u6f22\\u5b57.jpg"
    assert width("ü") != width("ж")


def test_a_cut_name_keeps_its_end() -> None:
    assert cut("short.png", 300, 15) == "short.png"
    text = cut("a/very/long/folder/of/photographs/cat.png#12", 150, 15)
    assert text.startswith("…")
    assert text.endswith("/cat.png#12")
    assert width(text, 15) <= 150
    assert cut("two\nlines", 300, 15) == "two lines"
