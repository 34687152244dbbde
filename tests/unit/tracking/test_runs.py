"""Runs that can be continued: everything done twice stays as if done once."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ced.errors import ServiceError
from ced.tracking import client as mlflow_tracking
from ced.tracking import runs
from ced.tracking.runs import Data, Run


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    return mlflow_tracking.connect(tracking_uri)


@pytest.fixture
def experiment(client: MlflowClient, tracking_uri: str) -> str:
    return runs.experiment(client, tracking_uri, "ced")


@pytest.fixture
def run(client: MlflowClient, experiment: str) -> Run:
    return runs.open_run(client, experiment, "publication", "pipeline", "a name")


def test_an_experiment_is_made_once_with_its_artifacts_in_the_store(
    client: MlflowClient, tracking_uri: str, experiment: str, tmp_path: Path
) -> None:
    assert runs.experiment(client, tracking_uri, "ced") == experiment
    location = client.get_experiment(experiment).artifact_location
    assert location == (tmp_path / mlflow_tracking.ARTIFACTS).as_uri()


def test_a_deleted_experiment_is_named(client: MlflowClient, tracking_uri: str, experiment: str) -> None:
    client.delete_experiment(experiment)
    with pytest.raises(ServiceError, match="'ced' is deleted"):
        runs.experiment(client, tracking_uri, "ced")


def test_a_run_is_continued_by_its_publication_and_role(client: MlflowClient, experiment: str, run: Run) -> None:
    assert client.get_run(run.id).info.run_name == "a name"
    runs.close(run, "FAILED")
    assert runs.open_run(client, experiment, "publication", "pipeline", "a name") == run
    assert client.get_run(run.id).info.status == "RUNNING"
    child = runs.open_run(client, experiment, "publication", "ed", "ed", run.id)
    other = runs.open_run(client, experiment, "another", "pipeline", "a name")
    assert len({run.id, child.id, other.id}) == 3
    assert client.get_run(child.id).data.tags["mlflow.parentRunId"] == run.id
    assert "mlflow.parentRunId" not in client.get_run(run.id).data.tags


def test_a_finished_run_stays_finished(client: MlflowClient, experiment: str, run: Run) -> None:
    runs.close(run)
    ended = client.get_run(run.id).info.end_time
    assert runs.open_run(client, experiment, "publication", "pipeline", "a name").id == run.id
    runs.close(run, "FAILED")
    info = client.get_run(run.id).info
    assert (info.status, info.end_time) == ("FINISHED", ended)


def test_nested_values_become_dotted_names() -> None:
    nested = {"train": {"steps": 5, "clip": 1.5}, "images": ["a", "b"], "flip": True, "none": ()}
    flat = {"train.steps": "5", "train.clip": "1.5", "images": "a,b", "flip": "True", "none": ""}
    assert runs.flat(nested) == flat


def test_parameters_may_be_many_and_long_and_logged_again(client: MlflowClient, run: Run) -> None:
    params = {f"p{number}": number for number in range(150)} | {"long": "x" * 10_000}
    for _ in range(2):
        runs.log_params(run, params)
    stored = client.get_run(run.id).data.params
    assert len(stored) == 151 and stored["p149"] == "149" and stored["long"] == "x" * 6000


def test_a_curve_keeps_steps_and_times_and_is_never_doubled(client: MlflowClient, run: Run) -> None:
    reports = [
        {"step": step, "steps": 1500, "time": 1000.5 + step, "loss": 1 / step, "psnr": 20.0 + step}
        for step in range(1, 1501)
    ]
    for _ in range(2):  # 3000 values: several requests
        runs.log_curve(run, reports)
    history = client.get_metric_history(run.id, "loss")
    assert [(one.step, one.timestamp, one.value) for one in sorted(history, key=lambda one: one.step)] == [
        (step, 1000_500 + 1000 * step, 1 / step) for step in range(1, 1501)
    ]
    assert client.get_run(run.id).data.metrics == {"loss": 1 / 1500, "psnr": 1520.0}


def test_final_figures_leave_out_what_is_not_finite(client: MlflowClient, run: Run) -> None:
    for _ in range(2):
        runs.log_metrics(run, {"ed/q10/psnr": 27.5, "jpeg/q10/psnr": float("inf"), "nan": float("nan")})
    assert client.get_run(run.id).data.metrics == {"ed/q10/psnr": 27.5}
    assert len(client.get_metric_history(run.id, "ed/q10/psnr")) == 1


def test_tags_replace_each_other(client: MlflowClient, run: Run) -> None:
    runs.log_tags(run, {"a": "1", "b": "2"})
    runs.log_tags(run, {"a": "3"})
    tags = client.get_run(run.id).data.tags
    assert (tags["a"], tags["b"]) == ("3", "2")


def test_names_that_mlflow_refuses_are_written_otherwise(client: MlflowClient, run: Run) -> None:
    runs.log_metrics(
        run, {"ed+/q10/psnr": 27.5, "ed/q10/psnr": 27.0, "ed/q10/BEF=\N{LATIN SMALL LETTER E WITH ACUTE}": 0.1}
    )
    runs.log_tags(run, {"ced.ed+.content": "1", "ced.ed.content": "2"})
    data = client.get_run(run.id).data
    assert data.metrics == {"ed plus/q10/psnr": 27.5, "ed/q10/psnr": 27.0, "ed/q10/BEF__": 0.1}
    assert (data.tags["ced.ed plus.content"], data.tags["ced.ed.content"]) == ("1", "2")


def test_data_sets_show_digest_context_and_counts(client: MlflowClient, run: Run) -> None:
    data = [Data("labelled", "0123456789abcdef", "/store/label", {"examples": 8}, "training")]
    for _ in range(2):
        runs.log_data(run, data)
    (logged,) = client.get_run(run.id).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("labelled", "0123456789abcdef")
    assert json.loads(logged.dataset.profile) == {"examples": 8}
    assert [(tag.key, tag.value) for tag in logged.tags] == [("mlflow.data.context", "training")]


def test_files_are_uploaded_and_replaced(client: MlflowClient, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("first", "second"):
        file.write_text(text)
        runs.log_files(run, [file], "folder")
    assert [one.path for one in client.list_artifacts(run.id, "folder")] == ["folder/a.txt"]
    assert Path(client.download_artifacts(run.id, "folder/a.txt")).read_text() == "second"
