"""What becomes of each kind of file: read right, restored by the right restorer, written with all that it had."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base
from skimage import data

from ced.core.encoding import FORMATS, Writing
from ced.core.images import Rejected
from ced.decoding import Decoder
from ced.errors import ConfigError
from ced.restoration.family import FAITHFUL, RELEASED, Family
from ced.restoration.files import RestoredFile, restore_file
from ced.restoration.restorer import Restorer
from tests import profiles
from tests.unit.core.test_metadata import XMP, exif

CUP = data.coffee()[40:200, 100:260]
FAMILY = Family.load(FAITHFUL)


def encoded(image: Image.Image | np.ndarray, format: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, format, **options)
    return stream.getvalue()


def opened(stream: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(stream))
    image.load()
    return image


def psnr(stream: bytes, original: np.ndarray) -> float:
    pixels = np.asarray(opened(stream).convert("RGB" if original.ndim == 3 else "L"))
    return float(10 * np.log10(255**2 / np.mean((pixels.astype(float) - original) ** 2)))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.fixture
def restore(decoder: Decoder):  # type: ignore[no-untyped-def]
    def restore(stream: bytes, family: Family = FAMILY, **writing: object) -> RestoredFile:
        return restore_file(stream, family, decoder, Writing(**writing))  # type: ignore[arg-type]

    return restore


@pytest.mark.parametrize("quality", [10, 90])
def test_cmyk_comes_out_in_its_colours(restore, quality: int) -> None:
    stream = encoded(profiles.cmyk_of(CUP), quality=quality, icc_profile=profiles.cmyk())
    restored = restore(stream, FAMILY.everything())
    assert profiles.kept_in(restored.data) == ("RGB", None) and restored.warning == ""
    assert psnr(restored.data, CUP) > (26 if quality == 10 else 33)
    plain = restore(encoded(profiles.cmyk_of(CUP), quality=quality), FAMILY.everything())
    assert plain.warning == "its CMYK is converted without a colour profile"
    assert profiles.kept_in(plain.data) == ("RGB", None) and psnr(plain.data, CUP) < 18


@pytest.mark.parametrize("profile", [profiles.gray(), profiles.cmyk(), b"no profile"])
def test_a_profile_of_another_kind_or_a_broken_one_is_left_out(restore, profile: bytes) -> None:
    restored = restore(encoded(CUP, quality=20, icc_profile=profile))
    assert profiles.kept_in(restored.data) == ("RGB", None)
    assert restored.warning == "its colour profile is broken, or of another kind of image: left out"
    assert restored.data == restore(encoded(CUP, quality=20)).data
    restored = restore(encoded(CUP[..., 1], quality=20, icc_profile=profiles.wide_rgb()))
    assert profiles.kept_in(restored.data) == ("L", None) and "left out" in restored.warning


def test_a_wide_rgb_is_kept_with_its_profile_and_gray_with_its_own(restore) -> None:
    wide = restore(encoded(CUP, quality=20, icc_profile=profiles.wide_rgb()))
    assert profiles.kept_in(wide.data) == ("RGB", profiles.wide_rgb()) and wide.warning == ""
    assert np.array_equal(opened(wide.data), opened(restore(encoded(CUP, quality=20)).data))
    gray = restore(encoded(CUP[..., 1], quality=20, icc_profile=profiles.gray()))
    assert profiles.kept_in(gray.data) == ("L", profiles.gray())


@pytest.mark.parametrize("profile", [None, profiles.wide_rgb()])
def test_gray_in_three_components_stays_without_tint(restore, profile: bytes | None) -> None:
    gray = data.camera()[100:260, 150:310]
    in_three = encoded(np.repeat(gray[..., None], 3, axis=2), quality=10, icc_profile=profile)
    restored = restore(in_three, Family.load(RELEASED))
    assert opened(in_three).mode == "RGB"
    assert profiles.kept_in(restored.data) == (("RGB", profile) if profile else ("L", None))
    expected = Restorer.load(RELEASED / "y-q10").restore_pixels(np.asarray(opened(in_three))[..., 0])
    pixels = np.asarray(opened(restored.data).convert("RGB"))
    assert all(np.array_equal(pixels[..., channel], expected) for channel in range(3))


def test_alpha_is_kept(restore) -> None:
    alpha = np.linspace(0, 255, CUP.shape[0] * CUP.shape[1]).astype(np.uint8).reshape(CUP.shape[:2])
    image = Image.fromarray(np.dstack([CUP, alpha]))
    everything = FAMILY.everything()
    restored = restore(encoded(image, "PNG"), everything)
    assert np.array_equal(opened(restored.data).getchannel("A"), alpha)
    of_colour = opened(restore(encoded(CUP, "PNG"), everything).data)
    assert np.array_equal(opened(restored.data).convert("RGB"), of_colour), "colour as without it"
    over_white = restore(encoded(image, "PNG"), everything, format="jpeg")
    assert over_white.warning == "JPEG has no transparency: it lies over white"
    palette = Image.fromarray(CUP).quantize(16)
    seen = restore(encoded(palette, "PNG", transparency=3), everything)
    assert opened(seen.data).mode == "RGBA" and opened(seen.data).getchannel("A").getextrema() == (0, 255)


def test_what_has_more_than_one_picture_of_8_bits_is_told(restore) -> None:
    deep = Image.fromarray((CUP[..., 1].astype(np.uint16) << 8) + 7)
    restored = restore(encoded(deep, "PNG"), FAMILY.everything())
    assert restored.warning == "more than 8 bits a sample became 8" and opened(restored.data).mode == "L"
    assert psnr(restored.data, CUP[..., 1]) > 30
    both = encoded(CUP, "TIFF", save_all=True, append_images=[Image.fromarray(CUP[::-1])])
    assert restore(both, FAMILY.everything()).warning == "the first of its 2 pictures alone"
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x04none"
    plain = encoded(CUP, quality=20)
    restored = restore(plain[:2] + b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc + plain[2:])
    assert restored.warning == "its IPTC block is left out" and restored.data == restore(plain).data


@pytest.mark.parametrize("format", FORMATS)
def test_everything_that_a_file_says_is_in_the_new_one(restore, format: str) -> None:
    stream = encoded(CUP[:80], quality=20, exif=exif(6), xmp=XMP, comment=b"mine", dpi=(300, 200))
    restored = restore(stream, format=format)
    image = opened(restored.data)
    assert (restored.suffix, image.format, restored.warning) == (FORMATS[format].suffix, FORMATS[format].pillow, "")
    assert image.size == (80, 160), "upright"
    assert image.getexif().get(Base.Orientation, 1) == 1 and image.getexif()[Base.Make] == "camera"
    assert b'tiff:Orientation="1"' in bytes(image.info["xmp"])
    if format not in ("webp", "avif"):
        assert np.allclose([float(each) for each in image.info["dpi"]], (200, 300), atol=0.02)
    stripped = opened(restore(stream, format=format, strip=True).data)
    assert not dict(stripped.getexif()) or format == "tiff"
    assert Base.Make not in stripped.getexif() and "xmp" not in stripped.info and "comment" not in stripped.info
    assert float(stripped.info.get("dpi", (1, 1))[0]) == 1


def test_strip_leaves_the_profile(restore) -> None:
    stream = encoded(CUP, quality=20, exif=exif(), icc_profile=profiles.wide_rgb())
    assert profiles.kept_in(restore(stream, strip=True).data)[1] == profiles.wide_rgb()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA", "WEBP", "AVIF", "JPEG2000"])
def test_what_is_no_jpeg_is_left_as_it_is_unless_all_is_to_be_restored(restore, kind: str) -> None:
    stream = encoded(CUP[:40], kind)
    left = restore(stream, format="webp")
    assert (left.data, left.suffix, left.quality) == (stream, "", None)
    assert left.left == "not a JPEG file, nor do its pixels show that it was one"
    restored = restore(stream, FAMILY.everything(), format="webp")
    assert restored.left == "" and (restored.suffix, opened(restored.data).format) == (".webp", "WEBP")


def test_what_is_good_is_left_byte_for_byte_and_what_it_still_says_is_told(restore) -> None:
    stream = encoded(CUP, quality=95, exif=exif()) + b"and more"
    left = restore(stream, format="avif")
    assert left == RestoredFile(stream, "", 95, "quality factor 95", "")
    assert restore(stream, strip=True).warning == "what it says beside its pixels is left too"
    assert restore(stream, FAMILY.everything()).left == ""
    cut = restore(stream[:-900], damaged=True)
    assert (cut.data, cut.left) == (stream[:-900], "quality factor 95") and cut.warning.endswith(" % of it is missing")
    plain_cmyk = encoded(profiles.cmyk_of(CUP), quality=95)
    assert restore(plain_cmyk).warning == "", "what would be lost is not"


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (3, 5), (4, 0)])
def test_what_was_saved_again_is_restored_by_what_its_pixels_show(restore, rows: int, columns: int) -> None:
    """Nearer to the original than by the header's quality, and as near as the one that was saved once."""
    photograph = np.asarray(Image.fromarray(data.astronaut()).reduce(2))
    first = np.asarray(opened(encoded(photograph, quality=10)))[rows:, columns:]
    stream = encoded(first, quality=90, subsampling=0)
    restored = restore(stream)
    assert (restored.left, restored.quality) == ("", 10)
    assert restored.warning == "it was saved twice: quality factor 90 by its header, 10 by its pixels"
    original = photograph[rows:, columns:]
    once = restore(encoded(photograph, quality=10)).data
    assert psnr(restored.data, original) > psnr(stream, original) + 0.8
    assert psnr(restored.data, original) > psnr(once, photograph) - 0.5, "the second compression's own loss"
    if (rows % 4, columns % 4) != (0, 0):  # the grid counts even where one network is for all qualities
        elsewhere = Restorer.load(FAITHFUL).restore_pixels(np.asarray(opened(stream)))
        assert psnr(restored.data, original) > psnr(encoded(elsewhere, "PNG"), original) + 0.3


