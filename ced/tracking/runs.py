"""MLflow runs that can be continued: everything here may be done twice and stays as if done once.

A run is found again by its tags, a parameter or metric that is logged again is the same row, and a file that is
uploaded again replaces itself.
"""

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ced.config import Config, as_dict, fingerprint
from ced.data import sources
from ced.errors import ServiceError
from ced.store.outputs import Store
from ced.tracking import client, sqlite

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Entity

PUBLISH = "ced.publish"  # tag: the fingerprint of the publication that made the run, model or version
ROLE = "ced.role"  # tag: "pipeline", or the model that a child run is about
LIVE = "ced.live"  # tag: the identity of a training, or of a pipeline, that is followed while it runs

_PARENT = "mlflow.parentRunId"

_METRICS, _PARAMS = 1000, 100  # the most of one request
_PARAM_LENGTH = 6000
_NOT_METRICS = ("step", "steps", "time")
_REFUSED = re.compile(r"[^\w./: -]", re.ASCII)  # by MLflow, in the names of metrics, parameters and tags
_LAST_METRIC = "loss"  # the metric that every report has; it is logged last


def public_settings(config: Config) -> dict[str, Any]:
    """What decides a run, as plain values: all settings but `cluster`, the sources without queries and passwords."""
    images = tuple(map(sources.redacted, config.images))
    public = dataclasses.replace(config, images=images, test_images=sources.redacted(config.test_images))
    return {key: value for key, value in as_dict(public).items() if key != "cluster"}


def pipeline_identity(config: Config, store: Store) -> str:
    """The identity of a pipeline run: the same configuration in the same store is continued."""
    return fingerprint("pipeline", public_settings(config), str(store.root))


@dataclass(frozen=True)
class Dataset:
    """A data set that a run read: shown with its digest in MLflow."""

    name: str
    digest: str
    uri: str
    profile: dict[str, Any]
    context: str  # "training" or "eval"


@dataclass(frozen=True)
class Run:
    """An open run. As a context it is closed at the end: FINISHED, or FAILED where the block raises.

    `started` is in milliseconds.
    """

    client: "MlflowClient"
    experiment: str
    id: str
    started: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("FINISHED" if kind is None else "FAILED")

    def close(self, status: str = "FINISHED", with_parent: bool = False) -> None:
        """End the run; one that is finished stays so. Where it did not finish, the run above ends `with_parent` too,
        until both are continued."""
        run = self.client.get_run(self.id)
        if run.info.status != "FINISHED":
            self.client.set_terminated(self.id, status)
        above = run.data.tags.get(_PARENT) if with_parent and status != "FINISHED" else None
        if above and self.client.get_run(above).info.status == "RUNNING":
            self.client.set_terminated(above, status)

    def log_params(self, params: dict[str, Any]) -> None:
        """Log nested values under dotted names."""
        from mlflow.entities import Param

        rows = [Param(name, value[:_PARAM_LENGTH]) for name, value in flat(params).items()]
        for chunk in _chunks(rows, _PARAMS):
            self.client.log_batch(self.id, params=chunk)

    def log_tags(self, tags: dict[str, str]) -> None:
        """Set tags, replacing those of the same names. A name's `+` becomes " plus"."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.id, tags=[RunTag(_accepted(name), value) for name, value in tags.items()])

    def log_metrics(self, metrics: dict[str, float]) -> None:
        """Log final figures, all at the moment the run was started, so that logging them again changes nothing.

        A name's `+` becomes " plus".
        """
        from mlflow.entities import Metric

        finite = {_accepted(name): value for name, value in metrics.items() if math.isfinite(value)}
        for chunk in _chunks([Metric(name, value, self.started, 0) for name, value in finite.items()], _METRICS):
            self.client.log_batch(self.id, metrics=chunk)

    def log_curve(self, reports: Sequence[dict[str, Any]]) -> None:
        """Log a training's reports, with their steps and the times they were made at; not those of steps that MLflow
        has already.

        A training that was killed reports some steps again, with the same values at other times.
        """
        from mlflow.entities import Metric

        logged = {metric.step for metric in self.client.get_metric_history(self.id, _LAST_METRIC)} if reports else set()
        rows = [
            Metric(name, float(value), int(report["time"] * 1000), int(report["step"]))
            for report in reports
            if report["step"] not in logged
            # The metric that says that a step is logged comes last, whatever cuts them off.
            for name, value in sorted(report.items(), key=lambda item: item[0] == _LAST_METRIC)
            if name not in _NOT_METRICS and isinstance(value, int | float)
        ]
        for chunk in _chunks(rows, _METRICS):
            self.client.log_batch(self.id, metrics=chunk)

    def log_datasets(self, datasets: Sequence[Dataset]) -> None:
        """Log what the run read as MLflow's data sets."""
        from mlflow.entities import Dataset as DatasetEntity
        from mlflow.entities import DatasetInput, InputTag

        inputs = []
        for dataset in datasets:
            source, profile = json.dumps({"uri": dataset.uri}), json.dumps(dataset.profile)
            entity = DatasetEntity(dataset.name, dataset.digest, "local", source, profile=profile)
            inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", dataset.context)]))
        self.client.log_inputs(self.id, inputs)

    def log_files(self, files: Iterable[Path], folder: str = "") -> None:
        """Upload files into a folder of the run's artifacts."""
        for file in files:
            self.client.log_artifact(self.id, str(file), folder or None)


