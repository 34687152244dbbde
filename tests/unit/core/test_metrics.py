"""The measures against loops that follow the protocol, scikit-image, and the paper's own figures."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from ced.core import jpeg, metrics
from ced.core.images import luminance

LIVE1 = Path(__file__).parents[4] / "shared" / "data" / "live1"

sides = st.tuples(st.integers(11, 26), st.integers(11, 26))
pairs = sides.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, st.just(shape))] * 2))


def slow_bef(plane: np.ndarray) -> float:
    height, width = plane.shape
    border = other = 0
    for y in range(height):
        for x in range(width):
            for ny, nx, at in ((y, x + 1, x), (y + 1, x, y)):
                if ny < height and nx < width:
                    squared = (int(plane[y, x]) - int(plane[ny, nx])) ** 2
                    if at % 8 == 7:
                        border += squared
                    else:
                        other += squared
    pairs_at_borders = height * (width / 8 - 1) + width * (height / 8 - 1)
    d_b = border / pairs_at_borders
    d_bc = other / (height * (width - 1) + width * (height - 1) - pairs_at_borders)
    return math.log2(8) / math.log2(min(height, width)) * (d_b - d_bc) if d_b > d_bc else 0.0


def yim_and_bovik(plane: np.ndarray) -> float:
    """BEF by masks over all differences at once, as the definition's sets of pairs."""
    wide, height, width = plane.astype(float), *plane.shape
    columns, rows = np.arange(width - 1) % 8 == 7, np.arange(height - 1) % 8 == 7
    across, down = (wide[:, 1:] - wide[:, :-1]) ** 2, (wide[1:] - wide[:-1]) ** 2
    n_b = height * (width / 8 - 1) + width * (height / 8 - 1)
    n_bc = across.size + down.size - n_b
    d_b = (across[:, columns].sum() + down[rows].sum()) / n_b
    d_bc = (across[:, ~columns].sum() + down[~rows].sum()) / n_bc
    return max(0.0, d_b - d_bc) * 3 / np.log2(min(height, width))


@given(pairs)
@settings(max_examples=25, deadline=None)
def test_every_measure_equals_its_loop(planes: tuple[np.ndarray, np.ndarray]) -> None:
    original, restored = planes
    quality = metrics.measure(original, restored)
    mse = np.mean((original.astype(float) - restored) ** 2)
    assert quality.mse == pytest.approx(mse)
    assert quality.bef == pytest.approx(slow_bef(restored))
    assert quality.bef == pytest.approx(yim_and_bovik(restored))
    assert quality.ssim == metrics.ssim(original, restored)
    assert quality.ssim_gaussian == metrics.ssim_gaussian(original, restored)
    if mse:
        assert quality.bef_mse == pytest.approx(slow_bef(restored) / mse)
        assert quality.psnr == pytest.approx(10 * math.log10(255**2 / mse))
        assert quality.psnr_b == pytest.approx(10 * math.log10(255**2 / (mse + slow_bef(restored))))


@pytest.mark.parametrize("shape", [(101, 77), (11, 11), (64, 64), (481, 321)])
def test_psnr_equals_scikit_images(shape: tuple[int, int]) -> None:
    original = data.camera()[: shape[0], : shape[1]]
    restored = jpeg.decode(jpeg.encode(original, 10))
    assert metrics.measure(original, restored).psnr == pytest.approx(peak_signal_noise_ratio(original, restored))


def test_identical_planes_are_perfect() -> None:
    plane = data.camera()[:64, :60]
    flat = np.full((16, 16), 9, np.uint8)
    assert metrics.measure(flat, flat) == (0.0, 0.0, 0.0, math.inf, math.inf, 1.0, pytest.approx(1.0))
    quality = metrics.measure(plane, plane)
    assert (quality.mse, quality.psnr, quality.ssim) == (0.0, math.inf, pytest.approx(1.0))


def test_a_reference_measures_as_often_as_one_likes() -> None:
    original = data.camera()[:65, :123]
    reference = metrics.Reference.of(original)
    for quality in (10, 20, 10):
        restored = jpeg.decode(jpeg.encode(original, quality))
        assert reference.measure(restored) == metrics.measure(original, restored)


@pytest.mark.parametrize(
    ("bef", "mse", "ratio"), [(0.0, 0.0, 0.0), (0.0, 5.0, 0.0), (2.0, 4.0, 0.5), (1.0, 0.0, math.inf)]
)
def test_the_share_of_blocks_in_the_error(bef: float, mse: float, ratio: float) -> None:
    assert metrics.relative(bef, mse) == ratio


def test_a_flat_restoration_has_no_block_effect() -> None:
    assert metrics.blocking_effect_factor(np.full((24, 17), 100, np.uint8)) == 0.0


def test_blocks_show_only_where_they_are() -> None:
    checkers = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.uint8) * 200
    assert metrics.blocking_effect_factor(checkers) > 1000
    assert metrics.blocking_effect_factor(np.roll(checkers, 4, axis=(0, 1))) == 0.0


def test_transposition_changes_nothing() -> None:
    original = data.camera()[:65, :123]
    restored = jpeg.decode(jpeg.encode(original, 10))
    assert metrics.measure(original.T, restored.T) == pytest.approx(metrics.measure(original, restored))


def test_the_bound_enters_the_means_as_printed() -> None:
    assert metrics.bef_mse_bound(27.7698, 25.3325) == pytest.approx(10**0.244 - 1)
    assert metrics.bef_mse_bound(29.404, 29.092) == pytest.approx(10**0.031 - 1)
    assert metrics.bef_mse_bound(math.inf, math.inf) == 0.0


@pytest.mark.parametrize(
    ("original", "restored", "clause"),
    [
        (np.zeros((16, 16), np.uint8), np.zeros((16, 17), np.uint8), "different size: 16x16 and 17x16"),
        (np.zeros((10, 16), np.uint8), np.zeros((10, 16), np.uint8), "16x10 is too small: the measures take 11x11"),
        (np.zeros((16, 16)), np.zeros((16, 16)), "uint8"),
    ],
)
def test_other_planes_are_refused(original: np.ndarray, restored: np.ndarray, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        metrics.measure(original, restored)


@pytest.mark.skipif(not LIVE1.is_dir(), reason="the LIVE1 images are not on this machine")
@pytest.mark.parametrize(
    ("quality", "row"), [(10, ("27.77", "25.33", "0.791", "0.754")), (20, ("30.07", "27.57", "0.868", "0.778"))]
)
def test_the_jpeg_rows_of_table_2_to_the_last_printed_digit(quality: int, row: tuple[str, ...]) -> None:
    measured = []
    for path in sorted(LIVE1.iterdir()):
        with Image.open(path) as image:
            original = luminance(np.asarray(image.convert("RGB")))
        measured.append(metrics.measure(original, jpeg.decode(jpeg.encode(original, quality))))
    psnr, psnr_b, ssim = np.mean([(m.psnr, m.psnr_b, m.ssim) for m in measured], axis=0)
    bound = metrics.bef_mse_bound(psnr, psnr_b)
    assert len(measured) == 29
    assert (f"{psnr:.2f}", f"{psnr_b:.2f}", f"{ssim:.3f}", f"{bound:.3f}") == row
    if quality == 10:
        assert f"{np.mean([m.ssim_gaussian for m in measured]):.4f}" == "0.7730"
