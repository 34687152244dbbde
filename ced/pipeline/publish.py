"""Stage 6: everything made -> MLflow runs, a version in the registry, and the champion where it is the best yet.

Every step may be repeated: a run, model or version is found again by the fingerprint of the publication, so that
a publication that was killed is continued by starting it again.
"""

import dataclasses
import json
import logging
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ced.config import Config, as_dict, fingerprint
from ced.data import edges, sources
from ced.errors import FormatError, ServiceError
from ced.evaluation import evaluate, means, metrics
from ced.evaluation.metrics import Metric
from ced.evaluation.runner import FILE as PER_IMAGE
from ced.pipeline import record, restorers
from ced.report import stage as report
from ced.store.outputs import Making, Output, make, write_text
from ced.store.session import Session
from ced.tracking import client as mlflow_tracking
from ced.tracking import live_runs, provenance, registry, runs
from ced.tracking.registry import Version
from ced.tracking.runs import Data, Run
from ced.training import stage as train

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger("ced")

FILE = "publish.json"
_FORM = 1  # of what is published; another number publishes again
_NOT_MEASURES = ("methods", "pictures", "timeout", "lpips")  # settings that do not change a method's figures
_EVALUATION, _METHOD, _REASON = "ced.evaluation", "ced.method", "ced.reason"  # tags of a version


@dataclass(frozen=True)
class Made:
    """What the stages before this one made."""

    prepared: Output
    classes: Output
    labelled: Output
    trained: dict[str, Output]  # by model
    restorers: dict[str, Output]  # by method
    evaluated: Output
    reported: Output


@dataclass(frozen=True)
class Decision:
    """Whether a version becomes champion, why, and the figure that it had to beat."""

    promoted: bool
    reason: str
    champion: str = ""  # number of the version it was compared with
    champion_metric: float | None = None


@dataclass(frozen=True)
class Publication:
    """One publication: what is published, where to, and its identity there."""

    config: Config
    made: Made
    session: Session
    id: str
    scratch: Path  # a folder for files in between


def run(config: Config, made: Made, session: Session) -> Output:
    """Publish what was made, or find it published. Raises ServiceError."""
    address = mlflow_tracking.plain(session.tracking_uri)
    described = {"publish": as_dict(config.publish), "tracking_uri": address, "form": _FORM}
    inputs = {"evaluate": made.evaluated.manifest.content, "report": made.reported.manifest.content}
    inputs |= {f"restorer-{name}": output.manifest.content for name, output in made.restorers.items()}
    identity = fingerprint(described, inputs)

    def produce(making: Making) -> None:
        publication = Publication(config, made, session, identity, making.folder / ".scratch")
        with mlflow_tracking.told(session.tracking_uri):
            outcome = _publish(publication)
        shutil.rmtree(publication.scratch)
        write_text(making.folder / FILE, json.dumps(outcome, indent=1) + "\n")

    record.forget_lost(session.store.of("publish", fingerprint("publish", described, inputs)), session.tracking_uri)
    return make(session.store, "publish", described, inputs, produce)


def decide(ours: float, theirs: float, gate: Metric, champion: str) -> Decision:
    """The gate: a new version becomes champion where it is strictly better; a tie keeps the champion."""
    better = gate.beats(ours, theirs)
    nearer = {"lower": "below", "one": "nearer to 1 than"}.get(gate.better, "above")
    relation = nearer if better else "level with" if ours == theirs else f"not {nearer}"
    reason = f"{gate.name} {ours:.4f} is {relation} the {theirs:.4f} of version {champion}"
    return Decision(better, reason, champion, theirs)


