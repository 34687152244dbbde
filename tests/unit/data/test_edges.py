"""What one task of the edges stage sums up: all coefficients of its parts, however the examples lie in them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from ced.config import PrepareConfig
from ced.core.frequency import CHANNELS, coefficients
from ced.core.images import luma_of
from ced.core.quantiles import Coarse, Fine
from ced.data import edges, prepare
from ced.data.sources import Photograph


def parts_of(folder: Path, config: PrepareConfig) -> list[str]:
    for number, picture in enumerate((data.chelsea(), data.coffee())):
        path = folder / f"{number}.png"
        Image.fromarray(picture).save(path)
        listed = [Photograph(path.name, str(path), "")]
        prepare.prepare_part(config, 3, str(folder), {"part": number, "photographs": listed})()
    return sorted(str(path) for path in folder.glob("examples/*.parquet"))


def all_coefficients(parts: list[str]) -> np.ndarray:
    planes = [edges.targets(pq.read_table(part)) for part in parts]
    q = np.concatenate([coefficients(luma_of(some)) for some in planes])
    return q.transpose(1, 0, 2, 3).reshape(CHANNELS, -1)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("colour", ["y", "rgb"])
@pytest.mark.parametrize("at_once", [3, 4, 128])
def test_both_passes_sum_up_every_coefficient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flip: bool, colour: str, at_once: int
) -> None:
    monkeypatch.setattr(edges, "_EXAMPLES_AT_ONCE", at_once)
    parts = parts_of(tmp_path, PrepareConfig(mode="crops", size=32, flip=flip, colour=colour))
    q = all_coefficients(parts)
    assert q.shape == (CHANNELS, 2 * 3 * (1 + flip) * 64)
    row = edges.coarse_task({"parts": parts})
    coarse, expected = Coarse.empty(CHANNELS).merge_bytes(row["summary"]), Coarse.of(q)
    assert np.array_equal(coarse.counts, expected.counts)
    assert np.array_equal(coarse.lower, expected.lower)
    bins = coarse.locate(np.array([5, 100, 300]))
    fine = Fine.empty(bins).merge_bytes(edges.fine_task(bins, {"parts": parts})["summary"])
    assert np.array_equal(fine.keys, Fine.of(q, bins).keys)
    assert np.array_equal(fine.counts, Fine.of(q, bins).counts)


def test_planes_are_pairs_only_where_every_second_one_is_a_mirror() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (4, 8, 8), np.uint8)
    planes[1], planes[3] = planes[0, :, ::-1], planes[2, :, ::-1]
    assert edges.mirrored(planes)
    assert not edges.mirrored(planes[:3])
    planes[3, 7, 7] ^= 1
    assert not edges.mirrored(planes)


def test_a_part_of_nothing_but_bad_files_adds_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("words")
    listed = [Photograph("bad.jpg", str(tmp_path / "bad.jpg"), "")]
    prepare.prepare_part(PrepareConfig(), 1, str(tmp_path), {"part": 0, "photographs": listed})()
    row = edges.coarse_task({"parts": [str(tmp_path / "examples" / "part-00000.parquet")]})
    assert not Coarse.empty(CHANNELS).merge_bytes(row["summary"]).counts.any()
