"""Laplacian and DCT against SciPy and against loops that follow the definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.fft import dctn

from ced.core.frequency import CHANNELS, MIRROR, by_channel, coefficients, dct4x4, laplacian

KERNEL = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
planes = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 5).map(lambda n: 4 * n)] * 2))


def slow_laplacian(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    out = np.zeros(plane.shape, int)
    for y in range(height):
        for x in range(width):
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                ny, nx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                out[y, x] += int(plane[ny, nx]) - int(plane[y, x])
    return out


def slow_dct(patch: np.ndarray) -> np.ndarray:
    def basis(k: int, i: int) -> float:
        return math.sqrt((1 if k == 0 else 2) / 4) * math.cos(math.pi * (2 * i + 1) * k / 8)

    return np.array(
        [
            [sum(basis(u, i) * basis(v, j) * patch[i, j] for i in range(4) for j in range(4)) for v in range(4)]
            for u in range(4)
        ]
    )


@given(planes)
@settings(max_examples=50, deadline=None)
def test_laplacian_equals_the_loop_and_scipy(plane: np.ndarray) -> None:
    expected = slow_laplacian(plane)
    assert np.array_equal(laplacian(plane), expected)
    assert np.array_equal(ndimage.convolve(plane.astype(int), KERNEL, mode="nearest"), expected)


@given(planes)
@settings(max_examples=50, deadline=None)
def test_dct_equals_the_definition_and_scipy(plane: np.ndarray) -> None:
    ours = dct4x4(laplacian(plane)).astype(float)
    height, width = plane.shape
    blocks = slow_laplacian(plane).reshape(height // 4, 4, width // 4, 4)
    scipys = dctn(blocks.astype(float), axes=(1, 3), norm="ortho").transpose(1, 3, 0, 2).reshape(ours.shape)
    # float32 holds 24 bits: an error of a few units in the last place of the largest, 4080.
    assert np.abs(ours - scipys).max() < 4080 * 2**-22
    assert np.abs(slow_dct(blocks[0, :, 0]).ravel() - scipys[:, 0, 0]).max() < 1e-9


@given(planes)
def test_energy_is_kept(plane: np.ndarray) -> None:
    edges = laplacian(plane).astype(float)
    assert np.sum(coefficients(plane).astype(float) ** 2) == pytest.approx(np.sum(edges**2), rel=1e-5)


@given(planes)
def test_a_mirror_negates_the_odd_channels_to_the_last_bit(plane: np.ndarray) -> None:
    q, mirrored = coefficients(plane), coefficients(plane[:, ::-1])
    sign = np.array([(-1) ** (channel % 4) for channel in range(CHANNELS)], np.float32)[:, None, None]
    assert np.array_equal(mirrored[:, :, ::-1], q * sign)


def test_bits_do_not_depend_on_the_stack_or_memory_layout() -> None:
    stack = np.random.default_rng(1).integers(0, 256, (17, 24, 40), np.uint8)
    alone = np.stack([coefficients(plane) for plane in stack])
    assert np.array_equal(coefficients(stack).view(np.uint32), alone.view(np.uint32))
    strided = np.asfortranarray(stack)
    assert np.array_equal(coefficients(strided).view(np.uint32), alone.view(np.uint32))


def test_a_flat_image_has_no_coefficients() -> None:
    assert not coefficients(np.full((8, 12), 77, np.uint8)).any()


def test_channels_are_vertical_major() -> None:
    rows = np.zeros((4, 4), np.int16)
    rows[0] = 1  # varies along the vertical only: v = 0
    assert set(np.flatnonzero(dct4x4(rows)[:, 0, 0])) <= {0, 4, 8, 12}


def test_even_channels_are_exact_quarters() -> None:
    q = coefficients(np.random.default_rng(2).integers(0, 256, (64, 64), np.uint8))
    even = [4 * u + v for u in (0, 2) for v in (0, 2)]
    assert np.array_equal(q[even] * 4, np.rint(q[even] * 4))


def test_sides_must_be_multiples_of_four() -> None:
    with pytest.raises(ValueError, match="6x8: both sides must be multiples of 4"):
        dct4x4(np.zeros((6, 8), np.int16))


@given(planes)
def test_mirror_names_the_sign_of_each_channel(plane: np.ndarray) -> None:
    q, mirrored = coefficients(plane), coefficients(plane[:, ::-1])
    assert np.array_equal(mirrored[:, :, ::-1], q * MIRROR[:, None, None].astype(np.float32))


def test_channels_lie_together_in_memory() -> None:
    q = coefficients(np.random.default_rng(3).integers(0, 256, (5, 16, 24), np.uint8))
    flat = by_channel(q)
    assert np.shares_memory(flat, q)
    assert flat.flags.c_contiguous
    assert np.array_equal(flat, q.transpose(1, 0, 2, 3).reshape(16, -1))
