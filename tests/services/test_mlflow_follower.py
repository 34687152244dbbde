"""A training told to a real MLflow server while it runs: live, through the server's death, and never twice."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from PIL import Image
from skimage import data as photographs

from ced import schema
from ced.config import NetworkConfig, PrepareConfig, TrainConfig
from ced.core.examples import examples
from ced.tracking import client as tracking
from ced.tracking.runs import ROLE
from ced.training import follower
from ced.training.context import PlainContext
from ced.training.follower import FollowedTraining
from ced.training.job import TrainJob
from ced.training.trainer import train

STEPS = 8
TRAIN = TrainConfig(steps=STEPS, batch_size=2, warmup_steps=1, report_every=1, checkpoint_every=3)
NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_LOG_EVERY", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of two photographs in one part: ED reads no labels."""
    folder = tmp_path_factory.mktemp("examples")
    config = PrepareConfig(mode="crops", size=32)
    rows = []
    for name in ("coffee", "chelsea"):
        for e in examples(Image.fromarray(getattr(photographs, name)()), name, config, 3):
            planes = {"target": e.target.tobytes(), "input": e.input.tobytes()}
            rows.append(e._asdict() | planes | {"source": name, "height": 32, "width": 32})
    columns = {name: [row[name] for row in rows] for name in schema.EXAMPLES.names}
    pq.write_table(pa.table(columns, schema=schema.EXAMPLES), folder / "part-00000.parquet")
    return folder


class Server:
    """An MLflow server that can be killed and started again, on one port and one database."""

    def __init__(self, root: Path, port: int, start: Callable[..., contextlib.AbstractContextManager[None]]) -> None:
        self.root, self.port, self._start, self._stack = root, port, start, ExitStack()
        self.uri = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self.root}/mlflow.db"]
        options = [*store, "--artifacts-destination", str(self.root / "artifacts"), "--workers", "1"]
        listen = ["--host", "127.0.0.1", "--port", str(self.port)]
        self._stack.enter_context(self._start(["mlflow", "server", *options, *listen], f"{self.uri}/health", self.root))

    def kill(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, start_server: Callable[..., contextlib.AbstractContextManager[None]]
) -> Iterator[Server]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = Server(tmp_path_factory.mktemp("server"), port, start_server)
    one.start()
    yield one
    one.kill()


def job(stored: Path, out: Path) -> TrainJob:
    return TrainJob("ed", str(stored), str(stored), "", "", str(out), NETWORK, TRAIN, 1)


def training(server: Server, out: Path) -> FollowedTraining:
    params = {"model": "ed", "train": {"steps": STEPS}}
    pipeline = "a pipeline", "ced-gt a pip"
    return FollowedTraining("ed", out, server.uri, f"live-{out.name}", pipeline, params)


def told(server: Server, out: Path, name: str = "loss") -> list[int]:
    """The steps that MLflow has of a metric, as it lists them."""
    client = tracking.connect(server.uri)
    run = the_run(client, out)
    return [metric.step for metric in client.get_metric_history(run.info.run_id, name)] if run else []


