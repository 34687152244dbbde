"""Pictures as PNG: single versions, and the strip that shows all versions with the same region enlarged."""

import functools
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ced.report.groups import display_name
from ced.report.model import Picture

Ink = tuple[int, int, int]  # red, green, blue
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels; right and bottom exclusive

BLOCK = 8  # pixels: a JPEG block
_COLUMN = 320  # pixels: a version's width in the strip, more or less
_DETAIL = 80  # pixels of the original that the enlarged region spans
_MARGIN, _GAP, _LABEL = 20, 12, 36  # pixels
PAPER, INK = (255, 255, 255), (28, 27, 25)
ACCENT = (214, 73, 28)


def png(pixels: np.ndarray) -> bytes:
    """uint8 H x W or H x W x 3 as a PNG: nothing is compressed again, what is seen are the very values."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def busiest(pixels: np.ndarray, side: int) -> Box:
    """The square of about `side` pixels with the most detail, on the grid of 8 x 8 blocks; the first of equals.

    The measure is the mean, over the blocks of the square, of the standard deviation inside a block: local
    variance at the scale at which JPEG loses it. One strong edge counts for little against texture.
    """
    least = min(pixels.shape[:2])
    side = min(side, least // BLOCK * BLOCK or least)
    return busiest_rectangle(pixels, side, side)


def busiest_rectangle(pixels: np.ndarray, width: int, height: int) -> Box:
    """The same for a region of about `width` x `height` pixels, cut to the picture where it is larger."""
    rows, columns = (side // BLOCK for side in pixels.shape[:2])
    down, across = min(max(height // BLOCK, 1), rows), min(max(width // BLOCK, 1), columns)
    if not (down and across):  # not one whole block
        return 0, 0, min(width, pixels.shape[1]), min(height, pixels.shape[0])
    luminance = pixels.reshape(*pixels.shape[:2], -1).mean(axis=2)
    blocks = luminance[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = blocks.std(axis=(1, 3)).round(3).cumsum(axis=0).cumsum(axis=1)
    inside = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
    row, column = np.unravel_index(int(inside.round(3).argmax()), inside.shape)
    left, top = int(column) * BLOCK, int(row) * BLOCK
    return left, top, left + across * BLOCK, top + down * BLOCK


def detail_side(picture: Picture, most: int = _DETAIL) -> int:
    """How many pixels an enlarged region should span: `most`, or half the picture's shorter side, in whole blocks."""
    half = min(picture.height, picture.width) // 2
    return max(BLOCK, min(most, half) // BLOCK * BLOCK)


def strip(picture: Picture, zoom_box: Box | None = None) -> bytes:
    """A PNG: the versions side by side under their names, and below each the same region, enlarged.

    `zoom_box` is the region (left, top, right, bottom) in pixels; None takes the one with the most detail.
    Every pixel of the region becomes a square of equal size. Raises ValueError for a region outside the picture.
    """
    box = zoom_box or busiest(picture.original, detail_side(picture))
    left, top, right, bottom = box
    if not (0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height):
        raise ValueError(f"picture {picture.name!r}: region {box} is not inside {picture.width} x {picture.height}")
    factor = max(1, round(_COLUMN / (right - left)))
    column = factor * (right - left)
    scale = min(column / picture.width, 2 * column / picture.height)  # a tower stays within two squares
    whole = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    detail = (column, factor * (bottom - top))
    step = column + _GAP
    size = (2 * _MARGIN + step * len(picture.versions) - _GAP, 2 * _MARGIN + _LABEL + whole[1] + _GAP + detail[1])
    sheet = Image.new("RGB", size, PAPER)
    for number, (label, pixels) in enumerate(picture.versions):
        x = _MARGIN + number * step
        write(sheet, (x, _MARGIN + _LABEL - 14), _name(label, picture.quality))
        image = Image.fromarray(pixels).convert("RGB")
        sheet.paste(_with_frame(image, whole, box), (x, _MARGIN + _LABEL))
        crop = image.crop(box).resize(detail, Image.Resampling.NEAREST)
        sheet.paste(crop, (x, _MARGIN + _LABEL + whole[1] + _GAP))
    stream = io.BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def write(
    sheet: Image.Image, at: tuple[int, int], text: str, size: int = 20, ink: Ink = INK, anchor: str = "ls"
) -> None:
    """One line of text in the report's letters: its baseline begins at `at`, or ends there with anchor "rs"."""
    ImageDraw.Draw(sheet).text(at, text, fill=ink, font=_font(size, _plain(text)), anchor=anchor)


def width(text: str, size: int = 20) -> int:
    """How many pixels wide `write` draws a line of text."""
    return round(_font(size, _plain(text)).getlength(text))


def cut(text: str, room: int, size: int) -> str:
    """The text on one line, its beginning cut off where it is wider than `room` pixels. Letters that no font here has
    are written as their numbers."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    if not _plain(flat):
        known = _letters()
        flat = "".join(letter if ord(letter) in known else f"\\u{ord(letter):04x}" for letter in flat)
    if width(flat, size) <= room:
        return flat
    while flat and width(f"…{flat}", size) > room:
        flat = flat[1:]
    return f"…{flat}"


@functools.cache
def _font(size: int, plain: bool = True) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own letters, or matplotlib's, which are more."""
    return ImageFont.load_default(size) if plain else ImageFont.truetype(_dejavu(), size)


def _plain(text: str) -> bool:
    """Whether Pillow's own letters are enough: ASCII, and the dots of what was cut off."""
    return text.replace("…", "").isascii()


def _dejavu() -> str:
    import matplotlib

    return f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"


@functools.cache
def _letters() -> frozenset[int]:
    """The code points that DejaVu Sans draws."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_dejavu()).get_charmap())


def _name(label: str, quality: int) -> str:
    return f"{display_name(label)}, QF {quality}" if label == "jpeg" else display_name(label)


def _with_frame(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    # The whole picture, resized smoothly, with the enlarged region framed.
    resized = image.resize(size, Image.Resampling.LANCZOS)
    scale = size[0] / image.width
    left, top, right, bottom = (round(edge * scale) for edge in box)
    draw = ImageDraw.Draw(resized)
    draw.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=PAPER, width=1)
    draw.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline=ACCENT, width=2)
    return resized
