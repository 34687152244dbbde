"""Entries of metrics: how they read, and what follows from one that a test declares."""

import dataclasses
import json
import math
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ced.config import EvaluateConfig
from ced.core.images import luminance
from ced.core.jpeg import decode, encode
from ced.errors import ConfigError
from ced.evaluation import evaluate, metrics
from ced.evaluation.metrics import METRICS, Comparison, Metric, Row
from ced.report import results, tables
from ced.report.html import table_section
from ced.store.outputs import Store
from ced.store.session import Session

JUDGES = ("dists_like", "ssimulacra2", "lpips", "dists")  # of single images
BEF, PSNR = METRICS.get("bef_mse_bound"), METRICS.get("psnr")


def worst_pixel(compared: Comparison) -> float:
    """The largest error of a pixel."""
    return float(np.abs(compared.original.astype(int) - compared.restored).max())


WORST = Metric(
    name="worst",
    heading="Worst",
    unit="gray levels",
    decimals=1,
    better="lower",
    legend="The largest error of a pixel.",
    per_image=worst_pixel,
    gate=True,
)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric of one's own, for the length of a test."""
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    METRICS.add("worst", WORST)
    return WORST


def test_columns_stand_as_the_paper_prints_them() -> None:
    printed = [metric for metric in metrics.in_tables() if metric.paper]
    assert [(m.heading, m.decimals) for m in printed] == [("BEF/MSE>", 3), ("PSNR", 2), ("PSNR-B", 2), ("SSIM", 3)]
    assert [m.better for m in printed] == ["lower", "higher", "higher", "higher"]


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (BEF, 0.0069, "0.007"),
        (PSNR, 27.7683, "27.77"),
        (METRICS.get("psnr_b"), 25.3, "25.30"),
        (METRICS.get("ssim"), 1.0, "1.000"),
        (BEF, -0.0001, "0.000"),
        (BEF, -0.25, "-0.250"),
        (PSNR, math.inf, "∞"),
        (PSNR, -math.inf, "−∞"),
        (BEF, math.nan, "–"),
    ],
)
def test_figures_have_the_papers_decimals(metric: Metric, value: float, text: str) -> None:
    assert metric.text(value) == text


def test_a_figure_that_was_not_measured_is_nan() -> None:
    assert math.isnan(Row("set", 10, "y", "jpeg", 1).value("psnr"))


@pytest.mark.parametrize("ways", [{}, {"per_image": worst_pixel, "pooled": attrgetter("w1")}])
def test_a_metric_is_computed_in_one_way(ways: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="metric 'worst': give exactly one of per_image, of_means"):
        dataclasses.replace(WORST, **{"per_image": None, **ways})


def test_a_gate_is_one_that_says_so(added: Metric) -> None:
    assert metrics.gate("worst") is added
    with pytest.raises(ConfigError, match="publish.gate = 'w1': use one of psnr, psnr_b, ssim, worst"):
        metrics.gate("w1")


def test_names_are_taken_once(added: Metric) -> None:
    for name in ("psnr", "worst"):
        with pytest.raises(ConfigError, match=f"metric '{name}' exists already"):
            METRICS.add(name, added)


def test_workers_and_disks_do_not_change_what_is_stored() -> None:
    assert metrics.added() == []
    figures = [field.name for field in metrics.per_image_schema() if field.nullable]
    assert sorted(figures) == sorted(
        [*("mse", "bef", "bef_mse", "psnr", "psnr_b", "ssim", "ssim_gaussian", *JUDGES), "seconds"]
    )
    assert metrics.pooled_schema().names == [
        *("quality", "method", "w1", "w1_low", "w1_high", "energy", "energy_low", "energy_high"),
        *(f"{name}{end}" for name in ("kid", "kid_error", "fid") for end in ("", "_low", "_high")),
    ]


def test_judges_are_measured_where_they_are_asked_for() -> None:
    always = [metric.name for metric in metrics.measured(EvaluateConfig())]
    assert not {*always} & {*JUDGES, "kid", "fid"}
    asked = metrics.measured(EvaluateConfig(judges=("kid", "dists-like")))
    assert {metric.name for metric in asked} - {*always} == {"kid", "dists_like"}
    assert EvaluateConfig(judges=("kid", "lpips"), lpips=True).asked == ("kid", "lpips")
    with pytest.raises(ConfigError, match="evaluate.judges: unknown judge 'dist'; did you mean 'dists'"):
        metrics.measured(EvaluateConfig(judges=("dist",)))


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts in this process, in place of Ray."""

    def run_tasks(function: Any, rows: list[dict[str, Any]], workers: int = 0) -> Any:
        for row in rows:
            answer = function(row)
            yield answer() if callable(answer) else answer

    monkeypatch.setattr("ced.cluster.parts.run_tasks", run_tasks)


def test_a_metric_that_is_declared_alone_is_everywhere(added: Metric, measured_here: None, tmp_path: Path) -> None:
    """Schema, means, intervals, results.json, every table, the page and MLflow's names follow from the entry."""
    (tmp_path / "set").mkdir()
    planes = [np.random.default_rng(seed).integers(0, 256, (24, 32), dtype=np.uint8) for seed in (0, 1)]
    for number, plane in enumerate(planes):
        Image.fromarray(plane).save(tmp_path / "set" / f"{number}.png")
    config, session = EvaluateConfig(methods=("jpeg",), pictures=0), Session(Store(tmp_path / "store"))
    output = evaluate.run(config, str(tmp_path / "set"), {}, session)

    lumas = [luminance(np.stack([plane] * 3, axis=2)) for plane in planes]
    expected = [float(np.abs(luma.astype(int) - decode(encode(luma, 10))).max()) for luma in lumas]
    assert pq.read_table(output.path / "per_image.parquet")["worst"].to_pylist() == expected
    assert output.manifest.config["metrics"] == ["worst"], "measured again where another one is asked for"
    rows = evaluate.rows_of(output)
    assert rows[0].value("worst") == np.mean(expected)
    low, high = rows[0].intervals["worst"]
    assert (low, high) == (min(expected), max(expected))
    assert evaluate.figures_of(rows)["jpeg/q10/worst"] == np.mean(expected)

    whole = results.results_json(rows, {}, {})
    (stored,) = json.loads(whole)["rows"]
    assert results.row_from(stored).value("worst") == rows[0].value("worst")
    printed = added.text(rows[0].value("worst"))
    for rendered in (tables.terminal(rows, 250), tables.markdown(rows), tables.latex(rows), table_section(rows)):
        assert "Worst" in rendered and printed in rendered
    assert "worst,worst_low" not in results.sheet(rows) and "worst_low" in results.sheet(rows)
    assert "The largest error of a pixel." in table_section(rows)
