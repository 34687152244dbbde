"""A training as MLflow sees it while it runs: its curves and pictures, told by a thread beside it.

What is to be told lies in the training's folder: metrics.jsonl and strips/. So nothing is lost while MLflow is down; it
is told later, by the same thread, by the next start, or when the models are published. A step that MLflow knows is not
told again, so that no point is there twice.
"""

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced.config import fingerprint
from ced.errors import first_line
from ced.store import files
from ced.tracking import client as mlflow_tracking
from ced.tracking import runs
from ced.tracking.runs import Run

logger = logging.getLogger("ced")

NOTE = ".mlflow.json"  # in the training's folder: its identity in MLflow, and whether all is told
METRICS, STRIPS = "metrics.jsonl", "strips"

_EVERY, _AT_MOST = 2.0, 60.0  # seconds between two attempts; longer and longer where they fail
_PATIENCE = 15.0  # seconds for the last one


@dataclass(frozen=True)
class Training:
    """What MLflow is told of a training, beside its curves."""

    tracking_uri: str
    experiment: str
    name: str  # of the model
    pipeline: tuple[str, str]  # identity and name of the pipeline run it is part of; empty where it is none
    params: dict[str, Any]
    folder: Path


@contextlib.contextmanager
def followed(training: Training) -> Iterator[None]:
    """Tell MLflow what the block writes into the training's folder, as it is written. MLflow's failures are logged,
    never raised; how the block ends is the run's status."""
    mlflow_tracking.settle()
    try:
        import mlflow  # noqa: F401 - here, so that two threads do not import at the same time
    except ImportError:
        logger.info("%s: MLflow is not installed, and told nothing; the curves are in metrics.jsonl", training.name)
        yield
        return
    teller = _Teller(training)
    thread = threading.Thread(target=teller.follow, daemon=True)
    thread.start()
    try:
        yield
        teller.status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        teller.status = "KILLED"
        raise
    finally:
        teller.ended.set()
        thread.join(_PATIENCE)
        if not teller.done:
            logger.warning("MLflow has not been told all of %s; the same command again tells the rest", training.name)


def rest(training: Training) -> None:
    """Tell what is left of a training that is finished, where telling it was once begun and never ended."""
    note = _noted(training.folder)
    if note is not None and not note["told"]:
        with followed(training):
            pass


def identity(folder: Path) -> str:
    """The training's identity in MLflow, "" where it was never told."""
    note = _noted(folder)
    return str(note["key"]) if note is not None else ""


class _Teller:
    """Tells one training, attempt by attempt."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.ended = threading.Event()
        self.status = "FAILED"  # unless the block ends otherwise
        self.done = False
        self._silent = False  # whether it was said that MLflow does not answer
        self._run: Run | None = None
        self._told: set[int] = set()  # steps
        self._shown: set[str] = set()  # pictures

    def follow(self) -> None:
        """Until the training has ended and one last attempt is made."""
        pause = _EVERY
        while not self.ended.wait(pause):
            succeeded = self._attempt(last=False)
            if succeeded and pause > _EVERY:
                logger.info("MLflow answers again and knows all of %s so far", self.training.name)
            pause = _EVERY if succeeded else min(2 * pause, _AT_MOST)
        self.done = self._attempt(last=True)

    def _attempt(self, last: bool) -> bool:
        try:
            with mlflow_tracking.told(self.training.tracking_uri):
                self._tell()
                if last:
                    self._end()
        except Exception as error:  # noqa: BLE001 - whatever it is, the training is more important
            if not self._silent:
                logger.warning("%s: %s; training goes on, MLflow is told later", self.training.name, first_line(error))
            self._silent = True
            return False
        self._silent = False
        return True

    def _tell(self) -> None:
        run = self._run or self._opened()
        reports = [report for report in _reports(self.training.folder) if report["step"] not in self._told]
        runs.log_curve(run, reports)
        self._told |= {report["step"] for report in reports}
        pictures = [path for path in pictures_in(self.training.folder) if path.name not in self._shown]
        runs.log_files(run, pictures, STRIPS)
        self._shown |= {path.name for path in pictures}

    def _opened(self) -> Run:
        training, note = self.training, _noted(self.training.folder)
        if note is None or note.get("params", _digest(training)) != _digest(training):  # of a training that never began
            note = _note(training, uuid.uuid4().hex, told=False)
        key = str(note["key"])
        client = mlflow_tracking.connect(training.tracking_uri)
        experiment = runs.experiment(client, training.tracking_uri, training.experiment)
        run = runs.open_training(client, experiment, key, training.name, training.pipeline)
        runs.log_params(run, training.params)
        self._shown = {Path(item.path).name for item in client.list_artifacts(run.id, STRIPS)}
        self._run = run
        return run

    def _end(self) -> None:
        assert self._run is not None
        runs.close_training(self._run, self.status)
        if self.status == "FINISHED":
            _note(self.training, identity(self.training.folder), told=True)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a training, in the order of steps."""
    return sorted((folder / STRIPS).glob("*.png"))


def _reports(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics.jsonl."""
    try:
        text = (folder / METRICS).read_text()
    except OSError:
        return []
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


def _noted(folder: Path) -> dict[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text())
    except OSError:
        return None
    return note


def _note(training: Training, key: str, told: bool) -> dict[str, Any]:
    note = {"key": key, "told": told, "params": _digest(training)}
    files.write(training.folder / NOTE, json.dumps(note).encode())
    return note


def _digest(training: Training) -> str:
    return fingerprint(training.params)