@dataclass(frozen=True)
class Experiment:
    """An MLflow experiment: runs are opened in it."""

    client: "MlflowClient"
    id: str

    @classmethod
    def open(cls, tracking_uri: str, name: str) -> Self:
        """The experiment, created at need; beside a SQLite file its artifacts get a folder. Raises ServiceError where
        it is deleted."""
        from mlflow.exceptions import MlflowException

        mlflow_client = client.connect(tracking_uri)
        file = client.database(tracking_uri)
        location = sqlite.artifacts(file) if file else None
        experiment = mlflow_client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return cls(mlflow_client, str(mlflow_client.create_experiment(name, artifact_location=location)))
            except MlflowException:
                experiment = mlflow_client.get_experiment_by_name(name)  # another run was quicker
                if experiment is None:
                    raise
        if experiment.lifecycle_stage != "active":
            raise ServiceError(f"MLflow experiment {name!r} is deleted; restore it or name another, publish.experiment")
        return cls(mlflow_client, str(experiment.experiment_id))

    def run(self, tags: dict[str, str], name: str, parent: str = "", adopt: dict[str, str] | None = None) -> Run:
        """The run that has all of `tags`, continued where there is one, else a new one. A child run names its parent.

        A run that was followed while it trained becomes that run, where there is none yet: the first one with the tags
        `adopt` below `parent` that no publication has.
        """
        runs = self._search(tags)
        if not runs and adopt:
            below = {_PARENT: parent} if parent else {}
            runs = [run for run in self._search(adopt | below) if PUBLISH not in run.data.tags][:1]
            for run in runs:
                for tag, value in tags.items():
                    self.client.set_tag(run.info.run_id, tag, value)
        if runs:
            self._reopen(runs[0])
        else:
            runs = [self.client.create_run(self.id, tags=tags | ({_PARENT: parent} if parent else {}), run_name=name)]
        return Run(self.client, self.id, runs[0].info.run_id, runs[0].info.start_time)

    def training_run(self, identity: str, model: str, pipeline: tuple[str, str]) -> Run:
        """The run of a training that is under way, continued where there is one; below the run of its pipeline
        (identity and name; empty for none), which is the latest one of that identity that is not published yet."""
        tags = {LIVE: identity, ROLE: model}
        begun = self._search(tags)
        parent = begun[0].data.tags.get(_PARENT, "") if begun else ""
        if pipeline[0] and not begun:
            above = {LIVE: pipeline[0], ROLE: "pipeline"}
            unpublished = [run for run in self._search(above) if PUBLISH not in run.data.tags]
            if not unpublished:
                unpublished = [self.client.create_run(self.id, tags=above, run_name=pipeline[1])]
            parent = unpublished[-1].info.run_id
        if parent:
            self._reopen(self.client.get_run(parent))
        return self.run(tags, model, parent)

    def locations(self, tags: dict[str, str]) -> list[str]:
        """Where the files lie of runs that have all of `tags`."""
        return [str(run.info.artifact_uri) for run in self._search(tags)]

    def _reopen(self, run: "Entity") -> None:
        if run.info.status not in ("FINISHED", "RUNNING"):
            self.client.update_run(run.info.run_id, status="RUNNING")

    def _search(self, tags: dict[str, str]) -> "list[Entity]":
        """Runs that have all of `tags`, the oldest first."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        oldest_first = ["attributes.start_time ASC"]
        return list(self.client.search_runs([self.id], wanted, order_by=oldest_first, max_results=100))


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as text under dotted names; a list is joined by commas."""
    texts: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            texts |= flat(value, f"{prefix}{name}.")
        else:
            texts[prefix + name] = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return texts


def _accepted(name: str) -> str:
    return _REFUSED.sub("_", name.replace("+", " plus"))


def _chunks(rows: list[Any], size: int) -> Iterable[list[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
