"""Decoding whatever people have, and a stable reason for what cannot be decoded."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.core.images import REASONS, Rejected, decode_rgb, in_colour, open_upright, png

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


def test_a_bomb_inside_an_icon_is_refused() -> None:
    """The frame of an icon is a PNG that states a size of its own."""
    icon = bytearray(encoded(Image.new("RGB", (16, 16)), "ICO", sizes=[(16, 16)]))
    png = encoded(Image.new("1", (4000, 4000)))
    header = icon[:14] + len(png).to_bytes(4, "little") + icon[18:22]
    with pytest.raises(Rejected, match="too large: 16000000 pixels, the limit is 1000000"):
        decode_rgb(bytes(header) + png, 1_000_000)


def test_rejections_travel_between_processes() -> None:
    again = pickle.loads(pickle.dumps(Rejected("empty", "the file has no bytes")))
    assert (again.reason, again.message) == ("empty", "the file has no bytes")


def test_gray_stays_gray_when_opened(cat: Image.Image) -> None:
    assert open_upright(encoded(cat.convert("L"), "JPEG"), PIXELS).mode == "L"


def test_gray_and_colour_are_told_by_the_header(cat: Image.Image) -> None:
    gray, palette = cat.convert("L"), cat.convert("P")
    assert not in_colour(encoded(gray, "JPEG")) and not in_colour(encoded(gray))
    assert all(in_colour(encoded(image, "JPEG")) for image in (cat, cat.convert("CMYK")))
    assert in_colour(encoded(palette)) and in_colour(encoded(cat))
    assert not in_colour(b"no image") and not in_colour(b"")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
@pytest.mark.parametrize("level", [1, 9])
def test_png_keeps_every_value(shape: tuple[int, ...], level: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for image in (pixels, Image.fromarray(pixels)):
        with Image.open(io.BytesIO(png(image, level, icc_profile=b"profile"))) as found:
            assert (found.format, found.info["icc_profile"]) == ("PNG", b"profile")
            assert np.array_equal(np.asarray(found), pixels)
