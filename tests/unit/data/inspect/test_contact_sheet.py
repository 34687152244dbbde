"""The contact sheet: every class at its pixel, every pixel a square, names that fit."""

import io

import numpy as np
import pytest
from PIL import Image

from ced import drawing
from ced.data.inspect import contact_sheet
from ced.data.inspect.contact_sheet import GAP, LINE, MARGIN, PANEL_GAP, SCALE, Tile

NOISE = np.random.default_rng(0)
HEAD = (
    drawing.text("title", 22).height + 14 + 14
)  # pixels: the title, and what is between it, the legend and the examples
LEGEND = drawing.text("class 0", 13).height
CAPTION = drawing.text("name", 15).height
NAMES = drawing.text("original", 13).height  # above the panels


def decoded(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def tile(side: int = 96, colour: bool = False, labelled: bool = True, name: str = "set/cat.png#0") -> Tile:
    shape = (side, side, 3) if colour else (side, side)
    original, degraded = (NOISE.integers(0, 256, shape, np.uint8) for _ in range(2))
    labels = NOISE.integers(0, 7, (16, side // 4, side // 4), np.uint8) if labelled else None
    return Tile(name, 10, True, original, degraded, labels)


def panel(sheet: np.ndarray, left: int, top: int, height: int, width: int) -> np.ndarray:
    return sheet[top : top + height, left : left + width]


def shrunk(pixels: np.ndarray) -> np.ndarray:
    """The pixels of an enlarged picture, after a look whether each is a square of one colour."""
    small = pixels[::SCALE, ::SCALE]
    assert np.array_equal(small.repeat(SCALE, 0).repeat(SCALE, 1), pixels)
    return small


def test_the_class_of_coefficient_u_v_of_patch_i_j_lies_at_4i_u_4j_v() -> None:
    labels = NOISE.integers(0, 255, (16, 3, 5), np.uint8)
    drawn = contact_sheet.label_map(labels)
    assert drawn.shape == (12, 20)
    for u, v, i, j in np.ndindex(4, 4, 3, 5):
        assert drawn[4 * i + u, 4 * j + v] == labels[4 * u + v, i, j]


def test_the_mosaic_has_channel_u_v_in_row_u_column_v() -> None:
    labels, colours = NOISE.integers(0, 7, (16, 3, 5), np.uint8), contact_sheet.palette(7)
    drawn = decoded(contact_sheet.mosaic(labels, colours).png())
    high, wide = 3 * SCALE, 5 * SCALE
    assert drawn.shape == (4 * high + 3 * LINE, 4 * wide + 3 * LINE, 3)
    for u, v in np.ndindex(4, 4):
        one = panel(drawn, v * (wide + LINE), u * (high + LINE), high, wide)
        assert np.array_equal(shrunk(one), colours[labels[4 * u + v]])
    lines = np.ones(drawn.shape[:2], bool)
    for u, v in np.ndindex(4, 4):
        lines[u * (high + LINE) :, v * (wide + LINE) :][:high, :wide] = False
    assert (drawn[lines] == 255).all()


@pytest.mark.parametrize("classes", [2, 5, 7, 255])
def test_the_palette_rises_from_dark_to_light(classes: int) -> None:
    colours = contact_sheet.palette(classes)
    assert (colours.shape, colours.dtype) == ((classes, 3), np.uint8)
    assert (colours[0].tolist(), colours[-1].tolist()) == ([68, 1, 84], [253, 231, 37])  # viridis
    light = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > 0).mean() > 0.95
    assert len(np.unique(colours, axis=0)) >= 0.99 * classes


@pytest.mark.parametrize("colour", [False, True])
def test_all_four_panels_show_the_very_pixels(colour: bool) -> None:
    one = tile(colour=colour)
    assert one.labels is not None
    sheet = decoded(contact_sheet.sheet("title", [one], 7))
    top, side = MARGIN + HEAD + LEGEND + CAPTION + NAMES, 96 * SCALE
    wanted = [p if colour else p[..., None].repeat(3, 2) for p in (one.original, one.degraded)]
    wanted.append(contact_sheet.palette(7)[contact_sheet.label_map(one.labels)])
    for number, pixels in enumerate(wanted):
        drawn = panel(sheet, MARGIN + number * (side + PANEL_GAP), top, side, side)
        assert np.array_equal(shrunk(drawn), pixels)
    mosaic = decoded(contact_sheet.mosaic(one.labels, contact_sheet.palette(7)).png())
    drawn = panel(sheet, MARGIN + 3 * (side + PANEL_GAP), top, *mosaic.shape[:2])
    assert np.array_equal(drawn, mosaic)
    assert sheet.shape[:2] == (top + len(mosaic) + MARGIN, 2 * MARGIN + 3 * (side + PANEL_GAP) + mosaic.shape[1])


def test_examples_stand_in_rows_and_without_labels_they_are_pairs() -> None:
    tiles = [tile(labelled=False) for _ in range(5)]
    sheet = decoded(contact_sheet.sheet("title", tiles, 7))
    side = 96 * SCALE
    cell = (2 * side + PANEL_GAP, CAPTION + NAMES + side)
    top = MARGIN + HEAD - 14  # there is no legend
    assert sheet.shape == (top + 2 * cell[1] + GAP + MARGIN, 2 * MARGIN + 4 * cell[0] + 3 * GAP, 3)
    for number, one in enumerate(tiles):
        x, y = MARGIN + number % 4 * (cell[0] + GAP), top + number // 4 * (cell[1] + GAP)
        drawn = panel(sheet, x, y + CAPTION + NAMES, side, side)
        assert np.array_equal(shrunk(drawn)[..., 0], one.original)
    last = (slice(top + cell[1] + GAP, None), slice(MARGIN + cell[0] + GAP, None))
    assert (sheet[last] == 255).all()


def test_the_legend_has_every_colour_and_only_where_there_are_labels() -> None:
    head = decoded(contact_sheet.sheet("title", [tile()], 7))[: MARGIN + HEAD + LEGEND]
    bare = decoded(contact_sheet.sheet("title", [tile(labelled=False)], 7))[: MARGIN + HEAD]
    for colour in contact_sheet.palette(7):
        assert (head == colour).all(axis=2).sum() == 14 * 14
        assert not (bare == colour).all(axis=2).any()


def test_captions_tell_name_quality_and_flip() -> None:
    one = tile()
    first = decoded(contact_sheet.sheet("title", [one], 7))
    for field, value, left in (("name", "set/cup.png", True), ("quality", 20, False), ("flip", False, False)):
        other = decoded(contact_sheet.sheet("title", [Tile(**{**vars(one), field: value})], 7))
        rows, columns = np.nonzero((other != first).any(axis=2))
        top = MARGIN + HEAD + LEGEND
        assert top <= rows.min() <= rows.max() < top + CAPTION
        assert (columns.max() < 250) if left else (columns.min() > 500)


@pytest.mark.parametrize("name", ["x" * 500, "ünï\ncode\t\x00.webp", "", "写真/猫.jpg"])
@pytest.mark.parametrize("side", [16, 96, 512])
def test_any_name_fits_beside_the_facts(name: str, side: int) -> None:
    sheet = decoded(contact_sheet.sheet("title", [tile(side, name=name)], 7))
    assert (sheet[:, -MARGIN:] == 255).all()
    assert (sheet[:, : MARGIN - 1] == 255).all()  # a letter's smoothed edge may begin a pixel early


def test_a_title_wider_than_the_examples_is_not_cut() -> None:
    sheet = decoded(contact_sheet.sheet("a title of many words " * 3, [tile(16, labelled=False)], 7))
    assert (sheet[:, -MARGIN:] == 255).all()
    assert (sheet[: MARGIN + 30, -MARGIN - 40 : -MARGIN] < 128).any()


def test_the_same_examples_give_the_same_bytes() -> None:
    one = tile()
    assert contact_sheet.sheet("t", [one], 7) == contact_sheet.sheet("t", [Tile(**vars(one))], 7)
