"""One image: every method and quality, its spectra and pictures; failures are rows."""

import io
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from ced.config import PLAIN, EvaluateConfig
from ced.core import jpeg, metrics
from ced.core.images import luminance
from ced.core.spectrum import Spectrum
from ced.decoding import guarded
from ced.evaluation import features, perceptual
from ced.evaluation.evaluate import PARTS, SPECTRA, Fidelity, part_name
from ced.evaluation.metrics import METRICS, per_image_schema
from ced.evaluation.metrics import measured as metrics_of
from ced.evaluation.runner import BEGUN, measure_part
from ced.methods import find, parse
from ced.store.attempts import MOST, Attempts

CAT = data.chelsea()[:75, :101]


def measurer(
    folder: Path,
    *methods: str,
    pictures: int = 0,
    colour: str = "y",
    damage: str = PLAIN,
    judges: tuple[str, ...] = (),
) -> Fidelity:
    config = EvaluateConfig(colour=colour, qualities=(10, 20), judges=judges)
    prepared = tuple(find(parse(text), config, folder) for text in methods or ("jpeg",))
    return Fidelity("set", str(folder), colour, damage, prepared, pictures, metrics_of(config), per_image_schema())


def measure(
    measurer: Fidelity, image: np.ndarray | bytes = CAT, number: int = 3
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder = Path(measurer.folder)
    path = folder / "cat.png"
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        Image.fromarray(image).save(path)
    rows: list[dict[str, Any]] = []
    for quality in (10, 20):
        row = {"number": number, "name": "set/cat.png", "photographs": [("set/cat.png", str(path), "")]}
        row["patches"] = True
        answer = measure_part(measurer, row | {"quality": quality, "part": part_name(number, quality)})()
        part = folder / PARTS / part_name(number, quality)
        rows += pq.read_table(part).to_pylist() if part.exists() else []
    return answer, rows


def columns(folder: Path, quality: int) -> list[str]:
    return list(pq.read_table(folder / SPECTRA / part_name(3, quality)).column_names)


def test_one_image_at_one_quality_is_one_part_of_all_methods(tmp_path: Path) -> None:
    answer, rows = measure(measurer(tmp_path, "jpeg", "copy=command:cp {input} {output}"))
    assert answer["reason"] == ""
    assert [(r["quality"], r["method"], r["height"], r["width"], r["reason"]) for r in rows] == [
        (10, "jpeg", 75, 101, ""),
        (10, "copy", 75, 101, ""),
        (20, "jpeg", 75, 101, ""),
        (20, "copy", 75, 101, ""),
    ]
    original = luminance(CAT)
    expected = metrics.measure(original, jpeg.decode(jpeg.encode(original, 10)))
    for row in rows[:2]:
        assert {name: row[name] for name in expected._fields} == expected._asdict()
    assert rows[0]["seconds"] < rows[1]["seconds"] and rows[0]["lpips"] is None


def test_spectra_are_one_column_a_version(tmp_path: Path) -> None:
    measure(measurer(tmp_path))
    assert [columns(tmp_path, quality) for quality in (10, 20)] == [
        ["original", "q010-jpeg"],
        ["original", "q020-jpeg"],
    ]
    table = pq.read_table(tmp_path / SPECTRA / part_name(3, 20))
    restored = jpeg.decode(jpeg.encode(luminance(CAT), 20))
    stored = Spectrum.from_bytes(table["q020-jpeg"][0].as_py())
    assert np.array_equal(stored.counts, Spectrum.empty().update(restored).counts)


def test_a_failure_is_a_row_with_a_reason_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    for quality in (10, 20):
        (tmp_path / "given" / f"q{quality}").mkdir()
    Image.fromarray(luminance(CAT)).save(tmp_path / "given" / "q20" / "cat.png")
    Image.fromarray(luminance(CAT)).save(tmp_path / "given" / "q10" / "dog.png")
    answer, rows = measure(measurer(tmp_path, f"mine=folder:{tmp_path / 'given'}", "jpeg", pictures=9))
    assert answer["reason"] == "", "the image itself is all right"
    assert [(r["quality"], r["method"], r["reason"]) for r in rows] == [
        (10, "mine", "no file"),
        (10, "jpeg", ""),
        (20, "mine", ""),
        (20, "jpeg", ""),
    ]
    assert "q10/cat" in rows[0]["message"]
    assert rows[0]["psnr"] is None and rows[0]["seconds"] is None
    assert rows[2]["psnr"] == float("inf") and rows[2]["seconds"] is None, "the time of a folder is not known"
    assert columns(tmp_path, 10) == ["original", "q010-jpeg"]
    assert columns(tmp_path, 20) == ["original", "q020-mine", "q020-jpeg"]
    assert not (tmp_path / "pictures" / "00003-q010-mine.png").exists()
    assert (tmp_path / "pictures" / "00003-q020-mine.png").exists()


def ended(measurer: Fidelity, step: str, times: int) -> None:
    """What processes leave that end at a step, at both quality factors."""
    for quality in (10, 20):
        path = Path(measurer.folder, BEGUN, part_name(3, quality))
        path.unlink(missing_ok=True)
        for _ in range(times):
            Attempts(path).take(step, AssertionError)


def test_what_ends_the_process_again_and_again_has_failed(tmp_path: Path) -> None:
    mine = measurer(tmp_path, "jpeg", "mine=command:cp {input} {output}")
    ended(mine, "mine", MOST - 1)
    assert [row["reason"] for row in measure(mine)[1]] == [""] * 4
    ended(mine, "mine", MOST)
    answer, rows = measure(mine)
    assert [(row["method"], row["reason"]) for row in rows] == [("jpeg", ""), ("mine", "crashed")] * 2
    assert rows[1]["message"] == "3 times the process ended in which it restored this image"
    assert answer["reason"] == "" and not list((tmp_path / BEGUN).iterdir()), "what is done is forgotten"


def test_another_image_that_ends_the_process_is_no_fault_of_this_one(tmp_path: Path) -> None:
    """Parts are waited for while the next image is measured: what ends the process there must not count here."""
    mine = measurer(tmp_path, "jpeg", "mine=command:cp {input} {output}")
    measure(mine)
    row = {"number": 3, "quality": 10, "name": "set/cat.png"}
    row |= {"photographs": [("set/cat.png", f"{tmp_path}/cat.png", "")]}
    row |= {"part": part_name(3, 10), "patches": True}
    for _ in range(MOST):
        measure_part(mine, row)  # and the process ends before it is waited for
    assert [row["reason"] for row in measure(mine)[1]] == [""] * 4


def test_an_image_whose_decoding_ends_the_process_is_set_aside(tmp_path: Path) -> None:
    mine = measurer(tmp_path)
    ended(mine, "original", MOST)
    answer, rows = measure(mine)
    assert answer["reason"] == "crashed" and answer["message"] == "3 times the process ended that decoded it"
    assert rows == [] and not list((tmp_path / BEGUN).iterdir())


def test_an_image_that_takes_too_long_is_set_aside_at_the_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first one the process ends."""
    monkeypatch.setattr("ced.evaluation.evaluate.decode_rgb", lambda stream: time.sleep(1000))
    monkeypatch.setattr("ced.evaluation.evaluate.guarded", partial(guarded, seconds=0.3))
    mine = measurer(tmp_path)
    ended(mine, "original", 1)
    answer, rows = measure(mine)
    assert (answer["reason"], answer["message"]) == ("too slow", "decoding it takes more than 0.3 s") and rows == []


def test_colour_is_coded_and_restored_in_colour_and_measured_on_its_luminance(tmp_path: Path) -> None:
    _, rows = measure(measurer(tmp_path, pictures=9, colour="rgb"))
    damaged = jpeg.decode(jpeg.encode(CAT, 10))
    expected = metrics.measure(luminance(CAT), luminance(damaged))
    assert rows[0]["colour"] == "rgb"
    assert {name: rows[0][name] for name in expected._fields} == expected._asdict()
    with Image.open(tmp_path / "pictures" / "00003-q010-jpeg.png") as kept:
        assert np.array_equal(np.asarray(kept), damaged)


@pytest.mark.parametrize("colour", ["y", "rgb"])
def test_judges_are_shown_the_pictures_as_they_are_coded(colour: str, tmp_path: Path) -> None:
    cat = data.chelsea()[:140, :300]
    asked = measurer(tmp_path, colour=colour, judges=("dists-like", "ssimulacra2", "kid"))
    _, rows = measure(asked, cat)
    original = cat if colour == "rgb" else luminance(cat)
    restored = jpeg.decode(jpeg.encode(original, 10))
    assert rows[0]["dists_like"] == features.dists_like(original, restored)
    assert rows[0]["ssimulacra2"] == perceptual.ssimulacra2(original, restored)
    assert rows[0]["lpips"] is None
    assert columns(tmp_path, 20) == ["original", "q020-jpeg", "original/kid", "q020-jpeg/kid"]
    stored = pq.read_table(tmp_path / SPECTRA / part_name(3, 10))["q010-jpeg/kid"][0].as_py()
    assert np.array_equal(np.load(io.BytesIO(stored)), features.patches(restored))


def test_an_image_smaller_than_an_asked_judge_takes_is_set_aside(tmp_path: Path) -> None:
    asked = measurer(tmp_path)
    large = replace(METRICS.get("psnr"), smallest=31)
    answer, rows = measure(replace(asked, metrics=(*asked.metrics, large)), np.zeros((30, 40), np.uint8))
    assert (answer["message"], rows) == ("40x30 pixels, the measures take 31x31 and more", [])


def test_pictures_are_kept_of_the_first_images_alone(tmp_path: Path) -> None:
    measure(measurer(tmp_path, pictures=1), number=1)
    assert not (tmp_path / "pictures").exists()
    measure(measurer(tmp_path, pictures=1), number=0)
    with Image.open(tmp_path / "pictures" / "00000-original.png") as kept:
        assert np.array_equal(np.asarray(kept), luminance(CAT))
    with Image.open(tmp_path / "pictures" / "00000-q020-jpeg.png") as kept:
        assert np.array_equal(np.asarray(kept), jpeg.decode(jpeg.encode(luminance(CAT), 20)))


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"words", "not an image")])
def test_a_bad_image_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    answer, rows = measure(measurer(tmp_path), content)
    assert (answer["reason"], rows) == (reason, [])


def test_an_image_smaller_than_a_measures_window_says_so(tmp_path: Path) -> None:
    answer, _ = measure(measurer(tmp_path), np.zeros((30, 10), np.uint8))
    assert (answer["reason"], answer["message"]) == ("too small", "10x30 pixels, the measures take 11x11 and more")
    answer, rows = measure(measurer(tmp_path), np.zeros((11, 11), np.uint8))
    assert answer["reason"] == "" and len(rows) == 2


@pytest.mark.parametrize("damage", ["double", "shifted", "resized"])
@pytest.mark.parametrize("colour", ["y", "rgb"])
def test_after_another_damage_all_is_compared_with_the_original_moved_alike(
    tmp_path: Path, damage: str, colour: str
) -> None:
    """As it is coded, luminance or colour; JPEG's picture is kept though it is not measured."""
    _, rows = measure(measurer(tmp_path, "copy=command:cp {input} {output}", pictures=9, colour=colour, damage=damage))
    coded = luminance(CAT) if colour == "y" else CAT
    target = jpeg.moved(coded, damage)
    for row, quality in zip(rows, (10, 20), strict=True):
        left = jpeg.decode(jpeg.degrade(coded, quality, damage))
        planes = (target, left) if colour == "y" else (luminance(target), luminance(left))
        assert row["psnr"] == metrics.measure(*planes).psnr
        assert (row["height"], row["width"]) == target.shape[:2]
        with Image.open(tmp_path / "pictures" / f"00003-q{quality:03d}-jpeg.png") as kept:
            assert np.array_equal(np.asarray(kept), left)
    assert rows[0]["psnr"] < rows[1]["psnr"]
