"""Decoding whatever people have, and a stable reason for what cannot be decoded. Luminance against its formula in exact
rational arithmetic."""

import contextlib
import io
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from ced.core.images import (
    FORMATS,
    MAX_SIDE,
    REASONS,
    SUFFIXES,
    Rejected,
    check_size,
    decode_rgb,
    luma_of,
    luminance,
    open_upright,
    png,
)
from ced.core.jpeg import quality_of

PIXELS = 10**7


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return Image.fromarray(data.chelsea())


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "YCbCr"])
def test_every_mode_becomes_rgb(cat: Image.Image, mode: str) -> None:
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    rgb = decode_rgb(encoded(cat.convert(mode), kind), PIXELS)
    assert rgb.shape == (300, 451, 3)
    assert rgb.dtype == np.uint8


def test_transparency_lies_over_white() -> None:
    clear = Image.new("RGBA", (9, 9), (10, 20, 30, 0))
    assert (decode_rgb(encoded(clear), PIXELS) == 255).all()
    palette = clear.convert("RGB").quantize(4)
    assert (decode_rgb(encoded(palette, transparency=palette.getpixel((0, 0))), PIXELS) == 255).all()


def test_sixteen_bits_keep_their_upper_eight() -> None:
    wide = Image.fromarray(np.full((4, 4), 0x7FFF, np.uint16))
    assert (decode_rgb(encoded(wide), PIXELS) == 0x7F).all()


def test_exif_orientation_is_applied(cat: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270 degrees
    turned = decode_rgb(encoded(cat, "PNG", exif=exif), PIXELS)
    assert np.array_equal(turned, np.rot90(np.asarray(cat), -1))


def test_of_an_animation_the_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    stream = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_rgb(stream, PIXELS)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("tenth", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_cut_at_every_tenth_has_a_reason(cat: Image.Image, kind: str, tenth: int) -> None:
    whole = encoded(cat, kind)
    with pytest.raises(Rejected) as refusal:
        decode_rgb(whole[: len(whole) * tenth // 10], PIXELS)
    assert refusal.value.reason in REASONS
    if tenth == 0:
        assert refusal.value.reason == "empty"
    if tenth > 1:
        assert refusal.value.reason == "truncated"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"hello, this is text", "not an image"), (b"\xff\xd8\xff\xe0 nothing else", "truncated")],
)
def test_what_is_no_image_is_told_apart(content: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as refusal:
        decode_rgb(content, PIXELS)
    assert refusal.value.reason == reason


def test_messages_are_the_same_every_time() -> None:
    messages = set()
    for _ in range(3):
        with pytest.raises(Rejected) as refusal:
            decode_rgb(b"text", PIXELS)
        messages.add(str(refusal.value))
    assert messages == {"not an image: no known image format"}


def test_a_bomb_is_refused_before_it_is_decoded(cat: Image.Image) -> None:
    with pytest.raises(Rejected, match="too large: 135300 pixels, the limit is 1000"):
        decode_rgb(encoded(cat), 1000)
    bomb = encoded(Image.new("1", (30000, 30000)))
    with pytest.raises(Rejected, match="too large: 900000000 pixels, the limit is 200000000"):
        decode_rgb(bomb, 200_000_000)


def test_the_limit_is_the_users_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default Pillow refuses beyond 358 million pixels; here both limits are small."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    large = encoded(Image.new("L", (100, 100), 7))
    assert (decode_rgb(large, 10_000) == 7).all()
    for limit in (9_999, 5_001, 100):
        with pytest.raises(Rejected, match=f"too large: 10000 pixels, the limit is {limit}$"):
            decode_rgb(large, limit)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_each_side_has_a_limit() -> None:
    assert decode_rgb(encoded(Image.new("1", (MAX_SIDE, 2)))).shape == (2, MAX_SIDE, 3)
    for size in ((MAX_SIDE + 1, 2), (2, MAX_SIDE + 1)):
        with pytest.raises(Rejected, match=rf"too large: {size[0]}x{size[1]} pixels, the limit of a side is 65500$"):
            decode_rgb(encoded(Image.new("1", size)))
    with pytest.raises(Rejected, match="too large: 10816 pixels, the limit is 10000"):
        check_size(100, 100, 10_000, grid=8)
    check_size(104, 96, 10_000, grid=8)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"


@pytest.mark.parametrize("kind", ["ICO", "PCX", "SGI", "PDF", "DDS", "ICNS", "IM", "MSP", "SPIDER", "XBM"])
def test_a_format_that_is_not_listed_is_no_image(kind: str) -> None:
    """Whatever the file is called: Pillow knows these, and writes them."""
    image = Image.new("1" if kind in ("MSP", "XBM") else "F" if kind == "SPIDER" else "RGB", (64, 64))
    data = encoded(image, kind)
    with pytest.raises(Rejected, match="not an image"):
        decode_rgb(data)


def test_no_other_program_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow has Ghostscript run an EPS file, for as long as its program says."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.check_call", start)
    monkeypatch.setattr("subprocess.Popen", start)
    with pytest.raises(Rejected, match="not an image"):
        open_upright(EPS)
    assert quality_of(EPS) is None


def test_every_listed_suffix_has_its_format() -> None:
    Image.init()
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in SUFFIXES if suffix in known} == set(FORMATS)