def the_run(client: MlflowClient, out: Path, role: str = "ed"):
    experiment = client.get_experiment_by_name(f"live-{out.name}")
    if experiment is None:
        return None
    runs = [r for r in client.search_runs([experiment.experiment_id]) if r.data.tags[ROLE] == role]
    assert len(runs) <= 1, "a run is doubled"
    return runs[0] if runs else None


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_curves_and_pictures_come_while_it_trains_and_survive_the_servers_death(
    server: Server, stored: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, client = tmp_path / "survives", tracking.connect(server.uri)
    out.mkdir()

    def at_step(report: dict[str, float]) -> None:
        if report["step"] == 3:
            wait_for(lambda: 2 in told(server, out))  # the training has not ended, and MLflow knows of it
            assert the_run(client, out).info.status == "RUNNING"
            server.kill()
        if report["step"] == 5:
            wait_for(lambda: "training goes on, MLflow is told later" in caplog.text)
        if report["step"] == 6:
            server.start()

    with follower.followed(training(server, out)):
        train(job(stored, out), PlainContext("cpu", on_report=at_step))
    run = the_run(client, out)
    for name in ("loss", "learning_rate", "gradient_norm", "images_per_second", "psnr", "validation_psnr"):
        assert sorted(told(server, out, name)) == list(range(1, STEPS + 1)), name
    assert run.info.status == "FINISHED" and run.data.params["train.steps"] == str(STEPS)
    pictures = {item.path for item in client.list_artifacts(run.info.run_id, "strips")}
    assert pictures == {f"strips/{path.name}" for path in (out / "strips").iterdir()} and len(pictures) >= STEPS
    parent = the_run(client, out, "pipeline")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert caplog.text.count("told later") == 1, "an outage is said once"


def test_what_was_not_told_in_time_is_told_by_the_next_start(
    server: Server, stored: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "later"
    out.mkdir()
    nobody = dataclasses.replace(training(server, out), tracking_uri="http://127.0.0.1:9")
    with follower.followed(nobody):
        train(job(stored, out), PlainContext("cpu"))
    assert "has not been told all of ed" in caplog.text
    assert (out / "model.safetensors").exists(), "and yet it is trained"
    follower.catch_up(training(server, out))
    assert sorted(told(server, out)) == list(range(1, STEPS + 1))
    assert the_run(tracking.connect(server.uri), out).info.status == "FINISHED"


def test_steps_that_are_trained_again_are_not_told_again(server: Server, stored: Path, tmp_path: Path) -> None:
    """The checkpoint is of step 3 and MLflow knows of step 5: after the crash 4 and 5 are reported once more."""
    out, client = tmp_path / "again", tracking.connect(server.uri)
    out.mkdir()

    def crash(report: dict[str, float]) -> None:
        if report["step"] == 5:
            wait_for(lambda: 5 in told(server, out))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), follower.followed(training(server, out)):
        train(job(stored, out), PlainContext("cpu", on_report=crash))
    assert [the_run(client, out, role).info.status for role in ("ed", "pipeline")] == ["FAILED", "FAILED"]
    with follower.followed(training(server, out)):
        train(job(stored, out), PlainContext("cpu"))
    for name in ("loss", "validation_psnr"):
        assert sorted(told(server, out, name)) == list(range(1, STEPS + 1))
    assert [the_run(client, out, role).info.status for role in ("ed", "pipeline")] == ["FINISHED", "RUNNING"]


def test_nothing_is_told_of_a_training_that_nobody_followed(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "silent"
    out.mkdir()
    follower.catch_up(training(server, out))
    assert tracking.connect(server.uri).get_experiment_by_name(f"live-{out.name}") is None
    assert follower.identity(out) == ""


def test_other_settings_in_the_folder_of_a_training_that_never_began_are_another_run(
    server: Server, stored: Path, tmp_path: Path
) -> None:
    """MLflow never lets a parameter change: under the former identity it would be told nothing for ever."""
    with pytest.raises(RuntimeError), follower.followed(training(server, tmp_path)):
        raise RuntimeError("it cannot begin")
    before = follower.identity(tmp_path)
    other = dataclasses.replace(training(server, tmp_path), params={"model": "ed", "train": {"steps": STEPS + 1}})
    with follower.followed(other):
        (tmp_path / "metrics.jsonl").write_text('{"step": 1, "steps": 9, "time": 1.0, "loss": 0.5}\n')
    assert follower.identity(tmp_path) != before
    client = tracking.connect(server.uri)
    experiment = client.get_experiment_by_name(f"live-{tmp_path.name}")
    runs = [r for r in client.search_runs([experiment.experiment_id]) if r.data.tags[ROLE] == "ed"]
    assert sorted((run.data.params["train.steps"], run.info.status) for run in runs) == [
        (str(STEPS), "FAILED"),
        (str(STEPS + 1), "FINISHED"),
    ]
