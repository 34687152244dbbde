"""The summary of figure 6 against SciPy on all values; its merging in any order, to the last bit."""

import io
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.fft import dctn
from scipy.stats import wasserstein_distance
from skimage import data

from ced.core import jpeg, spectrum
from ced.core.frequency import dct8x8, laplacian
from ced.core.images import luminance
from ced.core.spectrum import Filled, Spectrum, likeness, wasserstein

LIVE1 = Path(__file__).parents[4] / "shared" / "data" / "live1"

sizes = st.tuples(st.integers(8, 21), st.integers(8, 21))
planes = sizes.flatmap(lambda shape: hnp.arrays(np.uint8, st.just(shape)))


def scipys(plane: np.ndarray) -> np.ndarray:
    """All coefficients by SciPy. Shape: (64, blocks) float64."""
    wide = laplacian(plane)[: plane.shape[0] // 8 * 8, : plane.shape[1] // 8 * 8].astype(float)
    blocks = wide.reshape(wide.shape[0] // 8, 8, wide.shape[1] // 8, 8).transpose(0, 2, 1, 3)
    return dctn(blocks, axes=(2, 3), norm="ortho").reshape(-1, 64).T


def same(first: Spectrum, second: Spectrum) -> bool:
    return np.array_equal(first.counts, second.counts) and np.array_equal(first.lower, second.lower)


def photographs() -> list[np.ndarray]:
    return [data.camera(), luminance(data.chelsea()), luminance(data.coffee()), data.coins()[:301, :203]]


@pytest.mark.parametrize("quality", [10, 40])
def test_w1_and_energy_have_four_right_digits(quality: int) -> None:
    originals = photographs()
    restored = [jpeg.decode(jpeg.encode(plane, quality)) for plane in originals]
    first, second = (reduce(Spectrum.update, some, Spectrum.empty()) for some in (originals, restored))
    a, b = (np.concatenate([scipys(plane) for plane in some], axis=1)[1:] for some in (originals, restored))
    w1 = np.mean([wasserstein_distance(x, y) / x.std() for x, y in zip(a, b, strict=True)])
    assert likeness(first, second) == pytest.approx((w1, (b.std(axis=1) / a.std(axis=1)).mean()), rel=5e-5)


def test_each_channels_moments_are_numpys() -> None:
    plane = data.camera()
    values, summary = scipys(plane), Spectrum.empty().update(plane)
    assert summary.blocks == values.shape[1]
    for row in range(64):
        u, v = divmod(row, 8)
        assert summary.mean(u, v) == pytest.approx(values[row].mean(), abs=1e-4)
        assert summary.deviation(u, v) == pytest.approx(values[row].std(), rel=2e-5)


def test_histograms_are_numpys() -> None:
    plane, edges = data.camera(), np.arange(-60, 61, 3)
    values, summary = scipys(plane), Spectrum.empty().update(plane)
    for u, v in ((0, 0), (0, 1), (3, 2), (7, 7)):
        ours, theirs = summary.histogram(u, v, edges), np.histogram(values[8 * u + v], edges)[0]
        assert ours.dtype == np.int64
        assert abs(ours.sum() - theirs.sum()) < 0.01 * summary.blocks
        assert np.abs(np.cumsum(ours) - np.cumsum(theirs)).max() < 0.01 * summary.blocks


@given(st.lists(planes, min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_order_and_division_do_not_matter(some: list[np.ndarray], random) -> None:  # type: ignore[no-untyped-def]
    whole = reduce(Spectrum.update, some, Spectrum.empty())
    shuffled = random.sample(some, len(some))
    cut = random.randint(0, len(some))
    parts = [reduce(Spectrum.update, part, Spectrum.empty()) for part in (shuffled[:cut], shuffled[cut:])]
    assert same(parts[0].merge(parts[1]), whole)
    assert same(parts[1].merge(parts[0]), whole)
    travelled = Spectrum.from_bytes(parts[0].to_bytes()).add(Filled.from_bytes(parts[1].to_bytes()))
    assert same(travelled, whole)
    assert travelled.to_bytes() == whole.to_bytes()
    assert whole.blocks == sum((p.shape[0] // 8) * (p.shape[1] // 8) for p in some)


@given(planes)
@settings(max_examples=50, deadline=None)
def test_the_transform_is_scipys_and_ignores_what_is_left_over(plane: np.ndarray) -> None:
    ours = dct8x8(laplacian(plane))
    assert ours.dtype == np.float32
    assert np.abs(ours - scipys(plane)).max() < 8160 * 2**-21  # float32: 24 bits, a few operations


@given(planes)
@settings(max_examples=25, deadline=None)
def test_a_perfect_restoration_is_at_distance_zero(plane: np.ndarray) -> None:
    summary = Spectrum.empty().update(plane)
    distance, energy = likeness(summary, summary)
    assert distance == 0
    assert energy == 1


def test_a_flat_original_gives_no_nan() -> None:
    flat, busy = Spectrum.empty().update(np.full((16, 24), 7, np.uint8)), Spectrum.empty().update(data.camera())
    assert likeness(flat, flat) == (0.0, 1.0)
    assert likeness(flat, busy) == (np.inf, np.inf)
    distance, energy = likeness(busy, flat)
    assert 0 < distance < 1 and energy == 0


@given(*[hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-50, 50))] * 2)
def test_the_distance_of_samples_is_scipys(first: np.ndarray, second: np.ndarray) -> None:
    def weighted(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(sample.astype(float), return_counts=True)

    expected = wasserstein_distance(first, second)
    assert wasserstein(weighted(first), weighted(second)) == pytest.approx(expected, abs=1e-9)


def test_no_planes_and_other_planes_are_refused() -> None:
    empty = Spectrum.empty()
    with pytest.raises(ValueError, match="of no planes"):
        likeness(empty, empty)
    with pytest.raises(ValueError, match="7x30 has no block"):
        empty.update(np.zeros((30, 7), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        empty.update(np.zeros((16, 16)))


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_spectrum_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a spectrum"):
        Spectrum.from_bytes(content)


def test_a_spectrum_with_other_bins_is_refused() -> None:
    stream, none = io.BytesIO(), np.zeros(0, np.int64)
    np.savez(stream, bins=np.array(5), steps=none, counts=none, lower=none)
    with pytest.raises(ValueError, match="other bins"):
        Spectrum.from_bytes(stream.getvalue())


def test_a_large_plane_is_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Spectrum.empty().update(data.camera())
    monkeypatch.setattr("ced.core.spectrum._AT_ONCE", 1000)
    assert same(Spectrum.empty().update(data.camera()), whole)


def test_every_value_is_in_the_bin_of_its_own_bits() -> None:
    """A loop over the definition in docs/evaluation.md."""
    plane, summary = data.camera()[:24, :32], Spectrum.empty().update(data.camera()[:24, :32])
    for row, values in enumerate(dct8x8(laplacian(plane))):
        counts, lower = np.zeros(6145, int), np.zeros(6145, int)
        for value in values:
            size = abs(float(value))
            if size < 2.0**-10:
                counts[3072] += 1
                continue
            octave = int(np.floor(np.log2(size)))
            place = (size / 2.0**octave - 1) * 128
            bin_ = 3073 + (octave + 10) * 128 + int(place)
            bin_ = bin_ if value > 0 else 6144 - bin_
            counts[bin_] += 1
            lower[bin_] += round((place % 1) * 65536)
        assert np.array_equal(summary.counts[row], counts)
        assert np.array_equal(summary.lower[row], lower)


def test_its_size_does_not_grow_with_the_number_of_planes() -> None:
    one, many = Spectrum.empty().update(data.camera()), Spectrum.empty()
    for _ in range(5):
        many.update(data.camera())
    assert many.counts.nbytes == one.counts.nbytes
    assert np.array_equal(many.counts, 5 * one.counts)
    assert len(many.to_bytes()) < 1.2 * len(one.to_bytes())


@pytest.mark.skipif(not LIVE1.is_dir(), reason="the LIVE1 images are not on this machine")
def test_live1_at_quality_10() -> None:
    original, restored = Spectrum.empty(), Spectrum.empty()
    for path in sorted(LIVE1.iterdir()):
        with Image.open(path) as image:
            plane = luminance(np.asarray(image.convert("RGB")))
        original.update(plane)
        restored.update(jpeg.decode(jpeg.encode(plane, 10)))
    assert [f"{figure:.3f}" for figure in likeness(original, restored)] == ["0.382", "0.544"]


@given(planes, planes)
@settings(max_examples=50, deadline=None)
def test_one_plane_is_the_bins_that_it_fills(first: np.ndarray, second: np.ndarray) -> None:
    filled = [Filled.of(plane) for plane in (first, second)]
    both = Spectrum.empty().add(filled[0]).add(filled[1])
    assert same(both, Spectrum.empty().update(first).update(second))
    assert filled[0].blocks == (first.shape[0] // 8) * (first.shape[1] // 8)
    assert same(both.without(Spectrum.empty().add(filled[1])), Spectrum.empty().update(first))


def test_what_is_stored_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for plane in (data.camera(), np.full((64, 64), 7, np.uint8)):
        assert same(Spectrum.from_bytes(Filled.of(plane).to_bytes(packed=False)), Spectrum.empty().update(plane))
    whole = Spectrum.empty().update(data.camera())
    monkeypatch.setattr(spectrum, "_AT_ONCE", 1000)  # too many blocks for exact sums at once
    assert same(Spectrum.from_bytes(Filled.of(data.camera()).to_bytes(packed=False)), whole)


@pytest.mark.parametrize("length", [5, 12, 30, 52, 5000, -1])
def test_what_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="spectrum"):
        Filled.from_bytes(Filled.of(data.camera()).to_bytes(packed=False)[:length])
