"""What images add to W1 and energy, against pooling the drawn images anew."""

import numpy as np
import pytest
from skimage import data

from ced.core import jpeg
from ced.core.bootstrap import SEED
from ced.core.images import luminance
from ced.core.influence import Influence, pooled_intervals
from ced.core.spectrum import Spectrum, likeness, load

PLANES = [
    np.ascontiguousarray(plane[top : top + 64 + 8 * (top % 3), left : left + 72])
    for plane in (data.camera(), luminance(data.chelsea()), luminance(data.coffee()), data.brick())
    for top, left in ((0, 0), (40, 90), (100, 50), (130, 160), (170, 300))
]
DAMAGED = [jpeg.decode(jpeg.encode(plane, 10)) for plane in PLANES]


def pooled(planes: list[np.ndarray]) -> Spectrum:
    total = Spectrum.empty()
    for plane in planes:
        total.update(plane)
    return total


def added(influence: Influence, planes: list[np.ndarray], restored: list[np.ndarray]) -> np.ndarray:
    pairs = zip(planes, restored, strict=True)
    return np.array([influence.added(*(load(Spectrum.bytes_of(one)) for one in pair)) for pair in pairs])


@pytest.fixture(scope="module")
def influence() -> Influence:
    found = Influence.of(pooled(PLANES), pooled(DAMAGED))
    assert found is not None
    return found


def test_what_all_images_add_is_the_figure_itself(influence: Influence) -> None:
    w1, energy, blocks = added(influence, PLANES, DAMAGED).sum(axis=0)
    assert blocks == sum((p.shape[0] // 8) * (p.shape[1] // 8) for p in PLANES)
    assert (w1 / blocks, energy / blocks) == pytest.approx(likeness(pooled(PLANES), pooled(DAMAGED)), rel=1e-9)


@pytest.mark.parametrize("number", [0, 3, 11])
def test_one_image_more_moves_the_figures_as_predicted(influence: Influence, number: int) -> None:
    """One image more, of 200 times all: the first-order change is the real one up to a fiftieth of it."""

    def more(planes: list[np.ndarray]) -> Spectrum:
        total = pooled(planes)
        return Spectrum(200 * total.counts, 200 * total.lower).update(planes[number])

    all_of_them = added(influence, PLANES, DAMAGED)
    sums = 200 * all_of_them.sum(axis=0) + all_of_them[number]
    before = np.array(likeness(pooled(PLANES), pooled(DAMAGED)))
    after = np.array(likeness(more(PLANES), more(DAMAGED)))
    assert np.abs(after - before).max() > 1e-5
    assert sums[:2] / sums[2] - before == pytest.approx(after - before, rel=0.02, abs=1e-6)


def test_intervals_are_those_of_pooling_the_drawn_images_anew(influence: Influence) -> None:
    """200 of the very draws, pooled in full: the same middle and ends, up to a sixth of the interval's width."""
    found = pooled_intervals([influence.added(*map(load, pair)) for pair in stored()])
    generator = np.random.Generator(np.random.Philox(key=SEED))
    drawn = generator.integers(0, len(PLANES), (2000, len(PLANES)))[:200]
    spectra = [(Spectrum.from_bytes(first), Spectrum.from_bytes(second)) for first, second in stored()]
    figures = []
    for draw in drawn:
        counts = np.bincount(draw, minlength=len(PLANES))
        sides = [
            Spectrum(
                sum(n * pair[side].counts for n, pair in zip(counts, spectra, strict=True)),
                sum(n * pair[side].lower for n, pair in zip(counts, spectra, strict=True)),
            )
            for side in (0, 1)
        ]
        figures.append(likeness(*sides))
    low, high = np.quantile(figures, [0.025, 0.975], axis=0)
    for column, interval in enumerate(found):
        slack = (high[column] - low[column]) / 6
        assert abs(interval.low - low[column]) < slack and abs(interval.high - high[column]) < slack
        assert interval.low < likeness(pooled(PLANES), pooled(DAMAGED))[column] < interval.high


def stored() -> list[tuple[bytes, bytes]]:
    return [(Spectrum.bytes_of(a), Spectrum.bytes_of(b)) for a, b in zip(PLANES, DAMAGED, strict=True)]


def test_identical_images_have_intervals_without_width() -> None:
    same = Influence.of(pooled(PLANES), pooled(PLANES))
    assert same is not None
    found = pooled_intervals([same.added(*(load(Spectrum.bytes_of(plane)),) * 2) for plane in PLANES])
    assert found.w1 == (0, 0) and found.energy == pytest.approx((1, 1), abs=1e-12)


def test_a_flat_restoration_has_energy_0() -> None:
    flat = [np.full_like(plane, 128) for plane in PLANES]
    table = Influence.of(pooled(PLANES), pooled(flat))
    assert table is not None
    sums = added(table, PLANES, flat).sum(axis=0)
    assert sums[1] / sums[2] == 0
    assert sums[0] / sums[2] == pytest.approx(likeness(pooled(PLANES), pooled(flat)).w1, rel=1e-9)


def test_flat_originals_have_none_or_no_width() -> None:
    flat = [np.full((64, 64), value, np.uint8) for value in (10, 90)]
    assert Influence.of(pooled(flat), pooled(DAMAGED)) is None
    table = Influence.of(pooled(flat), pooled(flat))
    assert table is not None
    found = pooled_intervals([table.added(*(load(Spectrum.bytes_of(plane)),) * 2) for plane in flat])
    assert found.w1 == (0, 0) and found.energy == pytest.approx((1, 1))


def test_no_images_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no images"):
        pooled_intervals([])
