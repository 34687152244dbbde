"""What a file says beside its pixels, of an image that is turned upright."""

import io
import struct

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from ced.core import metadata
from ced.core.metadata import Metadata, read

XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:title="a"/></x:xmpmeta>'


def exif(orientation: int = 6, order: str = "<") -> bytes:
    """A camera's: a maker's note, sizes in pixels, GPS, a thumbnail."""
    made = Image.Exif()
    made.endian = order
    made._info = None
    made[Base.Make], made[Base.DateTime] = "camera", "2001:02:03 04:05:06"
    if orientation:
        made[Base.Orientation] = orientation
    made[IFD.Exif] = {Base.ExifImageWidth: 30, Base.ExifImageHeight: 20, Base.MakerNote: b"note" * 9}
    made[IFD.GPSInfo] = {1: "N", 2: (47.0, 8.0, 0.0)}
    return made.tobytes()


def with_thumbnail(block: bytes, picture: bytes) -> bytes:
    """A second directory, of a thumbnail, after the first."""
    data = bytearray(block.removeprefix(metadata.EXIF_HEADER))
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    place = len(data)
    struct.pack_into(order + "I", data, first + 2 + 12 * count, place)
    start = place + 2 + 24 + 4
    data += struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, start, 0x0202, 4, 1, len(picture), 0) + picture
    return metadata.EXIF_HEADER + bytes(data)


def of(format: str = "JPEG", **options: object) -> Metadata:
    stream = io.BytesIO()
    Image.new("RGB", (30, 20)).save(stream, format, **options)
    with Image.open(stream) as image:
        image.load()
        return read(image)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_the_orientation_is_reset_and_all_else_stays(format: str) -> None:
    found = of(format, exif=exif())
    kept = Image.Exif()
    kept.load(found.exif)
    assert kept[Base.Orientation] == 1 and kept[Base.DateTime] == "2001:02:03 04:05:06"
    inside = kept.get_ifd(IFD.Exif)
    assert (inside[Base.ExifImageWidth], inside[Base.ExifImageHeight]) == (20, 30), "as it is turned"
    assert inside[Base.MakerNote] == b"note" * 9 and kept.get_ifd(IFD.GPSInfo)[1] == "N"


def test_exif_is_changed_where_it_lies() -> None:
    """Notes of makers name places in it."""
    upright = exif(1)
    assert of(exif=upright).exif == upright.removeprefix(metadata.EXIF_HEADER)
    turned = exif(6)
    assert len(of(exif=turned).exif) == len(turned) - len(metadata.EXIF_HEADER)


def test_the_old_picture_s_thumbnail_is_gone() -> None:
    found = of(exif=with_thumbnail(exif(), b"a small old picture" * 10)).exif
    assert b"small old picture" not in found
    kept = Image.Exif()
    kept.load(found)
    assert kept[Base.Make] == "camera" and not kept.get_ifd(IFD.IFD1)


def test_xmp_comment_and_resolution() -> None:
    found = of(exif=exif(), xmp=XMP, comment=b"of mine", dpi=(300, 150))
    assert found.xmp == XMP.replace(b'"6"', b'"1"') and found.comment == b"of mine"
    assert found.dpi == (150, 300), "it lay on its side"
    assert of(dpi=(300, 150)).dpi == (300, 150)


def test_of_a_tiff_what_is_about_the_photograph() -> None:
    found = of("TIFF", exif=exif(0), dpi=(300, 300))
    kept = Image.Exif()
    kept.load(found.exif)
    assert kept[Base.Make] == "camera" and Base.StripOffsets not in kept and Base.ImageWidth not in kept
    assert found.dpi == (300, 300)


@pytest.mark.parametrize(
    "spoilt", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"words that are none", b"MM\0*\0\0\0\x08\xff\xff"]
)
def test_what_is_broken_is_left_out(spoilt: bytes) -> None:
    assert metadata._upright(metadata.EXIF_HEADER + spoilt, True) == b""
    assert of(exif=metadata.EXIF_HEADER + spoilt).exif == b""


def test_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MOST", 50)
    found = of(exif=exif(), xmp=XMP, comment=b"short")
    assert (found.exif, found.xmp, found.comment) == (b"", b"", b"short")
