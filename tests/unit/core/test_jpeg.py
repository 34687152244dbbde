"""The degradation: baseline streams with the IJG tables."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.core import jpeg

# IJG luminance table (Annex K.1 of the JPEG standard), natural order.
ANNEX_K = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56]
    + [14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92]
    + [49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip


@pytest.fixture(scope="module")
def camera() -> np.ndarray:
    return data.camera()


@pytest.mark.parametrize("quality", [10, 20, 50, 90])
def test_tables_are_ijg_scaled(camera: np.ndarray, quality: int) -> None:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    expected = np.clip((ANNEX_K * scale + 50) // 100, 1, 255)
    with Image.open(io.BytesIO(jpeg.encode(camera, quality))) as image:
        assert sorted(image.quantization[0]) == sorted(expected.tolist())
        assert image.mode == "L"
        assert "progressive" not in image.info


def test_colour_has_subsampled_chroma() -> None:
    stream = jpeg.encode(data.astronaut(), 10)
    with Image.open(io.BytesIO(stream)) as image:
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (17, 9), (31, 64), (13, 21, 3)])
def test_any_size_comes_back(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    decoded = jpeg.decode(jpeg.encode(image, 50))
    assert decoded.shape == shape
    assert decoded.dtype == np.uint8


def test_lower_quality_is_further_away(camera: np.ndarray) -> None:
    errors = [np.mean((jpeg.decode(jpeg.encode(camera, q)).astype(float) - camera) ** 2) for q in (5, 10, 20, 50, 95)]
    assert errors == sorted(errors, reverse=True)


def test_streams_are_reproducible(camera: np.ndarray) -> None:
    assert jpeg.encode(camera, 10) == jpeg.encode(camera.copy(), 10)


@pytest.mark.parametrize("image", ["camera", "astronaut"])
def test_the_quality_factor_is_told_from_the_tables(image: str) -> None:
    """Or another one with the same table."""
    pixels = getattr(data, image)()[:64, :64]
    for quality in range(1, 101):
        stream = jpeg.encode(pixels, quality)
        found = jpeg.quality_of(stream)
        assert found is not None
        with Image.open(io.BytesIO(stream)) as one, Image.open(io.BytesIO(jpeg.encode(pixels, found))) as other:
            assert one.quantization[0] == other.quantization[0]


def swapped(stream: bytes) -> bytes:
    """The same picture with its tables in each other's slots, as of `cjpeg -qslots 1,0,0`."""
    changed = bytearray(stream)
    tables = [at for at in range(len(changed)) if changed[at : at + 4] == b"\xff\xdb\x00\x43"]
    assert [changed[at + 4] for at in tables] == [0, 1]
    frame = changed.index(b"\xff\xc0")
    for at in tables:
        changed[at + 4] ^= 1
    for component in range(3):
        changed[frame + 12 + 3 * component] ^= 1
    return bytes(changed)


def two_qualities(luma: int, chroma: int) -> bytes:
    pixels, stream = Image.fromarray(data.astronaut()[:64, :64]), io.BytesIO()
    tables = []
    for number, quality in enumerate((luma, chroma)):
        with Image.open(io.BytesIO(jpeg.encode(np.asarray(pixels), quality))) as image:
            tables.append(image.quantization[number])
    pixels.save(stream, "JPEG", qtables=tables)
    return stream.getvalue()


@pytest.mark.parametrize(("luma", "chroma"), [(90, 90), (10, 90), (90, 10), (35, 60)])
def test_each_component_s_table_is_the_one_that_it_names(luma: int, chroma: int) -> None:
    plain = two_qualities(luma, chroma)
    for stream in (plain, swapped(plain)):
        assert jpeg.quality_of(stream) == luma
        with Image.open(io.BytesIO(stream)) as image:
            assert jpeg.chroma_quality_of_opened(image) == chroma
        assert np.array_equal(jpeg.decode(stream), jpeg.decode(plain))
        assert all(map(np.array_equal, jpeg.tables_of(stream), jpeg.tables_of(plain)))


def test_chroma_that_names_luma_s_table_has_its_quality() -> None:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(jpeg.encode(data.astronaut()[:64, :64], 40))) as image:
        tables = [image.quantization[0]] * 2
    Image.fromarray(data.astronaut()[:64, :64]).save(stream, "JPEG", qtables=tables)
    changed = bytearray(stream.getvalue())
    frame = changed.index(b"\xff\xc0")
    changed[frame + 15] = changed[frame + 18] = 0
    with Image.open(io.BytesIO(changed)) as image:
        assert jpeg.quality_of_opened(image) == jpeg.chroma_quality_of_opened(image) == 40
    with Image.open(io.BytesIO(jpeg.encode(data.camera()[:64, :64], 40))) as image:
        assert jpeg.chroma_quality_of_opened(image) is None


def test_tables_of_other_programs_have_a_nearest_factor(camera: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(camera).save(stream, "JPEG", qtables=[[40] * 64])
    found = jpeg.quality_of(stream.getvalue())
    assert found is not None and 30 < found < 90


@pytest.mark.parametrize("spoilt", [b"", b"words", b"\xff\xd8\xff"])
def test_what_is_no_jpeg_has_no_quality_factor(camera: np.ndarray, spoilt: bytes) -> None:
    assert jpeg.quality_of(spoilt) is None
    stream = io.BytesIO()
    Image.fromarray(camera).save(stream, "PNG")
    assert jpeg.quality_of(stream.getvalue()) is None


@pytest.mark.parametrize("image", [data.camera()[:45, :70], data.chelsea()[:45, :70]], ids=["gray", "colour"])
def test_another_damage_is_two_saves_and_what_lies_between_them(image: np.ndarray) -> None:
    """Step by step by Pillow alone."""
    once = Image.open(io.BytesIO(jpeg.encode(image, 10)))
    between = {"double": once, "shifted": once.crop((4, 4, 70, 45)), "resized": once.resize((52, 34), Image.BICUBIC)}
    for damage, expected in between.items():
        stream = io.BytesIO()
        expected.save(stream, "JPEG", quality=90)
        assert jpeg.degrade(image, 10, damage) == stream.getvalue() == jpeg.degrade(image, 10, damage)
        assert jpeg.quality_of(stream.getvalue()) == 90
        assert jpeg.moved(image, damage).shape[:2] == (expected.height, expected.width)
    assert jpeg.degrade(image, 10) == jpeg.encode(image, 10) and jpeg.moved(image, "jpeg") is image


def test_the_grid_of_a_cut_image_lies_elsewhere() -> None:
    """What is left of the first save's blocks has its edges in the middle of the second's."""
    plane = data.camera()
    seen = jpeg.decode(jpeg.degrade(plane, 5, "shifted")).astype(int)
    jumps = np.abs(np.diff(seen, axis=1)).mean(axis=0)  # at column k: from pixel k to k + 1
    by_phase = [jumps[phase::8].mean() for phase in range(8)]
    assert int(np.argmax(by_phase)) == 3, "behind column 3, not 7"
