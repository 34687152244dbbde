"""What runs after what, with stages that only note that they were run; the real ones: tests/e2e."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ced.config import Config, EvaluateConfig
from ced.store.outputs import Manifest, Output, Store
from ced.store.session import Session
from ced.tracking.runs import pipeline_identity
from flows import pipeline

CONFIG = Config(evaluate=EvaluateConfig(methods=("jpeg", "ed", "ced-gt")))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """The stages that were run, in order, and what each was handed."""
    noted: list[tuple[str, tuple[Any, ...]]] = []

    def noting(stage: str) -> Callable[..., Output]:
        def run(*handed: Any) -> Output:
            name = f"{stage} {handed[0]}" if stage in ("train", "restorer") else stage
            noted.append((name, handed))
            return Output(Path(name), Manifest(name, "", {}, {}, {}, {}), reused=False)

        return run

    for stage in ("prepare", "edges", "label", "train", "restorer", "evaluate", "report", "publish"):
        monkeypatch.setattr(pipeline, f"{stage}_task", noting(stage))
    monkeypatch.setattr(pipeline.evaluate, "check", lambda config: noted.append(("check", (config,))))
    monkeypatch.setattr(pipeline.summary, "data", lambda prepared, classes: "text")
    monkeypatch.setattr(pipeline, "create_markdown_artifact", lambda *_, **__: None)
    return noted


def test_every_stage_up_to_the_report_in_order(calls: list[tuple[str, tuple[Any, ...]]], tmp_path: Path) -> None:
    outputs = pipeline.run_stages(CONFIG, Session(Store(tmp_path)))
    trained = ["train classifier", "train ed", "train ced-gt"]
    restorers = ["restorer ed", "restorer ced-gt"]
    order = ["check", "prepare", "edges", "label", *trained, *restorers, "evaluate", "report"]
    assert [name for name, _ in calls] == order
    assert list(outputs.trained) == ["classifier", "ed", "ced-gt"] and list(outputs.restorers) == ["ed", "ced-gt"]
    assert outputs.reported.path == Path("report")


def test_each_stage_gets_what_those_before_it_made(calls: list[tuple[str, tuple[Any, ...]]], tmp_path: Path) -> None:
    session = Session(Store(tmp_path))
    pipeline.run_stages(CONFIG, session)
    handed = dict(calls)
    assert [output.path.name for output in handed["label"][:2]] == ["prepare", "edges"]
    model, _, inputs, followed = handed["train ced-gt"]
    assert (model, inputs.labelled.path.name, inputs.classes.path.name) == ("ced-gt", "label", "edges")
    assert inputs.classifier.path.name == "train classifier" and handed["train classifier"][2].classifier is None
    assert followed.pipeline == pipeline_identity(CONFIG, session.store)
    assert [output.path.name for output in handed["restorer ced-gt"][1:4]] == [
        "train ced-gt",
        "train classifier",
        "edges",
    ]
    assert {name: output.path.name for name, output in handed["evaluate"][2].items()} == {
        "ed": "restorer ed",
        "ced-gt": "restorer ced-gt",
    }
    assert handed["evaluate"][3] is session
