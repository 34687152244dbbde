import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct, dctn
from skimage import data

from ced.core import jpeg, sa_dct
from ced.core.images import luminance
from ced.core.metrics import measure

MIDDLE = sa_dct._REACH


def inside_polygon(lengths: tuple[int, ...]) -> np.ndarray:
    """The neighbourhood by its definition: pixels in one of the triangles between neighbouring directions."""
    side = sa_dct._SIDE
    mask = np.zeros((side, side))
    for k, one in enumerate(sa_dct._DIRECTIONS):
        two = sa_dct._DIRECTIONS[(k + 1) % 8]
        tips = [np.array(d) * (sa_dct.SCALES[lengths[(k + n) % 8]] - 1) for n, d in enumerate((one, two))]
        for y in range(side):
            for x in range(side):
                p = np.array((y - MIDDLE, x - MIDDLE))
                corners = (np.zeros(2), *tips)
                turns = [
                    np.linalg.det(np.array([b - a, p - a])) for a, b in zip(corners, (*tips, corners[0]), strict=True)
                ]
                boxed = all(min(c[i] for c in corners) <= p[i] <= max(c[i] for c in corners) for i in (0, 1))
                mask[y, x] = max(mask[y, x], boxed and (min(turns) >= -1e-6 or max(turns) <= 1e-6))
    return mask


@settings(max_examples=12, deadline=None)
@given(st.tuples(*[st.integers(0, 5)] * 8))
def test_a_neighbourhood_is_the_polygon_of_its_eight_lengths(lengths: tuple[int, ...]) -> None:
    mask = sa_dct._masks(torch.tensor(lengths)[:, None])[0].numpy()
    np.testing.assert_array_equal(mask, inside_polygon(lengths))


def reference(patch: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The SA-DCT in loops: columns moved up and transformed, then rows moved left and transformed."""
    side = len(mask)
    columns = [dct(patch[mask[:, c] > 0, c], norm="ortho") if mask[:, c].any() else np.zeros(0) for c in range(side)]
    spectrum = np.zeros((side, side))
    for k in range(side):
        row = np.array([column[k] for column in columns if len(column) > k])
        if len(row):
            spectrum[k, : len(row)] = dct(row, norm="ortho")
    return spectrum


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(0, 5)] * 8), st.integers(0, 99))
def test_the_transform_is_the_shape_adaptive_dct_and_loses_nothing(lengths: tuple[int, ...], seed: int) -> None:
    mask = sa_dct._masks(torch.tensor(lengths)[:, None])
    patch = torch.from_numpy(np.random.default_rng(seed).normal(0, 10, (1, *mask.shape[1:])).astype(np.float32)) * mask
    transform = sa_dct._Transform(mask)
    spectrum = transform.forward(patch)
    np.testing.assert_allclose(spectrum[0], reference(patch[0].numpy(), mask[0].numpy()), atol=1e-4)
    np.testing.assert_allclose(transform.backward(spectrum), patch, atol=1e-4)


def test_on_a_rectangle_it_is_the_plain_dct() -> None:
    mask = torch.zeros(1, sa_dct._SIDE, sa_dct._SIDE)
    mask[0, 3:10, 2:14] = 1
    patch = torch.rand(mask.shape) * mask
    spectrum = sa_dct._Transform(mask).forward(patch)[0]
    np.testing.assert_allclose(spectrum[:7, :12], dctn(patch[0, 3:10, 2:14].numpy(), norm="ortho"), atol=1e-5)
    assert not spectrum[7:].any()
    assert not spectrum[:, 12:].any()


def test_neighbourhoods_reach_over_even_ground_and_stop_at_edges() -> None:
    plane = torch.zeros(40, 40)
    plane[:, 20:] = 250
    lengths = sa_dct.neighbourhoods(plane, 2.0)
    longest = len(sa_dct.SCALES) - 1
    right, left = 0, 4  # directions
    assert (lengths[:, 20, 32] == longest).all()
    reach = [sa_dct.SCALES[n] for n in lengths[right, 20, 11:20].tolist()]
    assert all(20 - column >= scale for column, scale in zip(range(11, 20), reach, strict=True))
    assert lengths[left, 20, 19] == longest
    assert lengths[left, 20, 20] == 0


@pytest.mark.parametrize("scale", sa_dct.SCALES)
def test_a_directional_estimate_keeps_what_is_even_and_leans_to_a_slope(scale: int) -> None:
    kernel = sa_dct._kernel(scale)
    assert math.isclose(sum(kernel), 1)
    mean_of_slope = (scale - 1) / 2
    estimate = sum(weight * n for n, weight in enumerate(kernel))
    assert math.isclose(estimate, (1 - sa_dct._FIRST_ORDER) * mean_of_slope, abs_tol=1e-9)


def test_the_noise_of_a_table_is_the_publications() -> None:
    table = np.full((8, 8), 99.0)
    table[:3, :3] = 10
    assert math.isclose(sa_dct.noise(table), math.sqrt(0.69 * 10**1.3))
    assert math.isclose(sa_dct.noise(table.reshape(64)), sa_dct.noise(table))


@pytest.mark.parametrize("quality", [10, 40])
@pytest.mark.parametrize("step", [1, 3])
def test_a_jpeg_becomes_nearer_to_its_original_and_has_fewer_blocks(quality: int, step: int) -> None:
    original = luminance(data.coffee())[100:196, 200:328]
    damaged = jpeg.decode(jpeg.encode(original, quality))
    restored = sa_dct.deblocked(damaged, sa_dct.noise(jpeg._tables()[0, quality - 1]), step)
    assert restored.shape == damaged.shape
    before, after = (measure(original, image) for image in (damaged, restored.round().clip(0, 255).astype(np.uint8)))
    assert after.psnr > before.psnr + 0.3
    assert after.psnr_b > before.psnr_b + 1


def test_the_answer_depends_on_the_pixels_around_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On how many are filtered at a time not at all, and on pixels out of reach neither."""
    plane = luminance(data.coffee())[60:120, 60:150].astype(np.float32)
    whole = sa_dct.deblocked(plane, 9.0, 2)
    monkeypatch.setattr(sa_dct, "_POSITIONS", 77)
    np.testing.assert_allclose(sa_dct.deblocked(plane, 9.0, 2), whole, atol=1e-3)
    reach = 4 * sa_dct._REACH  # two stages of a neighbourhood around each pixel of a neighbourhood
    np.testing.assert_allclose(
        sa_dct.deblocked(plane[:, :80], 9.0, 2)[:, : 80 - reach], whole[:, : 80 - reach], atol=1e-3
    )


def test_noise_alone_falls_below_the_threshold() -> None:
    noisy = torch.from_numpy(np.random.default_rng(0).normal(100, 5, (40, 40)).astype(np.float32))
    first = sa_dct._filtered(noisy, None, sa_dct.neighbourhoods(noisy, 5.0), 5.0, 2)
    assert first.std() < 0.3 * noisy.std()


def test_without_noise_nothing_is_changed() -> None:
    plane = np.arange(48, dtype=np.uint8).reshape(6, 8)
    np.testing.assert_array_equal(sa_dct.deblocked(plane, 0.0), plane)
