"""What a training says in the terminal; what it logs to a real MLflow server is in tests/services."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ced.tracking import client
from ced.training import follower
from ced.training.follower import FollowedTraining, followed
from ced.training.job import METRICS, PREVIEWS, append_report, drop_reports_after

REPORT = {"step": 50, "steps": 200, "loss": 1.23456, "images_per_second": 75.0, "batch_size": 16}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_SAY_EVERY", 0.01)
    monkeypatch.setattr(follower, "_LOG_EVERY", 0.01)


def report(step: int, seconds: float) -> dict[str, float]:
    return {"step": step, "steps": 9, "time": seconds, "loss": 0.5}


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_line_of_a_classifier() -> None:
    accuracies = {"validation_accuracy_stage_1": 0.3, "validation_accuracy_stage_2": 0.31}
    line = follower.progress_line("classifier", REPORT | accuracies)
    assert line == "classifier: step 50 of 200, loss 1.235, accuracy 0.3000 / 0.3100, 75 images a second, 0:32 left"


def test_the_line_of_an_autoencoder() -> None:
    line = follower.progress_line("ed", REPORT | {"validation_psnr": 29.404})
    assert line == "ed: step 50 of 200, loss 1.235, PSNR 29.40 dB, 75 images a second, 0:32 left"


def test_lines_are_said_once_and_only_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An earlier run said its own; a line that is being written is said once it is whole."""
    append_report(tmp_path, report(1, 1.0))
    with caplog.at_level(logging.INFO, logger="ced"):
        with followed(FollowedTraining("ed", tmp_path)):
            append_report(tmp_path, report(2, 2.0))
            wait_for(lambda: len(caplog.messages) == 1)
            line = json.dumps(report(3, 3.0))
            with (tmp_path / METRICS).open("a") as file:
                file.write(line[:-9])
                file.flush()
                time.sleep(0.1)
                file.write(line[-9:] + "\n")
            wait_for(lambda: len(caplog.messages) == 2)
            time.sleep(0.1)
            append_report(tmp_path, report(4, 4.0))  # right before the end
    assert caplog.messages == [f"ed: step {step} of 9, loss 0.5" for step in (2, 3, 4)]


def test_steps_that_are_trained_again_are_said_again_and_a_cut_file_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2, 3):
        append_report(tmp_path, report(step, step))
    with caplog.at_level(logging.INFO, logger="ced"), followed(FollowedTraining("ed", tmp_path)):
        drop_reports_after(tmp_path, 1)
        time.sleep(0.1)
        assert caplog.messages == []
        append_report(tmp_path, report(2, 7.0))
    assert caplog.messages == ["ed: step 2 of 9, loss 0.5"]


def test_a_training_that_mlflow_follows_is_known_by_its_folder(tmp_path: Path, tracking_uri: str) -> None:
    """Curves and pictures once each, whether they are followed or caught up with."""
    folder = tmp_path / "training"
    (folder / PREVIEWS).mkdir(parents=True)
    training = FollowedTraining("ed", folder, tracking_uri, "mine", params={"train": {"steps": 9}})
    follower.catch_up(training)
    assert follower.identity(folder) == ""  # it was never followed
    with followed(training):
        append_report(folder, report(1, 1.0))
        (folder / PREVIEWS / "00000001.png").write_bytes(b"a picture")
    append_report(folder, report(2, 2.0))
    note = json.loads((folder / follower.NOTE).read_text())
    assert note["key"] == follower.identity(folder) and note["told"]
    (folder / follower.NOTE).write_text(json.dumps(note | {"told": False}))
    for _ in range(2):
        follower.catch_up(training)
    mlflow_client = client.connect(tracking_uri)
    experiment = mlflow_client.get_experiment_by_name("mine")
    (run,) = mlflow_client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.params) == ("FINISHED", {"train.steps": "9"})
    assert sorted(point.step for point in mlflow_client.get_metric_history(run.info.run_id, "loss")) == [1, 2]
    pictures = [item.path for item in mlflow_client.list_artifacts(run.info.run_id, PREVIEWS)]
    assert pictures == [f"{PREVIEWS}/00000001.png"] and [path.name for path in follower.previews_in(folder)] == [
        "00000001.png"
    ]


def test_an_mlflow_that_does_not_answer_is_said_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training = FollowedTraining("ed", tmp_path, "http://127.0.0.1:9", "mine")
    with caplog.at_level(logging.INFO, logger="ced"), followed(training):
        append_report(tmp_path, report(1, 1.0))
    assert "ed: step 1 of 9, loss 0.5" in caplog.messages
    assert "training goes on, MLflow is told later" in caplog.text
    assert "the same command again tells the rest" in caplog.text
    assert not json.loads((tmp_path / follower.NOTE).read_text())["told"]
