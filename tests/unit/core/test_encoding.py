"""Each format with everything that came with the pixels; profiles never in images of another kind."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from skimage import data

from ced.core import images
from ced.core.encoding import FORMATS, check_side, encode
from ced.core.images import Rejected
from ced.core.metadata import EXIF_HEADER, Metadata
from tests import profiles
from tests.unit.core.test_metadata import XMP, exif

CUP = data.coffee()[:60, :90]
UPRIGHT = XMP.replace(b'"6"', b'"1"')
SAID = Metadata(exif(1).removeprefix(EXIF_HEADER), UPRIGHT, "Grüße".encode(), (300.0, 150.0))


def opened(stream: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(stream))
    image.load()
    return image


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_everything_along(name: str) -> None:
    """But WebP and AVIF the comment and a resolution that EXIF does not state."""
    stream, left_out = encode(CUP, None, profiles.wide_rgb(), SAID, name)
    image = opened(stream)
    assert (image.format, image.mode, image.size, left_out) == (FORMATS[name].pillow, "RGB", (90, 60), [])
    assert image.info["icc_profile"] == profiles.wide_rgb()
    found = image.getexif()
    assert found[Base.Make] == "camera" and found.get_ifd(IFD.GPSInfo)[1] == "N"
    assert found.get_ifd(IFD.Exif)[Base.ExifImageWidth] == 30
    xmp = image.info["xmp"]
    assert (xmp.encode() if isinstance(xmp, str) else xmp).rstrip(b"\0") == UPRIGHT
    if name not in ("webp", "avif"):
        assert np.allclose([float(each) for each in image.info["dpi"]], (300, 150), atol=0.02)
        told = {"png": "Comment", "jpeg": "comment"}
        comment = image.info[told[name]] if name in told else image.tag_v2[Base.ImageDescription]  # type: ignore[attr-defined]
        assert comment in ("Grüße", "Grüße".encode(), "Gr??e")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("gray", [False, True])
def test_lossless_formats_keep_every_value_and_the_others_nearly(name: str, gray: bool) -> None:
    pixels = CUP[..., 1] if gray else CUP
    errors = []
    for quality in (20, None) if FORMATS[name].lossy else (None,):
        image = opened(encode(pixels, format=name, quality=quality)[0])
        found = np.asarray(image.convert("L" if gray else "RGB"))
        errors.append(float(np.mean((found.astype(float) - pixels) ** 2)))
    assert (errors[-1] < 12 and errors[0] > 2 * errors[1]) if FORMATS[name].lossy else errors == [0]


@pytest.mark.parametrize("name", FORMATS)
def test_alpha_is_untouched_where_the_format_has_it(name: str) -> None:
    alpha = np.linspace(0, 255, 60 * 90).astype(np.uint8).reshape(60, 90)
    alpha[:32, 32:64] = 0
    for pixels in (CUP, CUP[..., 1]):
        stream, left_out = encode(pixels, alpha, format=name)
        image = opened(stream)
        if name != "jpeg":  # AVIF codes it as it does colour
            apart = np.abs(np.asarray(image.getchannel("A")).astype(int) - alpha)
            assert apart.max() <= (3 if name == "avif" else 0) and not left_out
            unseen = np.asarray(image.convert("RGB")).astype(int) - (pixels if pixels.ndim == 3 else pixels[..., None])
            assert np.abs(unseen[alpha == 0]).mean() < 2
            continue
        assert left_out == ["JPEG has no transparency: it lies over white"]
        assert image.mode == ("L" if pixels.ndim == 2 else "RGB")
        expected = 255 - (255 - pixels.astype(float)) * (alpha if pixels.ndim == 2 else alpha[..., None]) / 255
        assert np.abs(np.asarray(image) - expected).mean() < 2


@pytest.mark.parametrize("name", FORMATS)
def test_profiles_are_in_images_of_their_kind(name: str) -> None:
    gray = CUP[..., 1]
    mode, profile = profiles.kept_in(encode(gray, None, profiles.wide_rgb(), format=name)[0])
    assert (mode, profile) == ("RGB", profiles.wide_rgb()), "three equal channels"
    mode, profile = profiles.kept_in(encode(gray, None, profiles.gray(), format=name)[0])
    native = FORMATS[name].gray
    assert (mode, profile) == (("L", profiles.gray()) if native else ("RGB", None))
    if not native:  # the profile is applied
        expected = images.to_srgb(Image.fromarray(gray), profiles.gray())
        found = opened(encode(gray, None, profiles.gray(), format=name)[0])
        assert expected and np.abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() < 2
        assert np.abs(np.asarray(found)[..., 0].astype(int) - gray).mean() > 4


def test_what_has_no_room_in_a_jpeg_is_named() -> None:
    stream, left_out = encode(CUP, metadata=Metadata(b"II*\0" + bytes(70_000), bytes(70_000), b"here"), format="jpeg")
    assert left_out == ["JPEG has no room for its exif", "JPEG has no room for its xmp"]
    assert opened(stream).info["comment"] == b"here"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FORMATS)
def test_metadata_that_cannot_be_written_costs_no_photograph(name: str) -> None:
    broken = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\xff\xff\x7f\xff\xff\xff\x7f\0\0\0\0"
    stream, left_out = encode(CUP, metadata=Metadata(broken, b"\xff\xfe not XMP", b"\xff\xfe"), format=name)
    with images.opened(stream) as image:
        assert image.size == (90, 60) and len(left_out) <= 1


def test_how_a_hostile_exif_says_pixels_are_stored_is_in_no_tiff() -> None:
    hostile = Image.Exif()
    hostile[Base.Make] = "camera"
    for tag in (Base.ImageWidth, Base.SamplesPerPixel, Base.Compression, Base.StripOffsets, Base.TileWidth):
        hostile[tag] = 7
    stream, _ = encode(CUP, metadata=Metadata(hostile.tobytes().removeprefix(EXIF_HEADER)), format="tiff")
    image = opened(stream)
    assert np.array_equal(image, CUP) and image.getexif()[Base.Make] == "camera"


def test_a_side_that_webp_has_no_room_for() -> None:
    check_side((16_383, 2, 3), "webp")
    check_side((16_384, 2, 3), "png")
    with pytest.raises(Rejected, match="too large: 2x16384 pixels, a side of WEBP has 16383 at most"):
        check_side((16_384, 2, 3), "webp")
