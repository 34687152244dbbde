"""What a photograph's file says beside its pixels: EXIF, XMP, a comment, its resolution."""

import re
import struct
from typing import Any, NamedTuple

from PIL import Image
from PIL.ExifTags import IFD, Base

MOST = 16_000_000  # bytes of each
EXIF_HEADER = b"Exif\0\0"
_ORIENTATION, _EXIF, _WIDTH, _HEIGHT, _THUMBNAIL, _LENGTH = 0x0112, 0x8769, 0xA002, 0xA003, 0x0201, 0x0202
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[2-8]")
# What a TIFF file says of the photograph; the rest is about how that file stores its pixels.
_PHOTOGRAPHIC = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.HostComputer),
    *(Base.Copyright, IFD.Exif, IFD.GPSInfo),
)


class Metadata(NamedTuple):
    """Of an upright image. EXIF starts with its TIFF header and has no thumbnail: that would show the old picture."""

    exif: bytes = b""
    xmp: bytes = b""
    comment: bytes = b""
    dpi: tuple[float, float] | None = None


NOTHING = Metadata()


def read(image: Image.Image) -> Metadata:
    """What an image says that is decoded and not yet turned upright: as it is when it was. What is broken, or larger
    than MOST, is left out."""
    exif = image.getexif()
    sideways = exif.get(_ORIENTATION) in _SIDEWAYS
    raw = image.info.get("exif")
    if not isinstance(raw, bytes):
        raw = (photographic(exif) if image.format == "TIFF" else exif).tobytes() if exif else b""
    comment = image.info.get("comment", image.info.get("Comment", b""))
    xmp = image.info.get("xmp", b"")
    xmp, comment = (each.encode() if isinstance(each, str) else each for each in (xmp, comment))
    xmp = _XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if isinstance(xmp, bytes) else b""
    dpi = _resolution(image.info.get("dpi"), sideways)
    return Metadata(_bounded(_upright(raw, sideways)), _bounded(xmp), _bounded(comment), dpi)


def photographic(exif: Image.Exif) -> Image.Exif:
    """What EXIF says of the photograph, without how a file stores it."""
    kept = Image.Exif()
    for tag in _PHOTOGRAPHIC:
        if tag in exif:
            kept[tag] = exif.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else exif[tag]
    return kept


def _bounded(value: object) -> bytes:
    return value if isinstance(value, bytes) and len(value) <= MOST else b""


def _resolution(dpi: Any, sideways: bool) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0 < across < 1e5 and 0 < down < 1e5):
        return None
    return (down, across) if sideways else (across, down)


def _upright(exif: bytes, sideways: bool) -> bytes:
    """EXIF after its orientation was applied. It is changed where it lies, since notes of a camera's maker name places
    in it."""
    data = bytearray(exif.removeprefix(EXIF_HEADER))
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None:
        return b""
    try:
        first = struct.unpack_from(order + "I", data, 4)[0]
        entries, after = _entries(data, first, order)
        if _ORIENTATION in entries:
            struct.pack_into(order + "H", data, entries[_ORIENTATION], 1)
        if sideways and _EXIF in entries:
            inside, _ = _entries(data, struct.unpack_from(order + "I", data, entries[_EXIF])[0], order)
            if _WIDTH in inside and _HEIGHT in inside:
                width, height = (slice(inside[tag] - 6, inside[tag] + 4) for tag in (_WIDTH, _HEIGHT))
                data[width], data[height] = data[height], data[width]
        if after + 4 <= len(data) and (second := struct.unpack_from(order + "I", data, after)[0]):
            struct.pack_into(order + "I", data, after, 0)
            _erase_thumbnail(data, second, order)
    except struct.error:
        return b""
    return bytes(data)


def _erase_thumbnail(data: bytearray, second: int, order: str) -> None:
    entries, _ = _entries(data, second, order)
    if _THUMBNAIL in entries and _LENGTH in entries:
        start, length = (struct.unpack_from(order + "I", data, entries[tag])[0] for tag in (_THUMBNAIL, _LENGTH))
        length = min(length, len(data) - start)
        if start >= 8 and length > 0:
            data[start : start + length] = bytes(length)


def _entries(data: bytearray, at: int, order: str) -> tuple[dict[int, int], int]:
    """Where the values of a directory's tags lie, and where the next directory's place is stated."""
    (count,) = struct.unpack_from(order + "H", data, at)
    entries = {struct.unpack_from(order + "H", data, at + 2 + 12 * n)[0]: at + 10 + 12 * n for n in range(count)}
    return entries, at + 2 + 12 * count
