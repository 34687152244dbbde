"""What a report shows, from outputs that were really made."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.core.frequency import dct8x8, laplacian
from ced.errors import ConfigError, FormatError
from ced.report import shown
from ced.store.outputs import Manifest, Output, read_manifest


def opened(folder: Path) -> Output:
    manifest = read_manifest(folder)
    assert manifest is not None
    return Output(folder, manifest, reused=True)


@pytest.fixture
def evaluated(evaluation_store: Path) -> Output:
    (folder,) = (evaluation_store / "evaluate").iterdir()
    return opened(folder)


@pytest.fixture
def copied(evaluated: Output, tmp_path: Path) -> Output:
    """To do with as one likes."""
    return opened(Path(shutil.copytree(evaluated.path, tmp_path / "evaluate")))


def test_every_kept_picture_is_shown_at_every_quality(evaluated: Output) -> None:
    pictures = shown.pictures(evaluated)
    assert [(p.name, p.quality) for p in pictures] == [
        ("set/cat.png", 10),
        ("set/cat.png", 20),
        ("set/cup.png", 10),
        ("set/cup.png", 20),
    ]
    assert [label for label, _ in pictures[0].versions] == ["original", "jpeg", "smooth"]
    with Image.open(evaluated.path / "pictures" / "00001-q020-smooth.png") as image:
        assert np.array_equal(pictures[3].versions[2][1], np.asarray(image))


@pytest.mark.parametrize("text", ["2", "set/cup.png", "cup.png", "cup"])
def test_a_picture_is_chosen_by_number_or_name(evaluated: Output, text: str) -> None:
    assert {picture.name for picture in shown.pictures(evaluated, (text,))} == {"set/cup.png"}


def test_chosen_pictures_stand_in_the_order_of_the_choice(evaluated: Output) -> None:
    assert [p.name for p in shown.pictures(evaluated, ("cup", "1"))] == ["set/cup.png"] * 2 + ["set/cat.png"] * 2


@pytest.mark.parametrize("text", ["3", "0", "dog", ""])
def test_a_picture_that_was_not_kept_is_refused_with_those_that_were(evaluated: Output, text: str) -> None:
    with pytest.raises(ConfigError, match=r"was not kept \(kept: 1 set/cat.png, 2 set/cup.png\)"):
        shown.pictures(evaluated, (text,))


def test_a_method_without_a_picture_is_left_out_there_alone(copied: Output) -> None:
    (copied.path / "pictures" / "00000-q010-smooth.png").unlink()
    labels = [[label for label, _ in picture.versions] for picture in shown.pictures(copied)]
    assert labels == [["original", "jpeg"]] + [["original", "jpeg", "smooth"]] * 3


def test_a_jpeg_that_was_not_measured_is_shown_all_the_same(evaluated: Output, copied: Output) -> None:
    """Something to compare with there has to be: the same pixels as where it is a row of the table."""
    for kept in (copied.path / "pictures").glob("*-jpeg.png"):
        kept.unlink()
    manifest = Manifest("evaluate", "f", {**copied.manifest.config, "methods": ["smooth"]}, {}, {}, {})
    without, whole = shown.pictures(Output(copied.path, manifest, reused=True)), shown.pictures(evaluated)
    assert len(without) == len(whole) == 4
    for one, other in zip(without, whole, strict=True):
        assert [label for label, _ in one.versions] == ["original", "jpeg", "smooth"]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one.versions, other.versions, strict=True))


def test_spectra_are_pooled_over_the_images_at_the_first_quality(evaluated: Output) -> None:
    spectra = shown.spectra(evaluated)
    assert spectra is not None
    assert (spectra.dataset, spectra.quality) == ("set", 10)
    versions = dict(spectra.versions)
    assert list(versions) == ["original", "jpeg", "smooth"]
    planes = [dict(picture.versions)["jpeg"] for picture in shown.pictures(evaluated) if picture.quality == 10]
    expected = np.concatenate([dct8x8(laplacian(plane))[9] for plane in planes])  # row 1, column 1
    assert versions["jpeg"].blocks == len(expected)
    assert versions["jpeg"].deviation(1, 1) == pytest.approx(float(expected.std()), rel=1e-4)


def test_without_spectra_there_are_none_and_a_damaged_one_is_named(copied: Output) -> None:
    (copied.path / "spectra" / "q010-jpeg.npz").write_bytes(b"words")
    with pytest.raises(FormatError, match=r"q010-jpeg.npz: not a spectrum; remove"):
        shown.spectra(copied)
    (copied.path / "spectra" / "original.npz").unlink()
    (copied.path / "spectra" / "q010-jpeg.npz").unlink()
    assert shown.spectra(copied) is None


def test_curves_and_facts_tell_of_the_training(evaluated: Output, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    trained = {"ed": Output(tmp_path, Manifest("train-ed", "f", {}, {}, {"steps": 7}, {}, seconds=3.2), reused=True)}
    (curve,) = shown.curves(trained)
    assert (curve.model, curve.points) == ("ed", ({"step": 1, "loss": 2.0},))
    told = {"images": ["a", "b"], "test_images": "c"}
    facts = dict(shown.facts(told, evaluated, trained, {"ced": "1", "torch": "2"}))
    assert facts["trained on"] == "a, b"
    assert facts["tested on"] == "c (2 images)"
    assert facts["training of ed"] == "7 steps, 3 s"
    assert facts["versions"] == "ced 1, torch 2"
    assert "trained on" not in dict(shown.facts({**told, "images": []}, evaluated, {}, {}))