def _publish(publication: Publication) -> dict[str, Any]:
    config, client = publication.config, mlflow_tracking.connect(publication.session.tracking_uri)
    experiment = runs.experiment(client, publication.session.tracking_uri, config.publish.experiment)
    name = f"{config.publish.method} {publication.id[:8]}"
    followed = provenance.pipeline_identity(config, publication.session.store)
    runs.adopt(client, experiment, publication.id, "pipeline", followed)
    parent = runs.open_run(client, experiment, publication.id, "pipeline", name)
    try:
        _log_parent(publication, parent)
        for model, output in publication.made.trained.items():
            _log_child(publication, parent, model, output)
        version, decision = _register(publication, parent)
    except BaseException:
        runs.close(parent, "FAILED")
        raise
    runs.close(parent)
    _tell(config, version, decision)
    ours = _figures(publication.made.evaluated, config.publish.method)[config.publish.gate]
    return {
        "run_id": parent.id,
        "experiment_id": experiment,
        "version": version.number,
        "promoted": decision.promoted,
        "reason": decision.reason,
        "gate": config.publish.gate,
        "metric": _finite(ours),
        "champion": decision.champion,
        "champion_metric": _finite(decision.champion_metric),
        "tracking_uri": mlflow_tracking.plain(publication.session.tracking_uri),
    }


def _log_parent(publication: Publication, run: Run) -> None:
    made = publication.made
    runs.log_params(run, provenance.described(publication.config))
    stages = {"prepare": made.prepared, "edges": made.classes, "label": made.labelled, "evaluate": made.evaluated}
    runs.log_tags(run, {f"ced.{stage}": output.manifest.fingerprint for stage, output in stages.items()})
    runs.log_tags(run, {f"ced.{stage}.content": output.manifest.content for stage, output in stages.items()})
    runs.log_data(run, [_training_data(made), _test_data(publication)])
    runs.log_metrics(run, means.figures_of(means.rows_of(made.evaluated)))
    pages = [made.reported.path / report.RESULTS, made.reported.path / report.PAGE]
    runs.log_files(run, [*pages, made.classes.path / edges.FILE, made.evaluated.path / PER_IMAGE])
    for folder in (report.STRIPS, report.FIGURES):
        runs.log_files(run, sorted((made.reported.path / folder).glob("*.*")), folder)


def _log_child(publication: Publication, parent: Run, model: str, output: Output) -> None:
    key = live_runs.identity(output.path)
    runs.adopt(parent.client, parent.experiment, publication.id, model, key, parent.id)
    run = runs.open_run(parent.client, parent.experiment, publication.id, model, model, parent.id)
    manifest = output.manifest
    runs.log_params(run, manifest.config)
    inputs = {f"ced.{name}.content": content for name, content in manifest.inputs.items()}
    own = {"ced.train": manifest.fingerprint, "ced.train.content": manifest.content}
    runs.log_tags(run, {**inputs, **own, "ced.train.seconds": str(manifest.seconds)})
    runs.log_data(run, [_training_data(publication.made)])
    runs.log_curve(run, train.curve(output))
    runs.log_files(run, [output.path / train.WEIGHTS, output.path / train.METRICS])
    runs.log_files(run, live_runs.pictures_in(output.path), live_runs.STRIPS)
    runs.close(run)


def _training_data(made: Made) -> Data:
    counts = {**made.prepared.manifest.counts, **made.labelled.manifest.counts}
    return Data("labelled", made.labelled.manifest.content, str(made.labelled.path), counts, "training")


def _test_data(publication: Publication) -> Data:
    evaluated = publication.made.evaluated.manifest
    images = sources.shown(publication.config.test_images)
    return Data(evaluated.config["dataset"], evaluated.inputs["images"], images, evaluated.counts, "eval")


