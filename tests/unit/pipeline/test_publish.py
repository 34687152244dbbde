"""The gate, and what makes two evaluations comparable."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ced.config import Config, PublishConfig, as_dict
from ced.errors import ServiceError
from ced.evaluation import evaluate, pool
from ced.evaluation.metrics import METRICS, per_image_schema, pooled_schema
from ced.pipeline import publish
from ced.store.outputs import Making, Output, Store, make, write_table
from ced.store.session import Session

CONFIG = {"methods": ["jpeg", "ed"], "qualities": [10, 20], "pictures": 4, "dataset": "LIVE1", "schema": "1"}


def measured(root: Path, figures: dict[tuple[str, int], list[float]], images: str = "abc", **config: Any) -> Output:
    """A finished evaluation whose PSNR-B of each method and quality are given, PSNR one more, SSIM a hundredth."""

    def produce(making: Making) -> None:
        rows = [
            {
                **{"dataset": "LIVE1", "image_id": str(number), "method": method, "quality": quality, "colour": "y"},
                **{"height": 16, "width": 16, "mse": 1.0, "bef": 0.5, "seconds": 0.1},
                **{"psnr": value + 1, "psnr_b": value, "ssim": value / 100},
                **{"bef_mse": 0.5, "ssim_gaussian": value / 100, "lpips": None, "reason": "", "message": ""},
            }
            for (method, quality), values in figures.items()
            for number, value in enumerate(values)
        ]
        write_table(making.folder / evaluate.FILE, pa.Table.from_pylist(rows, per_image_schema()))
        pooled = [{"quality": quality, "method": method, "w1": 0.1, "energy": 0.9} for method, quality in figures]
        write_table(making.folder / pool.FILE, pa.Table.from_pylist(pooled, pooled_schema()))
        making.counts["images"] = 2

    return make(Store(root), "evaluate", {**CONFIG, **config}, {"images": images, "ed": "1"}, produce)


@pytest.mark.parametrize(
    ("ours", "theirs", "promoted", "reason"),
    [
        (27.5, 27.4, True, "psnr_b 27.5000 is above the 27.4000 of version 3"),
        (27.4, 27.5, False, "psnr_b 27.4000 is not above the 27.5000 of version 3"),
        (27.5, 27.5, False, "psnr_b 27.5000 is level with the 27.5000 of version 3"),
        (math.nextafter(27.5, 28), 27.5, True, "is above the"),
        (math.nan, 27.5, False, "is not above"),
        (27.5, math.inf, False, "is not above"),
        (math.inf, 27.5, True, "is above"),
    ],
)
def test_only_what_is_strictly_better_becomes_champion(ours: float, theirs: float, promoted: bool, reason: str) -> None:
    decision = publish.decide(ours, theirs, METRICS.get("psnr_b"), "3")
    assert decision.promoted is promoted and reason in decision.reason
    assert (decision.champion, decision.champion_metric) == ("3", theirs)


@pytest.mark.parametrize(
    ("better", "ours", "theirs", "promoted", "relation"),
    [
        ("lower", 0.1, 0.2, True, "is below the"),
        ("lower", 0.2, 0.1, False, "is not below the"),
        ("one", 1.1, 0.8, True, "is nearer to 1 than the"),
        ("none", 2.0, 1.0, False, "is not above the"),
    ],
)
def test_a_gate_may_look_another_way(better: Any, ours: float, theirs: float, promoted: bool, relation: str) -> None:
    gate = dataclasses.replace(METRICS.get("ssim"), better=better)
    decision = publish.decide(ours, theirs, gate, "3")
    assert decision.promoted is promoted and relation in decision.reason


def test_figures_are_means_over_quality_factors_of_means_over_images(tmp_path: Path) -> None:
    figures = {("jpeg", 10): [1.0, 2.0], ("ed", 10): [20.0, 22.0], ("ed", 20): [30.0, 33.0]}
    found = publish._figures(measured(tmp_path, figures), "ed")
    assert found == pytest.approx({"psnr": 27.25, "psnr_b": 26.25, "ssim": 0.2625})


def test_the_key_of_an_evaluation_is_what_was_measured_on(tmp_path: Path) -> None:
    figures = {("ed", 10): [20.0, 22.0]}
    key = publish.evaluation_key(measured(tmp_path, figures))
    same = measured(tmp_path, figures, methods=["ed", "ced-gt"], pictures=0, timeout=1.0, lpips=True)
    assert publish.evaluation_key(same) == key
    for name, value in {"images": "abd", "qualities": [10], "dataset": "BSDS500", "schema": "2"}.items():
        assert publish.evaluation_key(measured(tmp_path, figures, **{name: value})) != key, name


def test_nobody_at_the_address_is_told_in_time_and_the_publication_stays_unfinished(tmp_path: Path) -> None:
    evaluated = measured(tmp_path, {("ced-gt", 10): [20.0, 21.0]})
    outputs = publish.PipelineOutputs(evaluated, evaluated, evaluated, {}, {"ced-gt": evaluated}, evaluated, evaluated)
    with pytest.raises(ServiceError, match=r"no MLflow server answers at http://127\.0\.0\.1:9;") as caught:
        publish.run(Config(), outputs, Session(Store(tmp_path), tracking_uri="http://me:secret@127.0.0.1:9"))
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert not list(tmp_path.glob("publish/*/manifest.json"))


def test_the_outputs_of_a_pipeline_are_one_value() -> None:
    names = [field.name for field in dataclasses.fields(publish.PipelineOutputs)]
    assert names == ["prepared", "classes", "labelled", "trained", "restorers", "evaluated", "reported"]


def test_the_newest_publication_of_a_store_names_its_champion(tmp_path: Path) -> None:
    """`ced restore --store` asks for what was published there last, whatever it was called."""
    assert publish.newest(tmp_path) == PublishConfig()
    for seconds, (model, alias) in enumerate((("ced", "champion"), ("mine", "best"), ("older", "first"))):
        described = {"publish": as_dict(PublishConfig(model=model, alias=alias)), "tracking_uri": "", "form": 1}
        made = make(Store(tmp_path), "publish", described, {}, lambda making: None)
        age = 1_000_000 + (seconds if model != "older" else -1)
        os.utime(made.path / "manifest.json", (age, age))
    newest = publish.newest(tmp_path)
    assert (newest.model, newest.alias) == ("mine", "best")
