"""Follows a training from its folder: says its progress in the terminal, and logs it to MLflow.

All that it says lies in the folder: metrics.jsonl and the previews. So it can be started with the training, after a
restart, or after the fact. Nothing is lost while MLflow is down: it is logged later, by the same thread, by the next
start, or when the models are published. MLflow itself says which steps it has, so that no point is there twice.
"""

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ced.config import fingerprint
from ced.errors import first_line
from ced.progress import clock
from ced.store import files
from ced.tracking import client
from ced.tracking.runs import Experiment, Run
from ced.training.job import PREVIEWS, read_reports

logger = logging.getLogger("ced")

NOTE = ".mlflow.json"  # in the training's folder: its identity in MLflow, and whether all is logged

_SAY_EVERY = 1.0  # seconds
_LOG_EVERY, _LOG_EVERY_AT_MOST = 2.0, 60.0  # seconds between two attempts; longer and longer where they fail
_LAST_ATTEMPT = 15.0  # seconds


@dataclass(frozen=True)
class FollowedTraining:
    """What is followed, and what MLflow gets beside the curves; without `tracking_uri` it gets nothing."""

    model: str
    folder: Path
    tracking_uri: str = ""
    experiment: str = ""
    pipeline: tuple[str, str] = ("", "")  # identity and name of the pipeline run it is part of; empty where it is none
    params: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def followed(training: FollowedTraining) -> Iterator[None]:
    """Follow what the block writes into the training's folder, as it is written. MLflow's failures are logged, never
    raised; how the block ends is the status of its run."""
    with _progress_said(training), _logged_to_mlflow(training) if training.tracking_uri else contextlib.nullcontext():
        yield


def catch_up(training: FollowedTraining) -> None:
    """Log what MLflow lacks of a training that is finished, where logging it was once begun and never ended."""
    note = _read_note(training.folder)
    if note is not None and not note["told"]:
        with followed(training):
            pass


def identity(folder: Path) -> str:
    """The identity in MLflow of the training in a folder, "" where it was never followed."""
    note = _read_note(folder)
    return str(note["key"]) if note is not None else ""


def previews_in(folder: Path) -> list[Path]:
    """The preview pictures of a training, in the order of steps."""
    return sorted((folder / PREVIEWS).glob("*.png"))


def progress_line(model: str, report: dict[str, float]) -> str:
    """One line of progress from a report."""
    step, steps = int(report["step"]), int(report["steps"])
    facts = [f"{model}: step {step} of {steps}", f"loss {report['loss']:.4g}"]
    stages = [value for name, value in sorted(report.items()) if name.startswith("validation_accuracy_stage_")]
    if stages:
        facts.append("accuracy " + " / ".join(f"{accuracy:.4f}" for accuracy in stages))
    if "validation_psnr" in report:
        facts.append(f"PSNR {report['validation_psnr']:.2f} dB")
    if report.get("images_per_second"):
        rate = report["images_per_second"]
        facts.append(f"{rate:.0f} images a second")
        if "batch_size" in report:
            facts.append(f"{clock((steps - step) * report['batch_size'] / rate)} left")
    return ", ".join(facts)


@contextlib.contextmanager
def _progress_said(training: FollowedTraining) -> Iterator[None]:
    """Say the latest report every second, while the block runs and at its end; not those of an earlier run."""
    said = {(report["step"], report.get("time")) for report in read_reports(training.folder)}
    ended = threading.Event()

    def say_latest() -> None:
        reports = {(report["step"], report.get("time")): report for report in read_reports(training.folder)}
        new = [key for key in reports if key not in said]
        said.update(new)
        if new:
            logger.info(progress_line(training.model, reports[new[-1]]))

    def follow() -> None:
        while not ended.wait(_SAY_EVERY):
            say_latest()
        say_latest()

    # In this thread's context: Prefect keeps there which run's log a line belongs to.
    thread = threading.Thread(target=copy_context().run, args=(follow,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _logged_to_mlflow(training: FollowedTraining) -> Iterator[None]:
    if not client.installed():  # asked here, so that two threads do not import it at the same time
        logger.info("%s: MLflow is not installed, and told nothing; the curves are in metrics.jsonl", training.model)
        yield
        return
    log = _MlflowLog(training)
    thread = threading.Thread(target=copy_context().run, args=(log.follow,), daemon=True)
    thread.start()
    try:
        yield
        log.status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        log.status = "KILLED"
        raise
    finally:
        log.ended.set()
        thread.join(_LAST_ATTEMPT)
        if not log.complete:
            logger.warning("MLflow has not been told all of %s; the same command again tells the rest", training.model)


class _MlflowLog:
    """Logs one training to MLflow, attempt by attempt."""

    def __init__(self, training: FollowedTraining) -> None:
        self.training = training
        self.ended = threading.Event()
        self.status = "FAILED"  # unless the block ends otherwise
        self.complete = False
        self._failing = False  # whether it was said that MLflow does not answer
        self._run: Run | None = None
        self._steps: set[int] = set()  # that are logged
        self._previews: set[str] = set()  # names of those that are logged

    def follow(self) -> None:
        """Until the training has ended and one last attempt is made."""
        pause = _LOG_EVERY
        while not self.ended.wait(pause):
            succeeded = self._attempt(last=False)
            if succeeded and pause > _LOG_EVERY:
                logger.info("MLflow answers again and knows all of %s so far", self.training.model)
            pause = _LOG_EVERY if succeeded else min(2 * pause, _LOG_EVERY_AT_MOST)
        self.complete = self._attempt(last=True)

    def _attempt(self, last: bool) -> bool:
        """Whether MLflow has all that there is so far."""
        try:
            with client.service_errors(self.training.tracking_uri):
                self._run = self._run or self._open()
                self._log(self._run)
                if last:
                    self._close(self._run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the training is more important
            if not self._failing:
                reason = first_line(error)
                logger.warning("%s: %s; training goes on, MLflow is told later", self.training.model, reason)
            self._failing = True
            return False
        self._failing = False
        return True

    def _open(self) -> Run:
        training, note = self.training, _read_note(self.training.folder)
        digest = fingerprint(training.params)
        if note is None or note.get("params", digest) != digest:  # of a training that never began
            note = _write_note(training, uuid.uuid4().hex, complete=False)
        experiment = Experiment.open(training.tracking_uri, training.experiment)
        run = experiment.training_run(str(note["key"]), training.model, training.pipeline)
        run.log_params(training.params)
        self._previews = {Path(item.path).name for item in run.client.list_artifacts(run.id, PREVIEWS)}
        return run

    def _log(self, run: Run) -> None:
        reports = [report for report in read_reports(self.training.folder) if report["step"] not in self._steps]
        run.log_curve(reports)
        self._steps |= {report["step"] for report in reports}
        previews = [path for path in previews_in(self.training.folder) if path.name not in self._previews]
        run.log_files(previews, PREVIEWS)
        self._previews |= {path.name for path in previews}

    def _close(self, run: Run) -> None:
        run.close(self.status, with_parent=True)
        if self.status == "FINISHED":
            _write_note(self.training, identity(self.training.folder), complete=True)


def _read_note(folder: Path) -> dict[str, Any] | None:
    """None where there is none, or none that can be read: then MLflow gets a new run."""
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) and {"key", "told"} <= note.keys() else None


def _write_note(training: FollowedTraining, key: str, complete: bool) -> dict[str, Any]:
    note = {"key": key, "told": complete, "params": fingerprint(training.params)}
    files.write(training.folder / NOTE, json.dumps(note).encode())
    return note