def _register(publication: Publication, parent: Run) -> tuple[Version, Decision]:
    """Register the restorer and move the alias where the gate says so."""
    config, made, client = publication.config.publish, publication.made, parent.client
    restorer = made.restorers[config.method].path
    publication.scratch.mkdir(exist_ok=True)
    version = registry.register(parent, publication.id, config.model, restorer, publication.scratch)
    figures = _figures(made.evaluated, config.method)
    evaluated = made.evaluated.manifest
    qualities = ", ".join(str(quality) for quality in evaluated.config["qualities"])
    tags = {
        _METHOD: config.method,
        _EVALUATION: evaluation_key(made.evaluated),
        "ced.quality": str(publication.config.prepare.quality),
        "ced.evaluated": f"{evaluated.config['dataset']}, {evaluated.counts['images']} images, quality {qualities}",
        **{f"ced.{gate}": repr(figure) for gate, figure in figures.items()},
    }
    text = f"{config.method}: {config.gate} {figures[config.gate]:.4f} on {tags['ced.evaluated']}"
    registry.describe(client, version, tags, text)
    decision = _decision(publication, client, version)
    registry.describe(client, version, {_REASON: decision.reason})
    if decision.promoted:
        registry.promote(client, version, config.alias)
    runs.log_tags(parent, {"ced.version": version.number, "ced.promoted": str(decision.promoted).lower()})
    return version, decision


def _decision(publication: Publication, client: "MlflowClient", version: Version) -> Decision:
    config = publication.config.publish
    champion = registry.champion(client, config.model, config.alias)
    if champion is None:
        return Decision(True, f"no version of {config.model} was @{config.alias} before")
    if champion.number == version.number:  # published before, and only the note of it is missing
        return Decision(True, champion.tags.get(_REASON, f"it is @{config.alias} already"))
    if registry.is_gone(champion, publication.session.tracking_uri):
        return Decision(True, f"the files of version {champion.number} are deleted", champion.number)
    ours = _figures(publication.made.evaluated, config.method)[config.gate]
    theirs = _stored_figure(publication, champion)
    if theirs is None:
        theirs = _measured_figure(publication, champion)
    return decide(ours, theirs, metrics.gate(config.gate), champion.number)


def evaluation_key(evaluated: Output) -> str:
    """A digest of what was measured on: data set, images and qualities, everything but the methods."""
    manifest = evaluated.manifest
    described = {name: value for name, value in manifest.config.items() if name not in _NOT_MEASURES}
    return fingerprint(described, manifest.inputs["images"])


def _stored_figure(publication: Publication, champion: Version) -> float | None:
    """The champion's figure as it was published, None where it was measured on something else."""
    if champion.tags.get(_EVALUATION) != evaluation_key(publication.made.evaluated):
        return None
    stored = champion.tags.get(f"ced.{publication.config.publish.gate}")
    return float(stored) if stored else None


def _measured_figure(publication: Publication, champion: Version) -> float:
    """The champion's figure on this run's test images. Raises ServiceError where it cannot be used."""
    config = publication.config
    method = champion.tags.get(_METHOD, "")
    logger.info("publish: measuring the champion, version %s, on these test images", champion.number)
    try:
        scratch = publication.scratch / f"champion-{champion.number}"
        folder = registry.fetch(champion, publication.session.tracking_uri, scratch)
        given = restorers.given(method, folder)
    except (FormatError, OSError) as error:
        raise ServiceError(
            f"the champion, version {champion.number} of {champion.name}, cannot be used ({error}); "
            f"delete that version or its alias @{config.publish.alias} in MLflow"
        ) from error
    measured = dataclasses.replace(config.evaluate, methods=(method,), pictures=0)
    evaluated = evaluate.run(measured, config.test_images, {method: given}, publication.session)
    return _figures(evaluated, method)[config.publish.gate]


def _figures(evaluated: Output, method: str) -> dict[str, float]:
    """Means over the quality factors of those of a method's figures that may be gates."""
    rows = [row for row in means.rows_of(evaluated) if row.method == method]
    gates = [metric.name for metric in metrics.metrics() if metric.gate]
    return {name: math.fsum(row.value(name) for row in rows) / len(rows) for name in gates}


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: null stands for it."""
    return value if value is not None and math.isfinite(value) else None


def _tell(config: Config, version: Version, decision: Decision) -> None:
    state = f"now @{config.publish.alias}" if decision.promoted else f"not @{config.publish.alias}"
    logger.info("publish: version %s of %s, %s: %s", version.number, version.name, state, decision.reason)
