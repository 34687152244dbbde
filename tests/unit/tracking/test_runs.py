"""Runs that can be continued: everything done twice stays as if done once."""

import dataclasses
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ced.config import ClusterConfig, Config, as_dict
from ced.errors import ServiceError
from ced.store.outputs import Store
from ced.tracking import client, runs
from ced.tracking.runs import (
    LIVE,
    PUBLISH,
    ROLE,
    Dataset,
    Experiment,
    Run,
    pipeline_identity,
    public_settings,
)

TAGS = {PUBLISH: "publication", ROLE: "pipeline"}


@pytest.fixture
def experiment(tracking_uri: str) -> Experiment:
    return Experiment.open(tracking_uri, "ced")


@pytest.fixture
def mlflow_client(experiment: Experiment) -> MlflowClient:
    return experiment.client


@pytest.fixture
def run(experiment: Experiment) -> Run:
    return experiment.run(TAGS, "a name")


def status(run: Run) -> str:
    return str(run.client.get_run(run.id).info.status)


def test_an_experiment_is_made_once_with_its_artifacts_in_the_store(
    mlflow_client: MlflowClient, tracking_uri: str, experiment: Experiment, tmp_path: Path
) -> None:
    assert Experiment.open(tracking_uri, "ced").id == experiment.id
    location = mlflow_client.get_experiment(experiment.id).artifact_location
    assert location == (tmp_path / client.ARTIFACTS).as_uri()


def test_a_deleted_experiment_is_named(mlflow_client: MlflowClient, tracking_uri: str, experiment: Experiment) -> None:
    mlflow_client.delete_experiment(experiment.id)
    with pytest.raises(ServiceError, match="'ced' is deleted"):
        Experiment.open(tracking_uri, "ced")


def test_a_run_is_continued_by_its_publication_and_role(
    mlflow_client: MlflowClient, experiment: Experiment, run: Run
) -> None:
    assert mlflow_client.get_run(run.id).info.run_name == "a name"
    run.close("FAILED")
    assert experiment.run(TAGS, "a name") == run
    assert status(run) == "RUNNING"
    child = experiment.run(TAGS | {ROLE: "ed"}, "ed", run.id)
    other = experiment.run(TAGS | {PUBLISH: "another"}, "a name")
    assert len({run.id, child.id, other.id}) == 3
    assert mlflow_client.get_run(child.id).data.tags["mlflow.parentRunId"] == run.id
    assert "mlflow.parentRunId" not in mlflow_client.get_run(run.id).data.tags


def test_a_finished_run_stays_finished(mlflow_client: MlflowClient, experiment: Experiment, run: Run) -> None:
    run.close()
    ended = mlflow_client.get_run(run.id).info.end_time
    assert experiment.run(TAGS, "a name").id == run.id
    run.close("FAILED")
    info = mlflow_client.get_run(run.id).info
    assert (info.status, info.end_time) == ("FINISHED", ended)


def test_a_block_closes_its_run_by_how_it_ends(experiment: Experiment) -> None:
    with pytest.raises(ZeroDivisionError), experiment.run(TAGS, "a name") as run:
        raise ZeroDivisionError
    assert status(run) == "FAILED"
    with experiment.run(TAGS, "a name") as again:
        assert status(again) == "RUNNING"
    assert again.id == run.id and status(run) == "FINISHED"


def test_a_training_has_one_run_below_the_one_of_its_pipeline(experiment: Experiment) -> None:
    pipeline = "the pipeline", "its name"
    trainings = {model: experiment.training_run(f"key of {model}", model, pipeline) for model in ("ed", "ced-gt")}
    parents = {run.client.get_run(run.id).data.tags["mlflow.parentRunId"] for run in trainings.values()}
    (parent,) = parents
    trainings["ed"].close("KILLED", with_parent=True)
    assert [status(run) for run in trainings.values()] == ["KILLED", "RUNNING"]
    assert experiment.client.get_run(parent).info.status == "KILLED"
    assert experiment.training_run("key of ed", "ed", pipeline) == trainings["ed"]
    assert experiment.client.get_run(parent).info.status == "RUNNING" and status(trainings["ed"]) == "RUNNING"
    alone = experiment.training_run("another key", "ed", ("", ""))
    assert "mlflow.parentRunId" not in experiment.client.get_run(alone.id).data.tags


def test_a_publication_adopts_the_runs_that_followed_its_training(experiment: Experiment) -> None:
    followed = experiment.training_run("key", "ed", ("the pipeline", "its name"))
    parent = experiment.run(TAGS, "a name", adopt={LIVE: "the pipeline", ROLE: "pipeline"})
    child_tags = TAGS | {ROLE: "ed"}
    stranger = experiment.run(child_tags, "ed", "0123", adopt={LIVE: "key", ROLE: "ed"})
    assert stranger.id != followed.id  # it is not below that parent
    experiment.client.delete_run(stranger.id)
    for _ in range(2):
        assert experiment.run(child_tags, "ed", parent.id, adopt={LIVE: "key", ROLE: "ed"}).id == followed.id
    tags = experiment.client.get_run(followed.id).data.tags
    assert (tags["mlflow.parentRunId"], tags[PUBLISH]) == (parent.id, "publication")
    other = experiment.run({PUBLISH: "another", ROLE: "pipeline"}, "b", adopt={LIVE: "the pipeline", ROLE: "pipeline"})
    assert other.id != parent.id  # which belongs to the first publication
    later = experiment.training_run("later key", "ed", ("the pipeline", "its name"))
    assert experiment.client.get_run(later.id).data.tags["mlflow.parentRunId"] not in (parent.id, other.id)


