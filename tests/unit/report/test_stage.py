"""From the rows of an evaluation to a report, which is found again and redrawn as one likes it."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.config import FiguresConfig
from ced.core.frequency import dct8x8, laplacian
from ced.errors import ConfigError, FormatError, InputError
from ced.report import stage
from ced.report.stage import Evaluation
from ced.store.outputs import (
    Making,
    Manifest,
    Output,
    Store,
    make,
    read_manifest,
    sha256,
    write_bytes,
    write_table,
    write_text,
)
from ced.store.session import Session
from ced.vision.evaluate import Sources
from tests.unit.vision.test_results import TABLE


def test_versions_name_what_the_results_depend_on() -> None:
    assert {"ced", "python", "torch", "ray", "prefect", "mlflow", "pyarrow", "numpy", "pillow"} == set(stage.versions())


@pytest.fixture
def store(evaluation_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluation_store, tmp_path / "store"))


def trained(store: Path) -> Output:
    def produce(making: Making) -> None:
        lines = [{"step": s, "loss": 1 / s, "accuracy_stage_1": 0.1 * s} for s in (1, 2, 3)]
        write_text(making.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        making.counts["steps"] = 3

    return make(Store(store), "train-classifier", {"made": "up"}, {}, produce)


def test_an_evaluation_of_its_own_needs_no_pipeline(store: Path) -> None:
    evaluation = stage.find(store)
    assert evaluation.evaluated.manifest.stage == "evaluate"
    assert evaluation.trained == {}
    assert evaluation.described["test_images"] == "set"
    reported = stage.redraw(evaluation, FiguresConfig(), Session(Store(store)))
    assert {name for name in reported.manifest.parts if name.startswith("figures/")} == {
        "figures/figure-5.png",
        "figures/figure-5.svg",
        "figures/figure-6.png",
        "figures/figure-6.svg",
        "figures/plane.png",
        "figures/plane.svg",
    }
    assert reported.manifest.counts == {"rows": 4, "pictures": 4, "figures": 3}
    assert stage.redraw(stage.find(store), FiguresConfig(), Session(Store(store))).reused


def test_what_a_pipeline_made_is_found_by_its_content(store: Path) -> None:
    classifier, evaluation = trained(store), stage.find(store)
    described = {"images": ["a"], "test_images": "b"}
    complete = Evaluation(evaluation.evaluated, {"classifier": classifier}, described)
    stage.redraw(complete, FiguresConfig(), Session(Store(store)))
    for folder in (store, evaluation.evaluated.path):
        again = stage.find(folder)
        assert {name: output.path for name, output in again.trained.items()} == {"classifier": classifier.path}
        assert again.described["images"] == ["a"]
    reported = stage.redraw(stage.find(store), FiguresConfig(channels=("3-3",)), Session(Store(store)))
    assert "figures/table-1.svg" in reported.manifest.parts
    assert json.loads((reported.path / "results.json").read_text())["config"]["figures"]["channels"] == ["3-3"]


def test_the_newest_evaluation_is_taken(store: Path) -> None:
    (first,) = (store / "evaluate").iterdir()
    second = Path(shutil.copytree(first, store / "evaluate" / "another"))
    os.utime(first / "manifest.json", (1, 1))
    assert stage.find(store).evaluated.path == second
    os.utime(second / "manifest.json", (0, 0))
    assert stage.find(store).evaluated.path == first


def test_an_evaluation_with_a_report_comes_before_a_newer_one_without(store: Path) -> None:
    # As where a publication measured the champion on the same images, and reported nothing.
    evaluation = stage.find(store)
    stage.redraw(evaluation, FiguresConfig(), Session(Store(store)))
    newer = Path(shutil.copytree(evaluation.evaluated.path, store / "evaluate" / "newer"))
    stored = json.loads((newer / "manifest.json").read_text())
    (newer / "more.txt").write_text("")  # another content
    stored["parts"]["more.txt"] = sha256(newer / "more.txt")
    del stored["digest"]
    (newer / "manifest.json").write_text(json.dumps(stored))
    assert stage.find(store).evaluated.path == evaluation.evaluated.path
    assert stage.find(newer).evaluated.path == newer
    assert stage.find(newer).trained == {}


def test_a_region_of_ones_own_changes_the_photographs_and_not_the_spectra(store: Path) -> None:
    evaluation = stage.find(store)
    first, other = (
        stage.redraw(evaluation, FiguresConfig(crop=crop), Session(Store(store))) for crop in ("", "0,0,24,16")
    )
    differs = {name for name, digest in other.manifest.parts.items() if first.manifest.parts[name] != digest}
    assert {"figures/figure-5.png", "figures/figure-5.svg", "report.html"} <= differs
    assert not differs & {"figures/figure-6.png", "figures/figure-6.svg", "table.csv"}


def test_mistakes_leave_nothing_behind(store: Path, tmp_path: Path) -> None:
    evaluation = stage.find(store)
    with pytest.raises(ConfigError, match=r"reaches outside set/cat.png, which is 104 x 72 pixels"):
        stage.redraw(evaluation, FiguresConfig(crop="0,0,16,73"), Session(Store(store)))
    with pytest.raises(ConfigError, match="was not kept"):
        stage.redraw(evaluation, FiguresConfig(images=("dog",)), Session(Store(store)))
    assert not (store / "report").exists()
    with pytest.raises(InputError, match="no finished evaluation in it"):
        stage.find(trained(tmp_path / "other").path)
    with pytest.raises(InputError, match="no such folder"):
        stage.find(tmp_path / "gone")


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
    pictures = stage.pictures(evaluated)
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
    assert {picture.name for picture in stage.pictures(evaluated, (text,))} == {"set/cup.png"}


def test_chosen_pictures_stand_in_the_order_of_the_choice(evaluated: Output) -> None:
    assert [p.name for p in stage.pictures(evaluated, ("cup", "1"))] == ["set/cup.png"] * 2 + ["set/cat.png"] * 2


@pytest.mark.parametrize("text", ["3", "0", "dog", ""])
def test_a_picture_that_was_not_kept_is_refused_with_those_that_were(evaluated: Output, text: str) -> None:
    with pytest.raises(ConfigError, match=r"was not kept \(kept: 1 set/cat.png, 2 set/cup.png\)"):
        stage.pictures(evaluated, (text,))


def test_a_method_without_a_picture_is_left_out_there_alone(copied: Output) -> None:
    (copied.path / "pictures" / "00000-q010-smooth.png").unlink()
    labels = [[label for label, _ in picture.versions] for picture in stage.pictures(copied)]
    assert labels == [["original", "jpeg"]] + [["original", "jpeg", "smooth"]] * 3


def test_a_jpeg_that_was_not_measured_is_shown_all_the_same(evaluated: Output, copied: Output) -> None:
    """Something to compare with there has to be: the same pixels as where it is a row of the table."""
    for kept in (copied.path / "pictures").glob("*-jpeg.png"):
        kept.unlink()
    manifest = Manifest("evaluate", "f", {**copied.manifest.config, "methods": ["smooth"]}, {}, {}, {})
    without, whole = stage.pictures(Output(copied.path, manifest, reused=True)), stage.pictures(evaluated)
    assert len(without) == len(whole) == 4
    for picture, other in zip(without, whole, strict=True):
        assert [label for label, _ in picture.versions] == ["original", "jpeg", "smooth"]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(picture.versions, other.versions, strict=True))


def test_spectra_are_pooled_over_the_images_at_the_first_quality(evaluated: Output) -> None:
    spectra = stage.spectra(evaluated)
    assert spectra is not None
    assert (spectra.dataset, spectra.quality) == ("set", 10)
    versions = dict(spectra.versions)
    assert list(versions) == ["original", "jpeg", "smooth"]
    planes = [dict(picture.versions)["jpeg"] for picture in stage.pictures(evaluated) if picture.quality == 10]
    expected = np.concatenate([dct8x8(laplacian(plane))[9] for plane in planes])  # row 1, column 1
    assert versions["jpeg"].blocks == len(expected)
    assert versions["jpeg"].deviation(1, 1) == pytest.approx(float(expected.std()), rel=1e-4)


def test_without_spectra_there_are_none_and_a_damaged_one_is_named(copied: Output) -> None:
    (copied.path / "spectra" / "q010-jpeg.npz").write_bytes(b"words")
    with pytest.raises(FormatError, match=r"q010-jpeg.npz: not a spectrum; remove"):
        stage.spectra(copied)
    (copied.path / "spectra" / "original.npz").unlink()
    (copied.path / "spectra" / "q010-jpeg.npz").unlink()
    assert stage.spectra(copied) is None


def test_curves_and_facts_tell_of_the_training(evaluated: Output, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    trained = {"ed": Output(tmp_path, Manifest("train-ed", "f", {}, {}, {"steps": 7}, {}, seconds=3.2), reused=True)}
    (curve,) = stage.curves(trained)
    assert (curve.model, curve.points) == ("ed", ({"step": 1, "loss": 2.0},))
    described = {"images": ["a", "b"], "test_images": "c"}
    facts = dict(stage.facts(Evaluation(evaluated, trained, described), {"ced": "1", "torch": "2"}))
    assert facts["trained on"] == "a, b"
    assert facts["tested on"] == "c (2 images)"
    assert facts["training of ed"] == "7 steps, 3 s"
    assert facts["versions"] == "ced 1, torch 2"
    assert "trained on" not in dict(stage.facts(Evaluation(evaluated, {}, {**described, "images": []}), {}))


SOURCES = Sources("voc", "", "models/d.onnx", "models/s.tflite")


@pytest.fixture
def seen(tmp_path: Path) -> Output:
    def produce(making: Making) -> None:
        write_table(making.folder / "per_image.parquet", TABLE)
        write_bytes(making.folder / "pictures" / "00000-rgb-q010-jpeg.png", b"png")
        making.counts.update(images=2, objects=4)

    told = {"fit": "native", "through": "", "dataset": "voc"}
    return make(Store(tmp_path / "made", flat=True), "evaluate-vision", told, {"images": "0123"}, produce)


def test_the_files_say_the_same(seen: Output, tmp_path: Path) -> None:
    reported = stage.run_vision(SOURCES, seen, Session(Store(tmp_path / "report", flat=True)))
    results = json.loads((reported.path / "results.json").read_text())
    assert [one["map"] for one in results["rows"]] == [0.5, pytest.approx(3 / 11)]
    assert results["rows"][0]["ap"]["cow"] is None
    assert results["config"] == {
        "fit": "native",
        "through": "",
        "dataset": "voc",
        "detector": "d.onnx",
        "segmenter": "s.tflite",
        "inputs": {"images": "0123"},
    }
    assert {"ced", "onnxruntime", "ai-edge-litert"} <= set(results["versions"])
    assert next(csv.DictReader((reported.path / "table.csv").open()))["map"] == "0.5"
    assert "| Original | 0.500 | 0.500 | 1.000 |" in (reported.path / "table.md").read_text()
    assert r"Original & 0.500 & 0.500 & 1.000 \\" in (reported.path / "table.tex").read_text()
    assert (reported.path / "pictures" / "00000-rgb-q010-jpeg.png").read_bytes() == b"png"
    assert reported.manifest.counts == {"rows": 2, "pictures": 1}
    page = (reported.path / "report.html").read_text()
    assert "0.500" in page and "cG5n" in page, "the table, and the drawing embedded"
    assert "4 objects" in page and "d.onnx" in page


def test_a_finished_report_is_found(seen: Output, tmp_path: Path) -> None:
    first = stage.run_vision(SOURCES, seen, Session(Store(tmp_path / "report", flat=True)))
    again = stage.run_vision(SOURCES, seen, Session(Store(tmp_path / "report", flat=True)))
    assert (first.reused, again.reused) == (False, True)
