"""Labelled images in rows and columns, as PNG and as SVG: one layout, the same pixels in both.

    image(pixels, scale)     an image, each pixel a square
    text(words)              one line, as wide as its letters really are
    captioned(layout, ...)   a caption above it
    grid(rows)               layouts in rows and columns
    padded(layout, margin)   white on all sides

Each returns a `Layout`, and the last three take them, so that grids stand in grids. The same layout gives the same
bytes. Only Pillow is needed, and matplotlib's letters for text beyond ASCII.
"""

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ced.core.images import png

Ink = tuple[int, int, int]  # red, green, blue
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels; right and bottom exclusive

PAPER, INK, MUTED = (255, 255, 255), (28, 27, 25), (118, 116, 112)
ACCENT = (214, 73, 28)  # frames
_LINE, _BASELINE = 1.7, 1.13  # of a line of text: its height, and how far below its top letters stand, in sizes
_LETTERS = "Aileron, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"


@dataclass(frozen=True, eq=False)
class _Pixels:
    pixels: np.ndarray  # uint8 H x W or H x W x 3
    scale: int


@dataclass(frozen=True)
class _Words:
    text: str
    size: int
    ink: Ink


@dataclass(frozen=True)
class _Frame:
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Layout:
    """Images, lines of text and frames, laid out on white paper of `width` x `height` pixels."""

    width: int
    height: int
    parts: tuple[tuple[int, int, _Pixels | _Words | _Frame], ...] = ()  # x, y, what is there; later ones on top

    def png(self) -> bytes:
        """RGB; gray where there are gray images alone."""
        gray = all(isinstance(part, _Pixels) and part.pixels.ndim == 2 for _, _, part in self.parts)
        paper = Image.new("L" if gray else "RGB", (self.width, self.height), "white")
        draw = ImageDraw.Draw(paper)
        for x, y, part in self.parts:
            if isinstance(part, _Pixels):
                enlarged = part.pixels.repeat(part.scale, 0).repeat(part.scale, 1)
                paper.paste(Image.fromarray(enlarged).convert(paper.mode), (x, y))
            elif isinstance(part, _Words):
                draw.text((x, y), part.text, fill=part.ink, font=_font(part.size, part.text), anchor="ls")
            else:
                right, bottom = x + part.width, y + part.height
                draw.rectangle((x - 3, y - 3, right + 2, bottom + 2), outline=PAPER)
                draw.rectangle((x - 2, y - 2, right + 1, bottom + 1), outline=ACCENT, width=2)
        return png(paper, compress_level=9)

    def svg(self, title: str) -> str:
        """A file of its own: text stays text, images are embedded as PNG."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" font-family="{_LETTERS}">'
        )
        paper = f'<rect width="100%" height="100%" fill="{_hex(PAPER)}"/>'
        return "\n".join(
            [head, f"<title>{escape(title)}</title>", paper, *(_element(*part) for part in self.parts), "</svg>\n"]
        )


def image(pixels: np.ndarray, scale: int = 1, frame: Box | None = None) -> Layout:
    """An image, each pixel a square of `scale`; `frame`, in pixels of the layout, has a line around it, outside.

    Shape: (H, W) or (H, W, 3) uint8.
    """
    height, width = (side * scale for side in pixels.shape[:2])
    drawn = Layout(width, height, ((0, 0, _Pixels(pixels, scale)),))
    if frame is None:
        return drawn
    left, top, right, bottom = frame
    return Layout(width, height, (*drawn.parts, (left, top, _Frame(right - left, bottom - top))))


def text(words: str, size: int = 18, ink: Ink = INK) -> Layout:
    """One line of text."""
    return Layout(
        text_width(words, size), round(_LINE * size), ((0, round(_BASELINE * size), _Words(words, size, ink)),)
    )


def captioned(layout: Layout, caption: str, size: int = 18, note: str = "", narrowest: int = 0) -> Layout:
    """A layout under its caption, with a small `note` at the right.

    A caption that is wider than the layout, or than `narrowest`, is cut.
    """
    width = max(layout.width, narrowest)
    beside = text(note, size - 2, MUTED)
    line = text(fitted(caption, width - (beside.width + 16 if note else 0), size), size)
    parts = [*line.parts]
    if note:
        parts += [(width - beside.width, line.parts[0][1], beside.parts[0][2])]  # on the same baseline
    parts += _moved(layout, 0, line.height)
    return Layout(width, line.height + layout.height, tuple(parts))


def grid(rows: Sequence[Sequence[Layout]], gap: int = 0, row_gap: int = 0) -> Layout:
    """Layouts in rows and columns, each column as wide as its widest; a row may have fewer columns."""
    columns = max(len(row) for row in rows)
    widths = [max(row[column].width for row in rows if column < len(row)) for column in range(columns)]
    parts, y = [], 0
    for row in rows:
        for column, layout in enumerate(row):
            parts += _moved(layout, sum(widths[:column]) + column * gap, y)
        y += max(layout.height for layout in row) + row_gap
    return Layout(sum(widths) + (columns - 1) * gap, y - row_gap, tuple(parts))


def padded(layout: Layout, margin: int) -> Layout:
    """A layout with white on all sides."""
    parts = tuple(_moved(layout, margin, margin))
    return Layout(layout.width + 2 * margin, layout.height + 2 * margin, parts)


def text_width(words: str, size: int) -> int:
    """How many pixels wide a line of text is drawn."""
    return round(_font(size, words).getlength(words))


def fitted(words: str, room: int, size: int) -> str:
    """The text on one line, its beginning cut off where it is wider than `room` pixels. Letters that no font here has
    are written as their numbers."""
    flat = "".join(letter if letter.isprintable() else " " for letter in words)
    if not _is_plain(flat):
        known = _dejavu_letters()
        flat = "".join(letter if ord(letter) in known else f"\\u{ord(letter):04x}" for letter in flat)
    if text_width(flat, size) <= room:
        return flat
    while flat and text_width(f"…{flat}", size) > room:
        flat = flat[1:]
    return f"…{flat}"


def data_url(data: bytes) -> str:
    """The address of a PNG that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"


