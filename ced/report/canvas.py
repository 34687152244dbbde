"""A sheet of photographs, frames and words that can be had as PNG and as SVG: one layout, the very same pixels."""

import base64
import io
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image, ImageDraw

from ced.report.pictures import ACCENT, INK, PAPER, Box, Ink, png, write

Point = tuple[int, int]  # x, y in pixels

_LETTERS = "Aileron, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"


@dataclass(frozen=True)
class _Photo:
    pixels: np.ndarray
    at: Point
    factor: int

    @property
    def size(self) -> Point:
        return self.pixels.shape[1] * self.factor, self.pixels.shape[0] * self.factor


@dataclass(frozen=True)
class _Words:
    text: str
    at: Point
    size: int
    ink: Ink


class Canvas:
    """What is on the sheet, in the order in which it was put there."""

    def __init__(self) -> None:
        self._items: list[_Photo | _Words | Box] = []

    def photo(self, pixels: np.ndarray, at: Point, factor: int = 1) -> None:
        """Pixels, uint8 H x W or H x W x 3, each a square of `factor`, with the upper left corner at `at`."""
        self._items.append(_Photo(pixels, at, factor))

    def words(self, text: str, at: Point, size: int = 18, ink: Ink = INK) -> None:
        """One line of text; its baseline begins at `at`."""
        self._items.append(_Words(text, at, size, ink))

    def frame(self, box: Box) -> None:
        """A line around `box`, outside of it."""
        self._items.append(box)

    def png(self, size: Point) -> bytes:
        """The sheet, `size` pixels wide and high. The same items give the same bytes."""
        sheet = Image.new("RGB", size, PAPER)
        for item in self._items:
            if isinstance(item, _Photo):
                image = Image.fromarray(item.pixels).convert("RGB")
                sheet.paste(image.resize(item.size, Image.Resampling.NEAREST), item.at)
            elif isinstance(item, _Words):
                write(sheet, item.at, item.text, item.size, item.ink)
            else:
                _draw_frame(sheet, item)
        stream = io.BytesIO()
        sheet.save(stream, format="PNG", optimize=True)
        return stream.getvalue()

    def svg(self, size: Point, title: str) -> str:
        """The sheet as a file of its own: words stay words, photographs are embedded as PNG."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
            f'viewBox="0 0 {size[0]} {size[1]}" role="img" font-family="{_LETTERS}">'
        )
        paper = f'<rect width="100%" height="100%" fill="{_hex(PAPER)}"/>'
        return "\n".join([head, f"<title>{escape(title)}</title>", paper, *map(_element, self._items), "</svg>\n"])


def _draw_frame(sheet: Image.Image, box: Box) -> None:
    left, top, right, bottom = box
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=PAPER, width=1)
    draw.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline=ACCENT, width=2)


def _element(item: _Photo | _Words | Box) -> str:
    if isinstance(item, _Photo):
        data = base64.b64encode(png(item.pixels)).decode("ascii")
        place = f'x="{item.at[0]}" y="{item.at[1]}" width="{item.size[0]}" height="{item.size[1]}"'
        return f'<image {place} style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    if isinstance(item, _Words):
        place = f'x="{item.at[0]}" y="{item.at[1]}" font-size="{item.size}" fill="{_hex(item.ink)}"'
        return f"<text {place}>{escape(item.text)}</text>"
    left, top, right, bottom = item
    lines = ((2.5, 1, PAPER), (1, 2, ACCENT))  # how far outside, how wide: what `png` draws
    return "".join(
        f'<rect x="{left - out}" y="{top - out}" width="{right - left + 2 * out}" height="{bottom - top + 2 * out}" '
        f'fill="none" stroke="{_hex(ink)}" stroke-width="{wide}"/>'
        for out, wide, ink in lines
    )


def _hex(ink: Ink) -> str:
    return "#{:02x}{:02x}{:02x}".format(*ink)
