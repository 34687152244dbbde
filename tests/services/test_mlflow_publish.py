"""publish against a real MLflow server: what is remembered, the gate, and kill -9 at every step."""

import dataclasses
import json
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ced.config import Config
from ced.data import edges
from ced.errors import InputError, ServiceError
from ced.evaluation import evaluate
from ced.pipeline import publish
from ced.pipeline.publish import PipelineOutputs
from ced.restoration.restorer import FILES
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.tracking import client as tracking
from ced.tracking.runs import PUBLISH, ROLE, pipeline_identity
from ced.training import train
from ced.training.job import read_reports
from ced.training.train import TrainingInputs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def named(config: Config, model: str, **publishing: str) -> Config:
    """The configuration with a registered model and experiment of the test's own."""
    own = dataclasses.replace(config.publish, model=model, experiment=model, **publishing)
    return dataclasses.replace(config, publish=own)


def told(output: Output) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads((output.path / publish.FILE).read_text())
    return outcome


def champion(client: MlflowClient, model: str) -> str:
    return str(client.get_model_version_by_alias(model, "champion").version)


def local(root: Path) -> str:
    root.mkdir(parents=True, exist_ok=True)
    return tracking.local_uri(root)


@pytest.fixture(scope="module")
def published(
    pipeline_config: Config,
    made: dict[str, PipelineOutputs],
    mlflow_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """The outcome of publishing the trained pipeline to the server."""
    tracking.check(mlflow_server)
    store = Store(tmp_path_factory.mktemp("published"))
    return told(
        publish.run(named(pipeline_config, "whole"), made["trained"], Session(store, tracking_uri=mlflow_server))
    )


def test_the_outcome_says_where_everything_is(
    published: dict[str, Any], made: dict[str, PipelineOutputs], mlflow_server: str
) -> None:
    row = next(row for row in evaluate.rows_of(made["trained"].evaluated) if row.method == "ced-gt")
    assert published["metric"] == pytest.approx(row.value("psnr_b"), abs=1e-12)
    del published["metric"], published["run_id"], published["experiment_id"]
    assert published == {
        "version": "1",
        "promoted": True,
        "reason": "no version of whole was @champion before",
        "gate": "psnr_b",
        "champion": "",
        "champion_metric": None,
        "tracking_uri": mlflow_server,
    }


@pytest.fixture(scope="module")
def client(mlflow_server: str) -> MlflowClient:
    return tracking.connect(mlflow_server)


@pytest.fixture(scope="module")
def runs(published: dict[str, Any], client: MlflowClient) -> dict[str, Any]:
    """The runs by their roles."""
    (experiment,) = [one.experiment_id for one in client.search_experiments(filter_string="name = 'whole'")]
    return {run.data.tags[ROLE]: run for run in client.search_runs([experiment])}


def test_one_run_holds_config_lineage_table_and_artifacts(
    runs: dict[str, Any],
    made: dict[str, PipelineOutputs],
    client: MlflowClient,
    pipeline_config: Config,
    tmp_path: Path,
) -> None:
    one, run = made["trained"], runs["pipeline"]
    assert set(runs) == {"pipeline", "classifier", "ced-gt"}
    assert run.info.status == "FINISHED"
    assert run.data.params["network.width"] == "8" and run.data.params["images"] == pipeline_config.images[0]
    assert not [name for name in run.data.params if name.startswith("cluster")]
    assert run.data.tags["ced.prepare"] == one.prepared.manifest.fingerprint
    assert run.data.tags["ced.label.content"] == one.labelled.manifest.content
    sets = {each.dataset.name: each.dataset.digest for each in run.inputs.dataset_inputs}
    assert sets == {"labelled": one.labelled.manifest.content, "detailed": one.evaluated.manifest.inputs["images"]}
    for row in evaluate.rows_of(one.evaluated):
        for figure in ("psnr", "psnr_b", "ssim", "bef_mse_bound"):
            assert run.data.metrics[f"{row.method}/q10/{figure}"] == row.value(figure)
    files = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert files == {"classes.json"} | {path.name for path in one.evaluated.path.glob("*.parquet")} | {
        name.partition("/")[0] for name in one.reported.manifest.parts
    }
    assert files >= {"results.json", "report.html", "per_image.parquet", "strips", "figures", "table.csv"}
    fetched = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (fetched / "classes.json").read_bytes() == (one.classes.path / edges.FILE).read_bytes()
    assert (fetched / "per_image.parquet").read_bytes() == (one.evaluated.path / evaluate.FILE).read_bytes()
    drawn = {path.name: path.read_bytes() for path in (one.reported.path / "figures").iterdir()}
    assert {path.name: path.read_bytes() for path in (fetched / "figures").iterdir()} == drawn
    names = ("plane", "figure-1", "figure-5", "figure-6", "table-1")  # no CED-EST, and so no figure 4
    assert set(drawn) == {f"{name}.{suffix}" for name in names for suffix in ("png", "svg")}
    assert (fetched / "strips" / "00.png").read_bytes() == (one.reported.path / "strips" / "00.png").read_bytes()


def test_a_restorer_is_found_by_its_run_and_by_its_alias(
    runs: dict[str, Any], made: dict[str, PipelineOutputs], mlflow_server: str
) -> None:
    for uri in (f"runs:/{runs['pipeline'].info.run_id}/restorer", "models:/whole@champion"):
        folder = tracking.resolve(mlflow_server, uri)
        for file in made["trained"].restorers["ced-gt"].path.glob("*.safetensors"):
            assert (folder / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(InputError, match="no such run or model"):
        tracking.resolve(mlflow_server, f"runs:/{runs['pipeline'].info.run_id}/other")


@pytest.mark.parametrize("model", ["classifier", "ced-gt"])
def test_a_child_run_holds_a_models_curve(
    model: str, runs: dict[str, Any], made: dict[str, PipelineOutputs], client: MlflowClient
) -> None:
    run, output = runs[model], made["trained"].trained[model]
    assert run.data.tags["mlflow.parentRunId"] == runs["pipeline"].info.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params["train.steps"] == "4" and run.data.params["model"] == model
    assert run.data.tags["ced.train.content"] == output.manifest.content
    curve = read_reports(output.path)
    history = sorted(client.get_metric_history(run.info.run_id, "loss"), key=lambda metric: metric.step)
    expected = [(int(line["step"]), int(line["time"] * 1000), line["loss"]) for line in curve]
    assert len(expected) >= 4 and [(m.step, m.timestamp, m.value) for m in history] == expected
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == (
        {"model.safetensors", "metrics.jsonl"} | ({"strips"} if model == "ced-gt" else set())
    )


def test_the_version_says_how_good_it_is_and_where_it_comes_from(
    runs: dict[str, Any], made: dict[str, PipelineOutputs], client: MlflowClient
) -> None:
    version = client.get_model_version_by_alias("whole", "champion")
    assert version.run_id == runs["pipeline"].info.run_id
    figures = publish._figures(made["trained"].evaluated, "ced-gt")
    assert {name: version.tags[f"ced.{name}"] for name in figures} == {k: repr(v) for k, v in figures.items()}
    assert version.tags["ced.method"] == "ced-gt" and version.tags["ced.quality"] == "10"
    assert version.tags["ced.evaluation"] == publish.evaluation_key(made["trained"].evaluated)
    assert version.description.startswith("ced-gt: psnr_b ") and "detailed, 1 images" in version.description


def test_the_champion_comes_back_byte_by_byte(
    published: dict[str, Any], made: dict[str, PipelineOutputs], mlflow_server: str
) -> None:
    folder = tracking.load_champion(mlflow_server, "whole", "champion")
    assert folder is not None
    restorer = made["trained"].restorers["ced-gt"].path
    for name in FILES:
        assert (folder / name).read_bytes() == (restorer / name).read_bytes()
    assert tracking.resolve(mlflow_server, "models:/whole/1").name == "restorer"


def test_publishing_again_adds_nothing(
    pipeline_config: Config, made: dict[str, PipelineOutputs], mlflow_server: str, client: MlflowClient, store: Store
) -> None:
    config = named(pipeline_config, "again")
    first = publish.run(config, made["good"], Session(store, tracking_uri=mlflow_server))
    second = publish.run(config, made["good"], Session(store, tracking_uri=mlflow_server))
    elsewhere = publish.run(config, made["good"], Session(Store(store.root / "other"), tracking_uri=mlflow_server))
    assert (first.reused, second.reused, elsewhere.reused) == (False, True, False)
    assert told(first) == told(second) == told(elsewhere)
    assert len(client.search_model_versions("name = 'again'")) == 1
    experiment = told(first)["experiment_id"]
    assert len(client.search_runs([experiment])) == 3
    assert len(client.search_logged_models([experiment])) == 1


def test_what_was_told_while_it_trained_is_part_of_the_publication(
    pipeline_config: Config, made: dict[str, PipelineOutputs], mlflow_server: str, client: MlflowClient, store: Store
) -> None:
    config, one = named(pipeline_config, "followed"), made["trained"]
    data = TrainingInputs(one.labelled, one.classes)
    session = Session(store, tracking_uri=mlflow_server, pipeline=pipeline_identity(config, store))
    classifier = train.run("classifier", config, data, session, "cpu")
    (experiment,) = [each.experiment_id for each in client.search_experiments(filter_string="name = 'followed'")]
    before = {run.data.tags[ROLE]: run for run in client.search_runs([experiment])}
    assert {role: run.info.status for role, run in before.items()} == {"classifier": "FINISHED", "pipeline": "RUNNING"}
    complete = dataclasses.replace(one, trained=one.trained | {"classifier": classifier})
    outcome = told(publish.run(config, complete, Session(store, tracking_uri=mlflow_server)))
    runs = client.search_runs([experiment])
    after = {run.data.tags[ROLE]: run for run in runs}
    assert len(runs) == 3 and set(after) == {"pipeline", "classifier", "ced-gt"}
    for role in ("pipeline", "classifier"):
        assert after[role].info.run_id == before[role].info.run_id
    assert outcome["run_id"] == before["pipeline"].info.run_id
    assert {run.info.status for run in runs} == {"FINISHED"}
    history = client.get_metric_history(after["classifier"].info.run_id, "validation_accuracy_stage_1")
    assert [metric.step for metric in history] == [1, 2, 3, 4]
    again = train.run("classifier", config, data, session, "cpu")
    assert again.reused and len(client.search_runs([experiment])) == 3


def test_only_a_better_version_becomes_champion(
    pipeline_config: Config, made: dict[str, PipelineOutputs], mlflow_server: str, client: MlflowClient, store: Store
) -> None:
    config = named(pipeline_config, "gate")
    steps = [("bad", "1", True), ("good", "2", True), ("twin", "2", False)]
    for name, expected, promoted in steps:
        outcome = told(publish.run(config, made[name], Session(store, tracking_uri=mlflow_server)))
        assert outcome["promoted"] is promoted, outcome["reason"]
        assert champion(client, "gate") == expected
    assert "is level with" in outcome["reason"] and outcome["champion"] == "2"
    worse = named(pipeline_config, "gate", gate="psnr")  # another publication of the worst
    outcome = told(publish.run(worse, made["bad"], Session(store, tracking_uri=mlflow_server)))
    assert (outcome["promoted"], outcome["version"], outcome["gate"]) == (False, "4", "psnr")
    assert "is not above" in outcome["reason"] and champion(client, "gate") == "2"
    assert outcome["metric"] < outcome["champion_metric"] == publish._figures(made["good"].evaluated, "ced-gt")["psnr"]


def test_figures_on_other_images_are_not_compared_but_measured(
    pipeline_config: Config, made: dict[str, PipelineOutputs], mlflow_server: str, store: Store, ray_session: None
) -> None:
    """On a smooth image the bad one's figure is above the good one's on a detailed image."""
    config = named(pipeline_config, "measured")
    easy = told(publish.run(config, made["bad, smooth"], Session(store, tracking_uri=mlflow_server)))
    outcome = told(publish.run(config, made["good"], Session(store, tracking_uri=mlflow_server)))
    assert easy["metric"] > outcome["metric"]
    assert outcome["promoted"], outcome["reason"]
    expected = publish._figures(made["bad"].evaluated, "ced-gt")["psnr_b"]
    assert outcome["champion_metric"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("damage", ["deleted", "of another format"])
def test_a_champion_whose_files_are_not_right(
    damage: str, pipeline_config: Config, made: dict[str, PipelineOutputs], store: Store, tmp_path: Path
) -> None:
    uri, config = local(tmp_path / "registry"), named(pipeline_config, "ced")
    publish.run(config, made["bad, smooth"], Session(store, tracking_uri=uri))
    folder = tracking.load_champion(uri, "ced", "champion")
    assert folder is not None
    if damage == "deleted":
        shutil.rmtree(folder.parent.parent)
        outcome = told(publish.run(config, made["bad"], Session(store, tracking_uri=uri)))
        assert outcome["promoted"] and outcome["reason"] == "the files of version 1 are deleted"
        return
    (folder / "restorer.json").write_text('{"format": "another"}')
    with pytest.raises(ServiceError, match="the champion, version 1 of ced, cannot be used") as caught:
        publish.run(config, made["good"], Session(store, tracking_uri=uri))
    assert "\n" not in str(caught.value) and "delete that version or its alias @champion" in str(caught.value)
    client = tracking.connect(uri)
    assert champion(client, "ced") == "1"
    statuses = {run.data.tags[ROLE]: run.info.status for run in client.search_runs(["1"], max_results=3)}
    assert statuses == {"pipeline": "FAILED", "classifier": "FINISHED", "ced-gt": "FINISHED"}
    client.delete_registered_model_alias("ced", "champion")  # the cure that was named
    assert told(publish.run(config, made["good"], Session(store, tracking_uri=uri)))["version"] == "2"
    assert champion(client, "ced") == "2"


# Each name is one attempt: a process that publishes and is killed right after that call of MLflow's client, the
# first time it makes it. The calls are in the order of a publication, so each attempt gets further.
KILLED_AFTER = (
    "create_experiment",
    "create_run",
    "log_inputs",
    "log_artifact",
    "set_terminated",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "create_registered_model",
    "create_model_version",
    "set_model_version_tag",
    "set_registered_model_alias",
)

ATTEMPTS = """
import os, pickle, signal, sys
from mlflow import MlflowClient
from ced.store.outputs import Store
from ced.store.session import Session
from ced.tracking.runs import pipeline_identity
from ced.pipeline import publish
import mlflow.pyfunc, mlflow.artifacts, mlflow.store.tracking.sqlalchemy_store  # once, for all attempts

arguments, root, calls = pickle.load(sys.stdin.buffer)
for name in calls:
    child = os.fork()
    if child == 0:
        real = getattr(MlflowClient, name)
        def call(*a, real=real, **k):
            real(*a, **k)
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(MlflowClient, name, call)
        publish.run(*arguments, Session(Store(root), tracking_uri=sys.argv[1]))
        os._exit(0)
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_kill_9_at_every_step_then_one_run_one_version_and_the_same_outcome(
    pipeline_config: Config, made: dict[str, PipelineOutputs], store: Store, tmp_path: Path
) -> None:
    uri, config = local(tmp_path / "registry"), named(pipeline_config, "ced")
    sent = pickle.dumps(((config, made["good"]), store.root, KILLED_AFTER))
    environment = {**os.environ, "PYTHONPATH": str(Path(publish.__file__).parents[2])}
    killed = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, uri], input=sent, capture_output=True, env=environment, timeout=300
    )
    assert killed.stdout.decode().split("\n")[:-1] == [f"{name} {-signal.SIGKILL}" for name in KILLED_AFTER], (
        killed.stderr.decode()
    )
    assert not list(store.root.glob("publish/*/manifest.json"))
    outcome = told(publish.run(config, made["good"], Session(store, tracking_uri=uri)))

    client = tracking.connect(uri)
    found = {run.data.tags[ROLE]: run for run in client.search_runs([outcome["experiment_id"]])}
    assert len(client.search_runs([outcome["experiment_id"]])) == len(found) == 3
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    (model,) = client.search_logged_models([outcome["experiment_id"]])
    (version,) = client.search_model_versions("name = 'ced'")
    assert model.status == "READY" and version.tags[PUBLISH] == model.tags[PUBLISH]
    assert (outcome["run_id"], outcome["version"]) == (found["pipeline"].info.run_id, str(version.version))

    undisturbed = told(
        publish.run(config, made["good"], Session(Store(tmp_path / "calm"), tracking_uri=local(tmp_path / "calm")))
    )
    for name in ("metric", "promoted", "reason", "version", "champion", "champion_metric"):
        assert outcome[name] == undisturbed[name]
    assert rows(tmp_path / "registry") == rows(tmp_path / "calm")


def rows(root: Path) -> dict[str, int]:
    """How many rows MLflow's tables of a registry have."""
    tables = ("runs", "metrics", "params", "tags", "inputs", "datasets", "logged_models", "model_versions")
    with sqlite3.connect(root / tracking.DATABASE) as database:
        return {table: database.execute(f"select count(*) from {table}").fetchone()[0] for table in tables}
