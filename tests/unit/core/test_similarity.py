"""Both forms of SSIM against loops that follow the definition, SciPy's filters and scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import data
from skimage.metrics import structural_similarity

from ced.core import jpeg
from ced.core.similarity import GAUSSIAN, UNIFORM, Gaussian, Uniform

sides = st.tuples(st.integers(11, 20), st.integers(11, 20))
pairs = sides.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, st.just(shape))] * 2))

UNIFORM_WINDOW = np.full((8, 8), 1 / 64)
_distances = np.arange(-5, 6)
_squares = _distances[:, None] ** 2 + _distances[None, :] ** 2
GAUSSIAN_WINDOW = np.exp(-_squares / (2 * 1.5**2)) / np.exp(-_squares / (2 * 1.5**2)).sum()


def slow(x: np.ndarray, y: np.ndarray, window: np.ndarray) -> float:
    """The definition, window by window."""
    side, values = len(window), []
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for top in range(x.shape[0] - side + 1):
        for left in range(x.shape[1] - side + 1):
            a = x[top : top + side, left : left + side].astype(float)
            b = y[top : top + side, left : left + side].astype(float)
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            luma = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            values.append(luma * (2 * covariance + c2) / (var_a + var_b + c2))
    return float(np.mean(values))


def filtered(x: np.ndarray, y: np.ndarray, window: np.ndarray) -> float:
    """SciPy's correlation with the window, cut to valid positions."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    a, b, side = x.astype(float), y.astype(float), len(window)

    def mean(plane: np.ndarray) -> np.ndarray:
        whole = ndimage.correlate(plane, window)
        return whole[side // 2 :, side // 2 :][: x.shape[0] - side + 1, : x.shape[1] - side + 1]

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) + mean(b * b) - mean_a**2 - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    luma = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luma * (2 * covariance + c2) / (variances + c2)).mean())


@given(pairs)
@settings(max_examples=25, deadline=None)
def test_both_equal_the_loop(planes: tuple[np.ndarray, np.ndarray]) -> None:
    original, restored = planes
    assert Uniform.of(original).ssim(restored) == pytest.approx(slow(original, restored, UNIFORM_WINDOW), abs=1e-9)
    assert Gaussian.of(original).ssim(restored) == pytest.approx(slow(original, restored, GAUSSIAN_WINDOW), abs=1e-9)


@pytest.mark.parametrize("shape", [(11, 11), (64, 33), (101, 77), (300, 451)])
def test_both_equal_scipys_filters_and_scikit_image_on_photographs(shape: tuple[int, int]) -> None:
    original = data.camera()[: shape[0], : shape[1]]
    restored = jpeg.decode(jpeg.encode(original, 10))
    uniform, gaussian = Uniform.of(original).ssim(restored), Gaussian.of(original).ssim(restored)
    assert uniform == pytest.approx(filtered(original, restored, UNIFORM_WINDOW), abs=1e-9)
    assert gaussian == pytest.approx(filtered(original, restored, GAUSSIAN_WINDOW), abs=1e-9)
    theirs = structural_similarity(
        original, restored, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert gaussian == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("form", "side"), [(Uniform, UNIFORM), (Gaussian, GAUSSIAN)])
def test_one_window_is_enough(form: type[Uniform] | type[Gaussian], side: int) -> None:
    plane = data.camera()[:side, :side]
    other = 255 - plane
    window = UNIFORM_WINDOW if side == UNIFORM else GAUSSIAN_WINDOW
    assert form.of(plane).ssim(other) == pytest.approx(slow(plane, other, window), abs=1e-9)


@pytest.mark.parametrize("form", [Uniform, Gaussian])
def test_identity_symmetry_and_flat_images(form: type[Uniform] | type[Gaussian]) -> None:
    plane, flat = data.camera()[:75, :101], np.full((75, 101), 200, np.uint8)
    other = jpeg.decode(jpeg.encode(plane, 20))
    assert form.of(plane).ssim(plane) == pytest.approx(1, abs=1e-9)
    assert form.of(flat).ssim(flat) == pytest.approx(1, abs=1e-9)
    assert form.of(plane).ssim(other) == pytest.approx(form.of(other).ssim(plane), abs=1e-9)
    black = np.zeros_like(flat)
    c1 = (0.01 * 255) ** 2
    assert form.of(flat).ssim(black) == pytest.approx(c1 / (200**2 + c1), rel=1e-3)  # two flat images: luminance alone
    assert form.of(data.brick()[:75, :101]).ssim(flat) < 0.5


@pytest.mark.parametrize("form", [Uniform, Gaussian])
def test_strips_leave_no_seam(form: type[Uniform] | type[Gaussian]) -> None:
    """The mean of a tall image is that of its rows of windows, however many strips they were computed in."""
    original = data.camera()[:140, :60]
    restored = jpeg.decode(jpeg.encode(original, 10))
    side = UNIFORM if form is Uniform else GAUSSIAN
    rows = [form.of(original[t : t + side]).ssim(restored[t : t + side]) for t in range(140 - side + 1)]
    assert form.of(original).ssim(restored) == pytest.approx(np.mean(rows), abs=1e-9)
