"""A finished evaluation is found with its models, and drawn again as one likes it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from ced.config import FiguresConfig
from ced.errors import ConfigError, InputError
from ced.report import redraw, stage
from ced.store.outputs import Making, Output, Store, make, write_text
from ced.store.session import Session


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
    found = redraw.find(store)
    assert found.evaluated.manifest.stage == "evaluate"
    assert found.trained == {}
    assert found.told["test_images"] == "set"
    made = redraw.redraw(found, FiguresConfig(), Session(Store(store)))
    assert {name for name in made.manifest.parts if name.startswith("figures/")} == {
        "figures/figure-5.png",
        "figures/figure-5.svg",
        "figures/figure-6.png",
        "figures/figure-6.svg",
    }
    assert made.manifest.counts == {"rows": 4, "pictures": 4, "figures": 2}
    assert redraw.redraw(redraw.find(store), FiguresConfig(), Session(Store(store))).reused


def test_what_a_pipeline_made_is_found_by_its_content(store: Path) -> None:
    classifier, found = trained(store), redraw.find(store)
    told = {"images": ["a"], "test_images": "b"}
    stage.redraw(told, FiguresConfig(), found.evaluated, {"classifier": classifier}, Session(Store(store)))
    for folder in (store, found.evaluated.path):
        again = redraw.find(folder)
        assert {name: output.path for name, output in again.trained.items()} == {"classifier": classifier.path}
        assert again.told["images"] == ["a"]
    made = redraw.redraw(redraw.find(store), FiguresConfig(channels=("3-3",)), Session(Store(store)))
    assert "figures/table-1.svg" in made.manifest.parts
    assert json.loads((made.path / "results.json").read_text())["config"]["figures"]["channels"] == ["3-3"]


def test_the_newest_evaluation_is_taken(store: Path) -> None:
    (first,) = (store / "evaluate").iterdir()
    second = Path(shutil.copytree(first, store / "evaluate" / "another"))
    os.utime(first / "manifest.json", (1, 1))
    assert redraw.find(store).evaluated.path == second
    os.utime(second / "manifest.json", (0, 0))
    assert redraw.find(store).evaluated.path == first


def test_an_evaluation_with_a_report_comes_before_a_newer_one_without(store: Path) -> None:
    # As where a publication measured the champion on the same images, and reported nothing.
    found = redraw.find(store)
    redraw.redraw(found, FiguresConfig(), Session(Store(store)))
    newer = Path(shutil.copytree(found.evaluated.path, store / "evaluate" / "newer"))
    stored = json.loads((newer / "manifest.json").read_text())
    stored["parts"] = {**stored["parts"], "per_image.parquet": "0"}  # another content
    (newer / "manifest.json").write_text(json.dumps(stored))
    assert redraw.find(store).evaluated.path == found.evaluated.path
    assert redraw.find(newer).evaluated.path == newer
    assert redraw.find(newer).trained == {}


def test_a_region_of_ones_own_changes_the_photographs_and_not_the_spectra(store: Path) -> None:
    found = redraw.find(store)
    one, other = (redraw.redraw(found, FiguresConfig(crop=crop), Session(Store(store))) for crop in ("", "0,0,24,16"))
    differs = {name for name, digest in other.manifest.parts.items() if one.manifest.parts[name] != digest}
    assert {"figures/figure-5.png", "figures/figure-5.svg", "report.html"} <= differs
    assert not differs & {"figures/figure-6.png", "figures/figure-6.svg", "table.csv"}


def test_mistakes_leave_nothing_behind(store: Path, tmp_path: Path) -> None:
    found = redraw.find(store)
    with pytest.raises(ConfigError, match=r"reaches outside set/cat.png, which is 104 x 72 pixels"):
        redraw.redraw(found, FiguresConfig(crop="0,0,16,73"), Session(Store(store)))
    with pytest.raises(ConfigError, match="was not kept"):
        redraw.redraw(found, FiguresConfig(images=("dog",)), Session(Store(store)))
    assert not (store / "report").exists()
    with pytest.raises(InputError, match="no finished evaluation in it"):
        redraw.find(trained(tmp_path / "other").path)
    with pytest.raises(InputError, match="no such folder"):
        redraw.find(tmp_path / "gone")