def test_a_png_that_was_a_jpeg_is_restored_as_that(restore) -> None:
    photograph = np.asarray(Image.fromarray(data.astronaut()).reduce(2))
    pixels = np.asarray(opened(encoded(photograph, quality=20)))
    restored = restore(encoded(pixels, "PNG"))
    assert (restored.left, restored.quality) == ("", 20)
    assert restored.warning == "it was a JPEG of quality factor 20, by its pixels"
    assert np.array_equal(opened(restored.data), opened(restore(encoded(photograph, quality=20)).data))
    good = restore(encoded(np.asarray(opened(encoded(photograph, quality=85))), "PNG"), Family.load(RELEASED))
    assert good.left == "quality factor 85 by its pixels" and good.warning == ""


def test_bad_colour_alone_is_restored(restore) -> None:
    """At a luma of 95, chroma of 10: the nearest to the pixels is nearer than the file."""
    tables = [opened(encoded(CUP, quality=quality)).quantization[number] for number, quality in ((0, 95), (1, 10))]
    stream = encoded(CUP, qtables=tables)
    restored = restore(stream)
    assert (restored.left, restored.quality) == ("", 95)
    assert psnr(restored.data, CUP) > psnr(stream, CUP)


def test_a_damaged_one_is_restored_as_far_as_it_goes(restore) -> None:
    tall = data.coffee()[:320, 100:260]
    whole = encoded(tall, quality=20)
    for kept, most in ((len(whole) - 5, 2.0), (len(whole) * 7 // 10, 45.0)):
        with pytest.raises(Rejected, match=r"truncated: .*; --damaged restores what is there$"):
            restore(whole[:kept])
        restored = restore(whole[:kept], damaged=True)
        share, _, rest = restored.warning.partition(" % ")
        assert rest == "of it is missing" and 0 < float(share) < most
        rows = int((1 - float(share) / 100) * 320) // 16 * 16 - 64  # whole units, out of the gap's reach
        assert rows > 90
        expected = np.asarray(opened(restore(whole).data))[:rows]
        assert np.abs(np.asarray(opened(restored.data))[:rows].astype(int) - expected).max() <= 1
    with pytest.raises(Rejected) as refusal:
        restore(whole[:300], damaged=True)
    assert refusal.value.reason == "truncated"
    with pytest.raises(Rejected, match="truncated") as refusal:
        restore(whole[:300])
    assert "--damaged" not in str(refusal.value), "nothing is there to restore"


def test_damage_that_pillow_passes_over_is_told_without_being_asked_for(restore) -> None:
    whole = encoded(CUP, quality=20)
    middle = len(whole) // 2 + 100
    restored = restore(whole[:middle] + whole[middle + 300 :])
    assert restored.left == "" and restored.warning.startswith("its data end too early: at least ")
    assert restore(whole).warning == ""


@pytest.mark.parametrize(
    ("wrong", "clause"),
    [
        ({"format": "bmp"}, "--format bmp: use png, jpeg, webp, tiff, avif"),
        ({"format": "jpeg", "output_quality": 0}, "--output-quality 0: use a number from 1 to 100"),
        ({"format": "png", "output_quality": 90}, "--output-quality 90: png loses nothing"),
        ({"format": "tiff", "output_quality": 90}, "--output-quality 90: tiff loses nothing"),
    ],
)
def test_what_cannot_be_written_is_told_before(wrong: dict[str, object], clause: str) -> None:
    with pytest.raises(ConfigError, match=clause):
        Writing(**wrong)  # type: ignore[arg-type]


def test_the_output_s_quality(restore) -> None:
    stream = encoded(CUP, quality=20)
    found = [opened(restore(stream, format="jpeg", output_quality=quality).data) for quality in (50, None)]
    assert [opened(encoded(CUP, quality=quality)).quantization for quality in (50, 95)] == [
        image.quantization for image in found
    ]
    with pytest.raises(Rejected, match="a side of WEBP has 16383 at most"):
        restore(encoded(np.zeros((8, 16_400), np.uint8), quality=20), format="webp")