@pytest.mark.parametrize("error", [RuntimeError, ValueError, OverflowError, RecursionError, IndexError, MemoryError])
def test_whatever_pillow_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """Some of its plugins raise these at the header, others at the pixels."""

    def fail(*_: object, **__: object) -> None:
        raise error("of\na plugin at 0x7fff")

    data = encoded(Image.new("L", (8, 8)), "JPEG")
    for name in ("Image.open", "JpegImagePlugin.JpegImageFile.load_prepare"):
        with monkeypatch.context() as patched:
            patched.setattr(f"PIL.{name}", fail)
            with pytest.raises(Rejected) as refusal:
                decode_rgb(data)
            assert refusal.value.reason in ("damaged", "too large") and "\n" not in str(refusal.value)
            if name == "Image.open":
                assert quality_of(data) is None


@pytest.mark.filterwarnings("error")
def test_a_header_beyond_the_limit_is_read_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """Pillow warns from 89 million pixels on, and raises from 179 million on."""
    stream = bytearray(encoded(Image.new("L", (16, 16)), "JPEG"))
    frame = stream.index(b"\xff\xc0") + 5
    for side in (10_000, 14_000, 15_000):
        stream[frame : frame + 4] = side.to_bytes(2, "big") * 2
        assert quality_of(bytes(stream)) == (75 if side < 15_000 else None)
    assert capfd.readouterr() == ("", "")


def test_libtiff_prints_nothing(cat: Image.Image, capfd: pytest.CaptureFixture[str]) -> None:
    whole = encoded(cat, "TIFF", compression="tiff_lzw")
    print("before", file=sys.stderr, flush=True)
    spoilt = bytearray(whole)
    spoilt[len(whole) // 2 : len(whole) // 2 + 400] = bytes(400)
    for stream in (bytes(spoilt), whole[: len(whole) // 2], encoded(cat, "TIFF", compression="jpeg")[:9000]):
        with contextlib.suppress(Rejected):
            decode_rgb(stream)
    print("after", file=sys.stderr, flush=True)
    assert capfd.readouterr().err == "before\nafter\n"


def test_rejections_travel_between_processes() -> None:
    again = pickle.loads(pickle.dumps(Rejected("empty", "the file has no bytes")))
    assert (again.reason, again.message) == ("empty", "the file has no bytes")


def test_gray_stays_gray_when_opened(cat: Image.Image) -> None:
    assert open_upright(encoded(cat.convert("L"), "JPEG"), PIXELS).mode == "L"


def exact(red: int, green: int, blue: int) -> int:
    y = 16 + (Fraction(65481, 1000) * red + Fraction(128553, 1000) * green + Fraction(24966, 1000) * blue) / 255
    return int(y + Fraction(1, 2))  # half up, as MATLAB rounds positive numbers


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_formula_exactly(pixel: tuple[int, int, int]) -> None:
    assert luminance(np.array([[pixel]], np.uint8))[0, 0] == exact(*pixel)


@pytest.mark.parametrize(("gray", "y"), [(0, 16), (255, 235)])
def test_black_and_white_end_at_studio_range(gray: int, y: int) -> None:
    assert luminance(np.full((1, 1, 3), gray, np.uint8))[0, 0] == y


def test_grayscale_is_monotonic() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert (np.diff(luminance(ramp)[0].astype(int)) >= 0).all()


def test_stacks_are_computed_image_by_image() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    assert np.array_equal(luminance(rgb), np.stack([luminance(image) for image in rgb]))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="luminance takes"):
        luminance(wrong)


def test_luma_of_one_and_of_three_planes() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 3, 8, 8), np.uint8)
    assert np.array_equal(luma_of(rgb), luminance(rgb.transpose(0, 2, 3, 1)))
    assert np.array_equal(luma_of(rgb[:, :1]), rgb[:, 0])


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
@pytest.mark.parametrize("level", [1, 9])
def test_png_keeps_every_value(shape: tuple[int, ...], level: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for image in (pixels, Image.fromarray(pixels)):
        with Image.open(io.BytesIO(png(image, level, icc_profile=b"profile"))) as found:
            assert (found.format, found.info["icc_profile"]) == ("PNG", b"profile")
            assert np.array_equal(np.asarray(found), pixels)
