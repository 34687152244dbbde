"""Luminance against its formula in exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.core.colour import luminance


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
