"""The degradation: baseline JPEG at a quality factor (section 4.1), alone or before a second save, and its decoding."""

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ced.config import PLAIN
from ced.core.images import Rejected, opened

NAMES = ("JPEG", "MPO")  # Pillow's, of a JPEG and of one that further pictures follow in its file

_FORMATS = ("JPEG",)
_LAST = 90  # quality factor of a second save
_SHIFT = 4  # pixels: the grid of the second save halves the blocks of the first
_SCALE = 0.75  # of each side


def degrade(image: np.ndarray, quality: int, damage: str = PLAIN) -> bytes:
    """The JPEG stream that is left of an original after one of `config.DAMAGES`: coded at a quality factor and, if not
    PLAIN, decoded, `moved`, and coded once more at 90. Shape: (H, W) or (H, W, 3) uint8."""
    stream = encode(image, quality)
    return stream if damage == PLAIN else encode(moved(decode(stream), damage), _LAST)


def moved(image: np.ndarray, damage: str) -> np.ndarray:
    """An image as it lies after the damage, which is what the original is compared in: 4 rows and columns less from
    the top left where it is "shifted", both sides times 0.75 (bicubic) where it is "resized", else as it is.
    Shape: (H, W) or (H, W, 3) uint8 -> (H', W') or (H', W', 3) uint8."""
    if damage == "shifted":
        return np.ascontiguousarray(image[_SHIFT:, _SHIFT:])
    if damage == "resized":
        size = (max(1, round(image.shape[1] * _SCALE)), max(1, round(image.shape[0] * _SCALE)))
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    return image


def encode(plane: np.ndarray, quality: int) -> bytes:
    """The JPEG stream of an image at IJG quality factor `quality` (1..100).

    Shape: (H, W) uint8 is coded as a one-channel image, (H, W, 3) uint8 as colour with 4:2:0 chroma.
    """
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def decode(stream: bytes) -> np.ndarray:
    """The image of a JPEG stream. Shape: (H, W) uint8 for one channel, else (H, W, 3) uint8 RGB."""
    with opened(stream, formats=_FORMATS) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def decode_own(stream: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """`decode` of what `encode` made of an image of `shape`: without looking for its size first."""
    mode = "L" if len(shape) == 2 else "RGB"
    return np.asarray(Image.frombytes(mode, (shape[1], shape[0]), stream, "jpeg", mode, ""))


def quality_of(stream: bytes) -> int | None:
    """The quality factor (1..100) whose luminance table is nearest to the one that the stream's first component names;
    None for what is no JPEG.

    Exact for the tables of the IJG's library, whatever program used it; others are compared on a logarithmic scale.
    """
    try:
        with opened(stream, formats=_FORMATS) as image:
            return quality_of_opened(image)
    except Rejected:
        return None


def chroma_quality_of_opened(image: Image.Image) -> int | None:
    """The lowest quality factor (1..100) that the tables of the other components of a JPEG are nearest to: those of the
    IJG's chroma, but a component that names luma's table has luma's quality. None for gray, and for no JPEG."""
    layers, luma = getattr(image, "layer", None) or [], quality_of_opened(image)
    tables = getattr(image, "quantization", {})
    apart = {layer[3] for layer in layers[1:]} - {layers[0][3]} if layers else set()
    found = [_nearest(tables.get(number), 1) for number in apart]
    found += [luma] * any(layer[3] == layers[0][3] for layer in layers[1:])
    return min((quality for quality in found if quality is not None), default=None)


def tables_of(stream: bytes) -> tuple[np.ndarray, ...]:
    """The quantization table that each component names, in rows; none for what is no JPEG. Shape of each: (64,)."""
    try:
        with opened(stream, formats=_FORMATS) as image:
            tables, layers = getattr(image, "quantization", {}), getattr(image, "layer", [])
            return tuple(np.array(tables[layer[3]]) for layer in layers if len(tables.get(layer[3], ())) == 64)
    except Rejected:
        return ()


def quality_of_opened(image: Image.Image) -> int | None:
    """`quality_of` an image that is opened. In RGB and CMYK without luma, that of the first component."""
    layers = getattr(image, "layer", None)  # of each component its number, two factors of sampling, and its table's
    return _nearest(getattr(image, "quantization", {}).get(layers[0][3]), 0) if layers else None


def luminance_tables() -> np.ndarray:
    """The table for luminance of each quality factor 1 to 100, in rows. Shape: (100, 64)."""
    tables: np.ndarray = _tables()[0]
    return tables


def _nearest(table: Sequence[int] | None, component: int) -> int | None:
    """The quality factor whose table for luma (0) or chroma (1) is nearest."""
    if table is None or len(table) != 64:
        return None
    apart = np.abs(np.log(_tables()[component]) - np.log(np.maximum(table, 1))).mean(axis=1)
    return int(apart.argmin()) + 1


@functools.cache
def _tables() -> np.ndarray:
    """The tables for luma and chroma of each quality factor, as Pillow reads them back. Shape: (2, 100, 64)."""
    blank = np.zeros((8, 8, 3), np.uint8)
    tables = []
    for quality in range(1, 101):
        with opened(encode(blank, quality), formats=_FORMATS) as image:
            tables.append([image.quantization[0], image.quantization[1]])  # type: ignore[attr-defined]
    return np.array(tables, np.float64).swapaxes(0, 1)
