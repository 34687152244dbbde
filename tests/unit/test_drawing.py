"""Labelled images in rows and columns: the same pixels at the same place in PNG and in SVG."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ced.drawing import ACCENT, INK, Layout, captioned, data_url, fitted, grid, image, padded, text, text_width

SVG = "{http://www.w3.org/2000/svg}"


def decoded(drawing: Layout) -> np.ndarray:
    with Image.open(io.BytesIO(drawing.png())) as found:
        assert (found.format, found.size) == ("PNG", (drawing.width, drawing.height))
        return np.asarray(found)


def elements(drawing: Layout, name: str, title: str = "t") -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(drawing.svg(title)).iter(f"{SVG}{name}"))


def plain(height: int, width: int, value: int = 100) -> Layout:
    return image(np.full((height, width), value, np.uint8))


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3)])
def test_every_pixel_is_a_square_of_its_very_value(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sheet = decoded(padded(image(pixels, 3), 10))
    assert sheet.shape == (41, 35, *shape[2:])
    assert np.array_equal(sheet[10:31, 10:25], pixels.repeat(3, 0).repeat(3, 1))
    assert (sheet[:10] == 255).all() and (sheet[31:] == 255).all() and (sheet[:, 25:] == 255).all()


def test_gray_beside_colour_and_text_is_colour() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    sheet = decoded(grid([[plain(7, 4), image(colours)]]))
    assert (sheet[:, :4] == 100).all() and np.array_equal(sheet[:, 4:], colours)
    assert decoded(captioned(plain(7, 4), "x")).shape[2:] == (3,)


def test_svg_places_the_same_pixels_at_the_same_place() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 5), dtype=np.uint8)
    (found,) = elements(padded(image(pixels, 3), 10), "image")
    assert [found.get(name) for name in ("x", "y", "width", "height")] == ["10", "10", "15", "21"]
    assert "pixelated" in (found.get("style") or "")
    data = (found.get("href") or "").removeprefix("data:image/png;base64,")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), pixels)


def test_text_stays_text_in_svg_and_is_inked_in_png() -> None:
    drawing = padded(text('a <b> & "c"', size=20), 8)
    (found,) = elements(drawing, "text")
    assert found.text == 'a <b> & "c"'
    assert (found.get("x"), found.get("y"), found.get("font-size")) == ("8", "31", "20")
    assert found.get("fill") == "#{:02x}{:02x}{:02x}".format(*INK)
    rows, columns = np.nonzero((decoded(drawing) < 128).all(axis=2))
    assert 8 <= columns.min() < 14 and columns.max() < drawing.width - 8
    assert rows.min() >= 11 and rows.max() <= 37


def test_a_frame_lies_outside_of_its_box() -> None:
    drawing = padded(image(np.zeros((60, 100), np.uint8), frame=(20, 10, 40, 30)), 10)
    sheet = decoded(drawing)
    assert (sheet[20:40, 30:50] == 0).all()
    rows, columns = np.nonzero((sheet == ACCENT).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (18, 41, 28, 51)
    accent = "#{:02x}{:02x}{:02x}".format(*ACCENT)
    (frame,) = [rect for rect in elements(drawing, "rect") if rect.get("stroke") == accent]
    # A line of two pixels around the middle at one pixel outside: the same pixels.
    assert [frame.get(n) for n in ("x", "y", "width", "height", "stroke-width")] == ["29", "19", "22", "22", "2"]


def test_a_file_says_what_it_is_and_needs_nothing_else() -> None:
    drawing = plain(80, 120)
    svg = drawing.svg("two < three")
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("120", "80", "0 0 120 80")
    assert [title.text for title in elements(drawing, "title", "two < three")] == ["two < three"]
    assert not re.findall(r'(?:href|src)="(?!data:)', svg)


def test_columns_are_as_wide_as_their_widest_and_rows_as_high_as_their_highest() -> None:
    drawing = grid([[plain(4, 6, 10), plain(5, 3, 20)], [plain(2, 8, 30)], [plain(1, 1, 40), plain(1, 9, 50)]], 2, 7)
    sheet = decoded(drawing)
    assert sheet.shape == (5 + 7 + 2 + 7 + 1, 8 + 2 + 9)
    for value, y, x, height, width in ((10, 0, 0, 4, 6), (20, 0, 10, 5, 3), (30, 12, 0, 2, 8), (50, 21, 10, 1, 9)):
        rows, columns = np.nonzero(sheet == value)
        assert (rows.min(), columns.min(), rows.max(), columns.max()) == (y, x, y + height - 1, x + width - 1)
    assert np.array_equal(decoded(padded(drawing, 3))[3:-3, 3:-3], sheet)


def test_a_caption_is_cut_to_its_drawing_and_a_note_ends_with_it() -> None:
    drawing = captioned(plain(9, 200), "a/long/folder/" * 5 + "cat.png", 15, "QF 10")
    caption, note = [found.text or "" for found in elements(drawing, "text")]
    assert caption.startswith("…") and caption.endswith("cat.png") and note == "QF 10"
    assert text_width(caption, 15) + text_width(note, 13) <= 200 - 16
    assert len({found.get("y") for found in elements(drawing, "text")}) == 1
    (x,) = [float(found.get("x") or "nan") for found in elements(drawing, "text")][1:]
    assert x + text_width(note, 13) == 200 == drawing.width
    wide = captioned(plain(9, 20), "a longer caption", narrowest=300)
    assert wide.width == 300 and elements(wide, "text")[0].text == "a longer caption"


def test_the_same_drawing_gives_the_same_bytes() -> None:
    once, again = (captioned(plain(4, 4), "x") for _ in range(2))
    assert (once.png(), once.svg("t")) == (again.png(), again.svg("t"))


def test_a_data_url_holds_the_bytes() -> None:
    assert data_url(b"png") == "data:image/png;base64,cG5n"


def test_letters_beyond_ascii_are_drawn() -> None:
    """What a font lacks is the same box each time; what none has is written as its number."""
    drawn = {letter: decoded(text(letter, 20)) for letter in "üïéßøñжλ"}
    inked = {letter: tuple(map(tuple, np.argwhere(pixels[..., 0] < 128))) for letter, pixels in drawn.items()}
    assert len(set(inked.values())) == 8
    assert fitted("ünï", 300, 15) == "ünï"
    assert fitted("a漢字.jpg", 300, 15) == "a\\u6f22\\u5b57.jpg"
    assert text_width("ü", 20) != text_width("ж", 20)


def test_a_cut_name_keeps_its_end() -> None:
    assert fitted("short.png", 300, 15) == "short.png"
    name = fitted("a/very/long/folder/of/photographs/cat.png#12", 150, 15)
    assert name.startswith("…")
    assert name.endswith("/cat.png#12")
    assert text_width(name, 15) <= 150
    assert fitted("two\nlines", 300, 15) == "two lines"
