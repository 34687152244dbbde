"""What the driver does when workers end, without Ray; training under Ray is in tests/services/test_ray_train.py."""

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ced.config import ClusterConfig
from ced.errors import CedError, FormatError, TrainingError
from ced.training import ray_train
from ced.training.job import CHECKPOINT, TrainJob

MakeJob = Callable[..., TrainJob]


@pytest.fixture
def job(job_of: MakeJob) -> TrainJob:
    made = job_of()
    Path(made.out).mkdir()
    return made


def ended(job: TrainJob, error: Exception | None = None, checkpoint: bool = False) -> bool:
    """What comes of a run that writes a checkpoint, or none, and then ends."""

    def fit() -> None:
        if checkpoint:
            Path(job.out, CHECKPOINT).write_bytes(b"further")
        if error is not None:
            raise error

    return ray_train._trained(fit, job, Path(job.out, ".failure.json"), Path(job.out, ".stop"))


def test_a_run_that_ends_is_trained(job: TrainJob) -> None:
    assert ended(job) is True


def test_lost_workers_go_on_as_long_as_the_checkpoint_moved_on(job: TrainJob) -> None:
    assert ended(job, RuntimeError("a worker is lost"), checkpoint=True) is False
    with pytest.raises(TrainingError, match="training ed failed on a worker: a worker is lost$"):
        ended(job, RuntimeError("many lines\nof Ray's own\na worker is lost"))


def test_why_a_worker_gave_up_is_raised_as_what_it_was(job: TrainJob) -> None:
    stored = {"kind": "FormatError", "text": "part-00001.parquet: cannot be read"}
    Path(job.out, ".failure.json").write_text(json.dumps(stored))
    with pytest.raises(FormatError, match="part-00001.parquet: cannot be read"):
        ended(job, RuntimeError("the workers failed"), checkpoint=True)


@pytest.mark.parametrize(("kind", "raised"), [("OutputError", CedError), ("Unknown", TrainingError)])
def test_a_mistake_of_another_version_is_a_failed_training(job: TrainJob, kind: str, raised: type[CedError]) -> None:
    path = Path(job.out, ".failure.json")
    assert ray_train._read(path) is None
    path.write_text(json.dumps({"kind": kind, "text": "why"}))
    cause = ray_train._read(path)
    assert isinstance(cause, raised) and str(cause) == "why"


def test_a_worker_that_is_started_again_after_a_mistake_does_nothing(job: TrainJob) -> None:
    Path(job.out, ".failure.json").write_text("{}")
    ray_train._worker({"job": job, "cluster": ClusterConfig()})
    assert [path.name for path in Path(job.out).iterdir()] == [".failure.json"]


@pytest.mark.usefixtures("default_signals")
def test_a_signal_asks_the_workers_to_stop_and_waits_for_them(tmp_path: Path) -> None:
    stop, saved = tmp_path / ".stop", threading.Event()

    def fit() -> None:
        while not stop.exists():
            time.sleep(0.01)
        time.sleep(0.1)  # what saving takes
        saved.set()

    timer = threading.Timer(0.2, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM))
    timer.start()
    with pytest.raises(SystemExit) as left:
        ray_train._fit(fit, stop)
    assert left.value.code == 128 + signal.SIGTERM and saved.is_set()
