"""Spectra of images, pooled: the same in any order, and over the same images where a method failed on some."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skimage import data

from ced.core import discrepancy, jpeg
from ced.core.images import luminance
from ced.core.resampling import PooledDraws
from ced.core.spectrum import CoarseSpectrum, Filled, Spectrum, likeness
from ced.evaluation import pool
from ced.evaluation.metrics import Compare
from ced.store.outputs import Manifest, Output, write_table

PLANES = [data.camera()[:64, :96], luminance(data.chelsea())[:80, :64], luminance(data.coffee())[:72, :72]]


def spectrum(*planes: np.ndarray) -> Spectrum:
    found = Spectrum.empty()
    for plane in planes:
        found.update(plane)
    return found


def damaged(plane: np.ndarray) -> np.ndarray:
    return jpeg.decode(jpeg.encode(plane, 10))


def parts(folder: Path, failed: tuple[int, ...] = ()) -> list[Path]:
    """A part an image, with a method that copies the JPEG and fails on some."""
    paths = []
    for number, plane in enumerate(PLANES):
        columns = {
            "original": Filled.of(plane).to_bytes(packed=False),
            "q010-jpeg": Filled.of(damaged(plane)).to_bytes(packed=False),
        }
        if number not in failed:
            columns["q010-copy"] = columns["q010-jpeg"]
        paths.append(folder / f"part-{number:05d}.parquet")
        write_table(paths[-1], pa.table({name: [one] for name, one in columns.items()}))
    return paths


def pooled(folder: Path, parts: list[Path], methods: list[str], judges: dict[str, Compare] | None = None) -> None:
    together = pool.Pool([10], methods, judges or {})
    for part in parts:
        together.add(part, 10)
    together.write(folder)


def everything(folder: Path) -> dict[tuple[int, str], pool.Figures]:
    return pool.figures(Output(folder, Manifest("evaluate", "f", {}, {}, {}, {}), reused=False))


def figures(folder: Path) -> dict[tuple[int, str], tuple[float, float]]:
    return {
        key: (values.get("w1", np.nan), values.get("energy", np.nan)) for key, (values, _) in everything(folder).items()
    }


def test_it_is_the_spectrum_of_all_images_in_any_order(tmp_path: Path) -> None:
    paths = parts(tmp_path / "parts")
    for name, order in (("one", paths), ("two", paths[::-1])):
        pooled(tmp_path / name, order, ["jpeg", "copy"])
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert [path.as_posix() for path in files] == [
        "pooled.parquet",
        "spectra/original.npz",
        "spectra/q010-copy.npz",
        "spectra/q010-jpeg.npz",
    ]
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    expected = likeness(spectrum(*PLANES), spectrum(*map(damaged, PLANES)))
    assert figures(tmp_path / "one") == {(10, "jpeg"): expected, (10, "copy"): expected}
    stored = Spectrum.from_bytes(pool.spectrum_file(tmp_path / "one", 10, "jpeg").read_bytes())
    assert np.array_equal(stored.counts, spectrum(*map(damaged, PLANES)).counts)


def test_a_method_that_failed_is_compared_with_the_same_images(tmp_path: Path) -> None:
    pooled(tmp_path, parts(tmp_path / "parts", failed=(1,)), ["jpeg", "copy"])
    kept = [PLANES[0], PLANES[2]]
    found = figures(tmp_path)
    assert found[10, "copy"] == likeness(spectrum(*kept), spectrum(*map(damaged, kept)))
    assert found[10, "copy"] != found[10, "jpeg"]


def test_intervals_are_over_the_images_that_the_method_restored(tmp_path: Path) -> None:
    pooled(tmp_path, parts(tmp_path / "parts", failed=(1,)), ["jpeg", "copy"])
    found = everything(tmp_path)
    for key, planes in ((10, "jpeg"), PLANES), ((10, "copy"), [PLANES[0], PLANES[2]]):
        draws = PooledDraws()
        for number, plane in enumerate(planes):
            draws.add(number, *(CoarseSpectrum.of(Filled.of(version)) for version in (plane, damaged(plane))))
        expected = draws.intervals(likeness(spectrum(*planes), spectrum(*map(damaged, planes))))
        assert expected is not None
        values, intervals = found[key]
        assert intervals == {"w1": expected[0], "energy": expected[1]}
        for name, (low, high) in intervals.items():
            assert low <= values[name] <= high


def test_features_are_compared_over_the_images_that_have_both(tmp_path: Path) -> None:
    """In the order of their numbers, whatever the order of the parts; an image without patches has none."""
    paths, features = parts(tmp_path / "parts"), np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for number, path in enumerate(paths):
        table = pq.read_table(path)
        kept = {"original": features[0, number], "q010-jpeg": features[1, number]}
        for version, one in kept.items():
            table = table.append_column(pool.column(version, "kid"), [[pool.stored(one)]])
        write_table(path, table)
    judges: dict[str, Compare] = {"kid": discrepancy.kid}
    for name, order in (("one", paths), ("two", paths[::-1])):
        pooled(tmp_path / name, order, ["jpeg"], judges)
    assert (tmp_path / "one" / pool.FILE).read_bytes() == (tmp_path / "two" / pool.FILE).read_bytes()
    values, ends = everything(tmp_path / "one")[10, "jpeg"]
    expected, intervals = discrepancy.kid([*features[0]], [*features[1]])
    assert (values["kid"], values["kid_error"], ends["kid"]) == (*expected.values(), intervals["kid"])
    assert "fid" not in values and "kid_error" not in ends


def test_a_method_that_restored_nothing_has_no_figures(tmp_path: Path) -> None:
    pooled(tmp_path, parts(tmp_path / "parts", failed=(0, 1, 2)), ["copy"])
    assert figures(tmp_path)[10, "copy"] == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert not pool.spectrum_file(tmp_path, 10, "copy").exists()
