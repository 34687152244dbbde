"""MLflow runs that can be continued: everything here may be done twice and stays as if done once.

A run is found again by its tags, a parameter or metric that is logged again is the same row, and a file that is
uploaded again replaces itself.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ced.errors import ServiceError
from ced.tracking import client as mlflow_tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Entity

PUBLISH = "ced.publish"  # tag: the fingerprint of the publication that made the run, model or version
ROLE = "ced.role"  # tag: "pipeline", or the model that a child run is about
LIVE = "ced.live"  # tag: the identity of a training, or of a pipeline, that is told while it runs

_PARENT = "mlflow.parentRunId"

_METRICS, _PARAMS = 1000, 100  # the most of one request
_PARAM_LENGTH = 6000
_NOT_METRICS = ("step", "steps", "time")
_REFUSED = re.compile(r"[^\w./: -]", re.ASCII)  # by MLflow, in the names of metrics, parameters and tags
_WHOLE = "loss"  # the metric that every report has


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
    return _open(client, experiment, {PUBLISH: publication, ROLE: role}, name, parent)


def open_training(client: "MlflowClient", experiment: str, key: str, name: str, pipeline: tuple[str, str]) -> Run:
    """The run of a training that is under way, continued where there is one; below the run of its pipeline (identity
    and name), which is the latest one of that identity that is not published yet."""
    mine = _found(client, experiment, {LIVE: key, ROLE: name})
    parent = mine[0].data.tags.get(_PARENT, "") if mine else ""
    if pipeline[0] and not mine:
        tags = {LIVE: pipeline[0], ROLE: "pipeline"}
        unpublished = [run for run in _found(client, experiment, tags) if PUBLISH not in run.data.tags]
        one = unpublished[-1] if unpublished else client.create_run(experiment, tags=tags, run_name=pipeline[1])
        parent = one.info.run_id
    if parent:
        _reopen(client, client.get_run(parent))
    return _open(client, experiment, {LIVE: key, ROLE: name}, name, parent)


def adopt(client: "MlflowClient", experiment: str, publication: str, role: str, key: str, parent: str = "") -> None:
    """Make the run that was told of while it ran, under the identity `key` and below `parent`, the publication's; if
    there is one, and the publication has none yet."""
    if not key or _found(client, experiment, {PUBLISH: publication, ROLE: role}):
        return
    below = {_PARENT: parent} if parent else {}
    for run in _found(client, experiment, {LIVE: key, ROLE: role} | below):
        if PUBLISH not in run.data.tags:
            client.set_tag(run.info.run_id, PUBLISH, publication)
            return


def close(run: Run, status: str = "FINISHED") -> None:
    """End a run; one that is finished stays so."""
    if run.client.get_run(run.id).info.status != "FINISHED":
        run.client.set_terminated(run.id, status)


def close_training(run: Run, status: str) -> None:
    """End a training's run. One that did not finish ends its pipeline's run too, until both are continued."""
    close(run, status)
    above = run.client.get_run(run.id).data.tags.get(_PARENT)
    if above and status != "FINISHED" and run.client.get_run(above).info.status == "RUNNING":
        run.client.set_terminated(above, status)


def log_params(run: Run, params: dict[str, Any]) -> None:
    """Log nested values under dotted names."""
    from mlflow.entities import Param

    rows = [Param(name, value[:_PARAM_LENGTH]) for name, value in flat(params).items()]
    for chunk in _chunks(rows, _PARAMS):
        run.client.log_batch(run.id, params=chunk)


def log_tags(run: Run, tags: dict[str, str]) -> None:
    """Set tags, replacing those of the same names. A name's `+` becomes " plus"."""
    from mlflow.entities import RunTag

    run.client.log_batch(run.id, tags=[RunTag(_named(name), value) for name, value in tags.items()])


def log_metrics(run: Run, metrics: dict[str, float]) -> None:
    """Log final figures, all at the moment the run was started, so that logging them again changes nothing.

    A name's `+` becomes " plus".
    """
    from mlflow.entities import Metric

    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    for chunk in _chunks([Metric(_named(name), value, run.started, 0) for name, value in finite.items()], _METRICS):
        run.client.log_batch(run.id, metrics=chunk)


def log_curve(run: Run, reports: Iterable[dict[str, Any]]) -> None:
    """Log a training's reports, with their steps and the times they were made at; not those of steps that are there.

    A training that was killed reports some steps again, with the same values at other times.
    """
    from mlflow.entities import Metric

    reports = list(reports)
    there = {metric.step for metric in run.client.get_metric_history(run.id, _WHOLE)} if reports else set()
    rows = [
        Metric(name, float(value), int(report["time"] * 1000), int(report["step"]))
        for report in reports
        if report["step"] not in there
        # The one that says that a step is there comes last, whatever cuts them off.
        for name, value in sorted(report.items(), key=lambda item: item[0] == _WHOLE)
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


def _named(name: str) -> str:
    return _REFUSED.sub("_", name.replace("+", " plus"))


def _open(client: "MlflowClient", experiment: str, tags: dict[str, str], name: str, parent: str) -> Run:
    found = _found(client, experiment, tags)
    if found:
        run = found[0]
        _reopen(client, run)
    else:
        run = client.create_run(experiment, tags=tags | ({_PARENT: parent} if parent else {}), run_name=name)
    return Run(client, experiment, run.info.run_id, run.info.start_time)


def _reopen(client: "MlflowClient", run: "Entity") -> None:
    if run.info.status not in ("FINISHED", "RUNNING"):
        client.update_run(run.info.run_id, status="RUNNING")


def _found(client: "MlflowClient", experiment: str, tags: dict[str, str]) -> "list[Entity]":
    """Runs that have all of `tags`, the oldest first."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    return list(client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"], max_results=100))


def _chunks(rows: list[Any], size: int) -> Iterable[list[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
