"""An earlier compression is found in the pixels: its quality and its grid; where there was none, none is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from ced.core import jpeg, recompression
from ced.core.recompression import Trace, trace

# Reduced, so that nothing is left of what they went through before.
PHOTOGRAPHS = {
    "cup": np.asarray(Image.fromarray(data.coffee()).reduce(2)),
    "cat": np.asarray(Image.fromarray(data.chelsea()).reduce(2)),
    "astronaut": np.asarray(Image.fromarray(data.astronaut()).reduce(2)),
    "rocket": np.asarray(Image.fromarray(data.rocket()).reduce(2)),
    "camera": np.asarray(Image.fromarray(data.camera()).reduce(2)),
    "retina": np.asarray(Image.fromarray(data.retina()).reduce(4)),
}
CUP = PHOTOGRAPHS["cup"]


def saved(pixels: np.ndarray, *qualities: int, rows: int = 0, columns: int = 0) -> np.ndarray:
    """Saved as JPEG by each of the quality factors, cut by so many rows and columns after the first."""
    for quality in qualities:
        pixels = jpeg.decode(jpeg.encode(pixels, quality))[rows:, columns:]
        rows = columns = 0
    return pixels


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_what_was_never_compressed_or_once_shows_no_trace(name: str) -> None:
    photograph = PHOTOGRAPHS[name]
    assert trace(photograph) is None
    for quality in (20, 30, 40, 50, 75, 90, 95, 100):
        assert trace(saved(photograph, quality), quality) is None, quality


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("first", [10, 30, 60])
def test_a_file_that_was_saved_twice_shows_the_first_quality(name: str, first: int) -> None:
    assert trace(saved(PHOTOGRAPHS[name], first, 90), 90) == Trace(first, (0, 0))


@pytest.mark.parametrize(("first", "second"), [(25, 50), (10, 50), (45, 90), (30, 60)])
def test_steps_that_are_multiples_of_the_second_ones_are_told_from_these(first: int, second: int) -> None:
    assert trace(saved(CUP, first, second), second) == Trace(first, (0, 0))
    assert trace(saved(CUP, second), second) is None


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("first", [10, 30, 70])
def test_what_is_no_jpeg_any_more_shows_the_quality_it_had(name: str, first: int) -> None:
    assert trace(saved(PHOTOGRAPHS[name], first)) == Trace(first, (0, 0))
    assert trace(saved(PHOTOGRAPHS[name], first, rows=3, columns=6)) == Trace(first, (5, 2))


@settings(max_examples=20)
@given(st.integers(5, 50), st.integers(0, 15), st.integers(0, 15), st.booleans())
def test_the_grid_is_found_wherever_it_lies(quality: int, rows: int, columns: int, gray: bool) -> None:
    photograph = CUP[..., 1] if gray else CUP
    found = trace(saved(photograph, quality, 92, rows=rows, columns=columns), 92)
    assert found is not None and found.offset == (-rows % 8, -columns % 8)
    assert abs(found.quality - quality) <= 2


def test_the_first_whole_block_of_the_offset_is_the_block_that_was_coded() -> None:
    """By another way: at the offset, and nowhere else, the pixels are those that the same compression leaves alone."""
    pixels = saved(CUP[..., 1], 30, rows=3, columns=6)
    found = trace(pixels)
    assert found is not None

    def change(row: int, column: int) -> float:
        part = pixels[row:, column:]
        return float(np.abs(saved(part, found.quality).astype(int) - part).mean())

    changes = {(row, column): change(row, column) for row in range(8) for column in range(8)}
    assert min(changes, key=lambda place: changes[place]) == found.offset == (5, 2)


def test_clipped_blocks_do_not_hide_the_others() -> None:
    bright = np.clip(CUP * 1.3, 0, 255).astype(np.uint8)
    pixels = saved(bright, 10, 90)
    assert (pixels == 255).any(axis=2).mean() > 0.1
    assert trace(pixels, 90) == Trace(10, (0, 0))
    assert trace(np.full((64, 64), 255, np.uint8)) is None


def test_a_window_of_a_large_picture_is_enough_and_its_place_counts() -> None:
    """The detail is far from the corner, and not on the grid of eight."""
    large = np.full((700, 900), 128, np.uint8)
    large[301:501, 403:703] = CUP[..., 1]
    assert recompression._detailed(large) != (0, 0)
    assert trace(saved(large, 20, rows=5, columns=1)) == Trace(20, (3, 7))


def test_a_quality_near_that_of_the_header_is_not_told() -> None:
    assert trace(saved(CUP, 60, 65), 65) is None
    assert trace(saved(CUP, 10, 12), 12) is None


@pytest.mark.parametrize("period", range(2, 17))
def test_patterns_of_a_computer_are_no_trace(period: int) -> None:
    y, x = np.mgrid[:256, :256]
    smooth = (128 + 60 * np.sin(x / 17) + 60 * np.cos(y / 23)).astype(int)
    for pattern in (
        128 + 100 * np.sin(2 * np.pi * x / period),
        (x // period + y // period) % 2 * 200 + 20,
        (x * period // 4 + y) % 256,
        smooth // period * period,
    ):
        assert trace(pattern.astype(np.uint8)) is None


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_enlarged_pixels_and_few_colours_are_no_trace(factor: int) -> None:
    small = np.random.default_rng(factor).integers(0, factor, (256 // factor, 256 // factor)).astype(np.uint8)
    assert trace((255 // factor * small).repeat(factor, 0).repeat(factor, 1)) is None
    assert trace(CUP.repeat(factor, 0).repeat(factor, 1)) is None
    assert trace(np.asarray(Image.fromarray(CUP).quantize(2**factor).convert("RGB"))) is None


@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (15, 15, 3), (16, 16), (17, 40, 3)])
def test_small_pictures_show_nothing_and_hurt_nothing(shape: tuple[int, ...]) -> None:
    assert trace(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)) is None