def test_nested_values_become_dotted_names() -> None:
    nested = {"train": {"steps": 5, "clip": 1.5}, "images": ["a", "b"], "flip": True, "none": ()}
    flat = {"train.steps": "5", "train.clip": "1.5", "images": "a,b", "flip": "True", "none": ""}
    assert runs.flat(nested) == flat


def test_parameters_may_be_many_and_long_and_logged_again(mlflow_client: MlflowClient, run: Run) -> None:
    params = {f"p{number}": number for number in range(150)} | {"long": "x" * 10_000}
    for _ in range(2):
        run.log_params(params)
    stored = mlflow_client.get_run(run.id).data.params
    assert len(stored) == 151 and stored["p149"] == "149" and stored["long"] == "x" * 6000


def test_a_curve_keeps_steps_and_times_and_is_never_doubled(mlflow_client: MlflowClient, run: Run) -> None:
    reports = [
        {"step": step, "steps": 1500, "time": 1000.5 + step, "loss": 1 / step, "psnr": 20.0 + step}
        for step in range(1, 1501)
    ]
    for _ in range(2):  # 3000 values: several requests
        run.log_curve(reports)
    history = mlflow_client.get_metric_history(run.id, "loss")
    assert [(one.step, one.timestamp, one.value) for one in sorted(history, key=lambda one: one.step)] == [
        (step, 1000_500 + 1000 * step, 1 / step) for step in range(1, 1501)
    ]
    assert mlflow_client.get_run(run.id).data.metrics == {"loss": 1 / 1500, "psnr": 1520.0}


def test_final_figures_leave_out_what_is_not_finite(mlflow_client: MlflowClient, run: Run) -> None:
    for _ in range(2):
        run.log_metrics({"ed/q10/psnr": 27.5, "jpeg/q10/psnr": float("inf"), "nan": float("nan")})
    assert mlflow_client.get_run(run.id).data.metrics == {"ed/q10/psnr": 27.5}
    assert len(mlflow_client.get_metric_history(run.id, "ed/q10/psnr")) == 1


def test_tags_replace_each_other(mlflow_client: MlflowClient, run: Run) -> None:
    run.log_tags({"a": "1", "b": "2"})
    run.log_tags({"a": "3"})
    tags = mlflow_client.get_run(run.id).data.tags
    assert (tags["a"], tags["b"]) == ("3", "2")


def test_names_that_mlflow_refuses_are_written_otherwise(mlflow_client: MlflowClient, run: Run) -> None:
    run.log_metrics({"ed+/q10/psnr": 27.5, "ed/q10/psnr": 27.0, "ed/q10/BEF=\N{LATIN SMALL LETTER E WITH ACUTE}": 0.1})
    run.log_tags({"ced.ed+.content": "1", "ced.ed.content": "2"})
    data = mlflow_client.get_run(run.id).data
    assert data.metrics == {"ed plus/q10/psnr": 27.5, "ed/q10/psnr": 27.0, "ed/q10/BEF__": 0.1}
    assert (data.tags["ced.ed plus.content"], data.tags["ced.ed.content"]) == ("1", "2")


def test_data_sets_show_digest_context_and_counts(mlflow_client: MlflowClient, run: Run) -> None:
    data = [Dataset("labelled", "0123456789abcdef", "/store/label", {"examples": 8}, "training")]
    for _ in range(2):
        run.log_datasets(data)
    (logged,) = mlflow_client.get_run(run.id).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("labelled", "0123456789abcdef")
    assert json.loads(logged.dataset.profile) == {"examples": 8}
    assert [(tag.key, tag.value) for tag in logged.tags] == [("mlflow.data.context", "training")]


def test_files_are_uploaded_and_replaced(mlflow_client: MlflowClient, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("first", "second"):
        file.write_text(text)
        run.log_files([file], "folder")
    assert [one.path for one in mlflow_client.list_artifacts(run.id, "folder")] == ["folder/a.txt"]
    assert Path(mlflow_client.download_artifacts(run.id, "folder/a.txt")).read_text() == "second"


def test_the_sources_are_described_without_queries_and_passwords() -> None:
    config = Config(images=("s3://K:P@b/x?endpoint_override=h", "/a/b"), test_images="https://h/t.zip?token=P")
    told = public_settings(config)
    assert (told["images"], told["test_images"]) == (["s3://b/x", "/a/b"], "https://h/t.zip")
    assert "cluster" not in told


def test_every_other_setting_is_told() -> None:
    config = Config(images=("/a",), test_images="builtin:test")
    assert public_settings(config) == {key: value for key, value in as_dict(config).items() if key != "cluster"}


def test_a_pipeline_run_is_its_configuration_and_its_store(tmp_path: Path) -> None:
    config, store = Config(), Store(tmp_path)
    mine = pipeline_identity(config, store)
    assert pipeline_identity(Config(), Store(tmp_path)) == mine
    assert pipeline_identity(config, Store(tmp_path / "other")) != mine
    assert pipeline_identity(dataclasses.replace(config, images=("a",)), store) != mine
    faster = dataclasses.replace(config, cluster=ClusterConfig(train_workers=2))
    assert pipeline_identity(faster, store) == mine, "how much of the machine is used is of no matter"
