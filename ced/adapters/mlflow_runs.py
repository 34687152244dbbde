"""MLflow runs that can be continued: everything here may be done twice and stays as if done once.

A run is found again by its tags, a parameter or metric that is logged again is the same row, and a file that is
uploaded again replaces itself.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ced.adapters import mlflow_tracking
from ced.errors import ServiceError

if TYPE_CHECKING:
    from mlflow import MlflowClient

PUBLISH = "ced.publish"  # tag: the fingerprint of the publication that made the run, model or version
ROLE = "ced.role"  # tag: "pipeline", or the model that a child run is about

_METRICS, _PARAMS = 1000, 100  # the most of one request
_PARAM_LENGTH = 6000
_NOT_METRICS = ("step", "steps", "time")


@dataclass(frozen=True)
class Run:
    """An open run. `started` is in milliseconds."""

    client: "MlflowClient"
    experiment: str
    id: str
    started: int


@dataclass(frozen=True)
class Data:
    """A data set that a run read: shown with its digest in MLflow."""

    name: str
    digest: str
    uri: str
    profile: dict[str, Any]
    context: str  # "training" or "eval"


def experiment(client: "MlflowClient", tracking_uri: str, name: str) -> str:
    """The id of the experiment, created at need; beside a SQLite file its artifacts get a folder."""
    from mlflow.exceptions import MlflowException

    file = mlflow_tracking.database(tracking_uri)
    location = (file.parent / mlflow_tracking.ARTIFACTS).as_uri() if file else None
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another run was quicker
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise ServiceError(f"MLflow experiment {name!r} is deleted; restore it or name another, publish.experiment")
    return str(found.experiment_id)


def open_run(client: "MlflowClient", experiment: str, publication: str, role: str, name: str, parent: str = "") -> Run:
    """The run of a publication in a role, continued where there is one. A child run names its parent."""
    wanted = f"tags.`{PUBLISH}` = '{publication}' and tags.`{ROLE}` = '{role}'"
    found = client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"], max_results=1)
    if found:
        run = found[0]
        if run.info.status != "FINISHED":
            client.update_run(run.info.run_id, status="RUNNING")
    else:
        tags = {PUBLISH: publication, ROLE: role} | ({"mlflow.parentRunId": parent} if parent else {})
        run = client.create_run(experiment, tags=tags, run_name=name)
    return Run(client, experiment, run.info.run_id, run.info.start_time)


def close(run: Run, status: str = "FINISHED") -> None:
    """End a run; one that is finished stays so."""
    if run.client.get_run(run.id).info.status != "FINISHED":
        run.client.set_terminated(run.id, status)


def log_params(run: Run, params: dict[str, Any]) -> None:
    """Log nested values under dotted names."""
    from mlflow.entities import Param

    rows = [Param(name, value[:_PARAM_LENGTH]) for name, value in flat(params).items()]
    for chunk in _chunks(rows, _PARAMS):
        run.client.log_batch(run.id, params=chunk)


def log_tags(run: Run, tags: dict[str, str]) -> None:
    """Set tags, replacing those of the same names."""
    from mlflow.entities import RunTag

    run.client.log_batch(run.id, tags=[RunTag(name, value) for name, value in tags.items()])


def log_metrics(run: Run, metrics: dict[str, float]) -> None:
    """Log final figures, all at the moment the run was started, so that logging them again changes nothing."""
    from mlflow.entities import Metric

    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    for chunk in _chunks([Metric(name, value, run.started, 0) for name, value in finite.items()], _METRICS):
        run.client.log_batch(run.id, metrics=chunk)


def log_curve(run: Run, reports: Iterable[dict[str, Any]]) -> None:
    """Log a training's reports, with their steps and the times they were made at."""
    from mlflow.entities import Metric

    rows = [
        Metric(name, float(value), int(report["time"] * 1000), int(report["step"]))
        for report in reports
        for name, value in report.items()
        if name not in _NOT_METRICS and isinstance(value, int | float)
    ]
    for chunk in _chunks(rows, _METRICS):
        run.client.log_batch(run.id, metrics=chunk)


def log_data(run: Run, data: Sequence[Data]) -> None:
    """Log what a run read as MLflow's data sets."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for one in data:
        source = json.dumps({"uri": one.uri})
        entity = Dataset(one.name, one.digest, "local", source, profile=json.dumps(one.profile))
        inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", one.context)]))
    run.client.log_inputs(run.id, inputs)


def log_files(run: Run, files: Iterable[Path], folder: str = "") -> None:
    """Upload files into a folder of the run's artifacts."""
    for file in files:
        run.client.log_artifact(run.id, str(file), folder or None)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as text under dotted names; a list is joined by commas."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return found


def _chunks(rows: list[Any], size: int) -> Iterable[list[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