def _moved(layout: Layout, x: int, y: int) -> list[tuple[int, int, _Pixels | _Words | _Frame]]:
    return [(left + x, top + y, part) for left, top, part in layout.parts]


def _element(x: int, y: int, part: _Pixels | _Words | _Frame) -> str:
    if isinstance(part, _Words):
        return f'<text x="{x}" y="{y}" font-size="{part.size}" fill="{_hex(part.ink)}">{escape(part.text)}</text>'
    if isinstance(part, _Pixels):
        height, width = (side * part.scale for side in part.pixels.shape[:2])
        box, href = f'x="{x}" y="{y}" width="{width}" height="{height}"', data_url(png(part.pixels))
        return f'<image {box} style="image-rendering:pixelated" href="{href}"/>'
    lines = ((2.5, 1, PAPER), (1, 2, ACCENT))  # how far outside, how wide: what `png` draws
    return "".join(
        f'<rect x="{x - out}" y="{y - out}" width="{part.width + 2 * out}" height="{part.height + 2 * out}" '
        f'fill="none" stroke="{_hex(ink)}" stroke-width="{wide}"/>'
        for out, wide, ink in lines
    )


def _hex(ink: Ink) -> str:
    return "#{:02x}{:02x}{:02x}".format(*ink)


def _font(size: int, words: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return font(size, _is_plain(words))


@functools.cache
def font(size: int, plain: bool = True) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own letters, or matplotlib's, which are more."""
    return ImageFont.load_default(size) if plain else ImageFont.truetype(_dejavu(), size)


def _is_plain(words: str) -> bool:
    """Whether Pillow's own letters are enough: ASCII, and the dots of what was cut off."""
    return words.replace("…", "").isascii()


def _dejavu() -> str:
    import matplotlib

    return f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"


@functools.cache
def _dejavu_letters() -> frozenset[int]:
    """The code points that DejaVu Sans draws."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_dejavu()).get_charmap())
