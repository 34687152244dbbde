import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ced.report.canvas import Canvas
from ced.report.pictures import ACCENT, INK

SVG = "{http://www.w3.org/2000/svg}"
SIZE = (120, 80)


def drawn(canvas: Canvas) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(canvas.png(SIZE))))


def elements(canvas: Canvas, name: str, title: str = "t") -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(canvas.svg(SIZE, title)).iter(f"{SVG}{name}"))


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3)])
def test_every_pixel_is_a_square_of_its_very_value(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    canvas = Canvas()
    canvas.photo(pixels, (10, 20), 3)
    colours = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    sheet = drawn(canvas)
    assert np.array_equal(sheet[20:41, 10:25], colours.repeat(3, 0).repeat(3, 1))
    assert (sheet[:20] == 255).all() and (sheet[41:] == 255).all() and (sheet[:, 25:] == 255).all()


def test_svg_places_the_same_pixels_at_the_same_place() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 5), dtype=np.uint8)
    canvas = Canvas()
    canvas.photo(pixels, (10, 20), 3)
    (image,) = elements(canvas, "image")
    assert [image.get(name) for name in ("x", "y", "width", "height")] == ["10", "20", "15", "21"]
    assert "pixelated" in (image.get("style") or "")
    data = (image.get("href") or "").removeprefix("data:image/png;base64,")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), pixels)


def test_words_stay_words_in_svg_and_are_inked_in_png() -> None:
    canvas = Canvas()
    canvas.words('a <b> & "c"', (8, 40), size=20)
    (text,) = elements(canvas, "text")
    assert text.text == 'a <b> & "c"'
    assert (text.get("x"), text.get("y"), text.get("font-size")) == ("8", "40", "20")
    assert text.get("fill") == "#{:02x}{:02x}{:02x}".format(*INK)
    rows, columns = np.nonzero((drawn(canvas) < 128).all(axis=2))
    assert 8 <= columns.min() < 14
    assert rows.min() >= 20 and rows.max() <= 46


def test_a_frame_lies_outside_of_its_box() -> None:
    canvas = Canvas()
    canvas.photo(np.zeros((60, 100), np.uint8), (10, 10))
    canvas.frame((30, 20, 50, 40))
    sheet = drawn(canvas)
    assert (sheet[20:40, 30:50] == 0).all()
    rows, columns = np.nonzero((sheet == ACCENT).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (18, 41, 28, 51)
    accent = "#{:02x}{:02x}{:02x}".format(*ACCENT)
    (frame,) = [rect for rect in elements(canvas, "rect") if rect.get("stroke") == accent]
    # A line of two pixels around the middle at one pixel outside: the same pixels.
    assert [frame.get(n) for n in ("x", "y", "width", "height", "stroke-width")] == ["29", "19", "22", "22", "2"]


def test_a_file_says_what_it_is_and_needs_nothing_else() -> None:
    canvas = Canvas()
    canvas.photo(np.zeros((2, 2), np.uint8), (0, 0))
    svg = canvas.svg(SIZE, "two < three")
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("120", "80", "0 0 120 80")
    assert [title.text for title in elements(canvas, "title", "two < three")] == ["two < three"]
    assert not re.findall(r'(?:href|src)="(?!data:)', svg)


def test_what_comes_later_lies_on_top() -> None:
    canvas = Canvas()
    for value in (10, 200):
        canvas.photo(np.full((4, 4), value, np.uint8), (0, 0))
    assert (drawn(canvas)[:4, :4] == 200).all()
    assert canvas.png(SIZE) == canvas.png(SIZE)
