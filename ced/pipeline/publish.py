"""Stage 6: all outputs -> MLflow runs, a version in the registry, and the champion where it is the best yet.

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
from typing import Any

from ced.config import Config, PublishConfig, as_dict, fingerprint
from ced.data import edges, sources
from ced.errors import FormatError, ServiceError
from ced.evaluation import evaluate, metrics
from ced.evaluation.metrics import Metric
from ced.pipeline import restorers, track
from ced.store.outputs import MANIFEST, Making, Output, make, read_manifest, write_text
from ced.store.session import Session
from ced.strict_json import finite
from ced.tracking import client, registry
from ced.tracking.registry import ModelVersion
from ced.tracking.runs import LIVE, PUBLISH, ROLE, Dataset, Experiment, Run, pipeline_identity, public_settings
from ced.training import follower
from ced.training.job import METRICS, PREVIEWS, WEIGHTS, read_reports

logger = logging.getLogger("ced")

FILE = "publish.json"
_FORM = 1  # of what is published; another number publishes again
_NOT_MEASURES = ("methods", "pictures", "timeout", "lpips", "judges")  # settings that do not change a method's figures
_EVALUATION, _METHOD, _REASON = "ced.evaluation", client.METHOD, "ced.reason"  # tags of a version


@dataclass(frozen=True)
class PipelineOutputs:
    """The outputs of the stages before this one."""

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
    outputs: PipelineOutputs
    session: Session
    id: str
    scratch: Path  # a folder for files in between


def run(config: Config, outputs: PipelineOutputs, session: Session) -> Output:
    """Publish the outputs of a pipeline, or find them published. Raises ServiceError."""
    address = client.identity(session.tracking_uri)
    described = {"publish": as_dict(config.publish), "tracking_uri": address, "form": _FORM}
    inputs = {"evaluate": outputs.evaluated.manifest.content, "report": outputs.reported.manifest.content}
    inputs |= {f"restorer-{name}": output.manifest.content for name, output in outputs.restorers.items()}
    identity = fingerprint(described, inputs)

    def produce(making: Making) -> None:
        publication = Publication(config, outputs, session, identity, making.folder / ".scratch")
        with client.service_errors(session.tracking_uri):
            outcome = _publish(publication, making.folder)
        shutil.rmtree(publication.scratch)
        write_text(making.folder / FILE, json.dumps(outcome, indent=1) + "\n")

    track.forget_lost(session.store.of("publish", fingerprint("publish", described, inputs)), session.tracking_uri)
    return make(session.store, "publish", described, inputs, produce)


def newest(root: Path) -> PublishConfig:
    """What the newest publication of a store was asked for: the names of its model and alias; the default where there
    is none. Raises FormatError."""
    manifests = sorted(root.glob(f"publish/*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    manifest = read_manifest(manifests[-1].parent) if manifests else None
    return PublishConfig(**manifest.config["publish"]) if manifest else PublishConfig()


def decide(ours: float, theirs: float, gate: Metric, champion: str) -> Decision:
    """The gate: a new version becomes champion where it is strictly better; a tie keeps the champion."""
    better = gate.beats(ours, theirs)
    nearer = {"lower": "below", "one": "nearer to 1 than"}.get(gate.better, "above")
    relation = nearer if better else "level with" if ours == theirs else f"not {nearer}"
    reason = f"{gate.name} {ours:.4f} is {relation} the {theirs:.4f} of version {champion}"
    return Decision(better, reason, champion, theirs)


def _publish(publication: Publication, folder: Path) -> dict[str, Any]:
    config, tracking_uri = publication.config, publication.session.tracking_uri
    experiment = Experiment.open(tracking_uri, config.publish.experiment)
    tags = {PUBLISH: publication.id, ROLE: "pipeline"}
    followed = {LIVE: pipeline_identity(config, publication.session.store), ROLE: "pipeline"}
    name = f"{config.publish.method} {publication.id[:8]}"
    with experiment.run(tags, name, adopt=followed) as parent:
        _log_pipeline(publication, parent)
        for model, output in publication.outputs.trained.items():
            _log_training(publication, experiment, parent, model, output)
        version, decision = _register(publication, parent)
    logged = experiment.locations({PUBLISH: publication.id})
    track.note_files(folder, [*logged, version.location], publication.session)
    state = f"now @{config.publish.alias}" if decision.promoted else f"not @{config.publish.alias}"
    logger.info("publish: version %s of %s, %s: %s", version.number, version.name, state, decision.reason)
    ours = _figures(publication.outputs.evaluated, config.publish.method)[config.publish.gate]
    return {
        "run_id": parent.id,
        "experiment_id": experiment.id,
        "version": version.number,
        "promoted": decision.promoted,
        "reason": decision.reason,
        "gate": config.publish.gate,
        "metric": finite(ours),
        "champion": decision.champion,
        "champion_metric": finite(decision.champion_metric),
        "tracking_uri": client.without_password(tracking_uri),
    }


def _log_pipeline(publication: Publication, run: Run) -> None:
    """The run of the whole: settings, which outputs it is about, and the evaluation."""
    outputs = publication.outputs
    run.log_params(public_settings(publication.config))
    stages = {"prepare": outputs.prepared, "edges": outputs.classes, "label": outputs.labelled}
    run.log_tags({f"ced.{stage}": output.manifest.fingerprint for stage, output in stages.items()})
    run.log_tags({f"ced.{stage}.content": output.manifest.content for stage, output in stages.items()})
    run.log_datasets([_training_data(outputs)])
    run.log_files([outputs.classes.path / edges.FILE])
    figures, images = (
        evaluate.figures_of(evaluate.rows_of(outputs.evaluated)),
        sources.redacted(publication.config.test_images),
    )
    track.log_evaluation(run, outputs.evaluated, outputs.reported, figures, images)


def _log_training(publication: Publication, experiment: Experiment, parent: Run, model: str, output: Output) -> None:
    """A model's run below the whole's: the one that followed its training, where there is one."""
    tags, identity = {PUBLISH: publication.id, ROLE: model}, follower.identity(output.path)
    followed = {LIVE: identity, ROLE: model} if identity else None
    with experiment.run(tags, model, parent.id, adopt=followed) as run:
        run.log_params(output.manifest.config)
        run.log_tags(track.lineage("train", output.manifest))
        run.log_tags({"ced.train.seconds": str(output.manifest.seconds)})
        run.log_datasets([_training_data(publication.outputs)])
        run.log_curve(read_reports(output.path))
        run.log_files([output.path / WEIGHTS, output.path / METRICS])
        run.log_files(follower.previews_in(output.path), PREVIEWS)


def _training_data(outputs: PipelineOutputs) -> Dataset:
    labelled = outputs.labelled
    counts = {**outputs.prepared.manifest.counts, **labelled.manifest.counts}
    return Dataset("labelled", labelled.manifest.content, str(labelled.path), counts, "training")


def _register(publication: Publication, parent: Run) -> tuple[ModelVersion, Decision]:
    """Register the restorer and move the alias where the gate says so."""
    config, outputs = publication.config.publish, publication.outputs
    restorer = outputs.restorers[config.method].path
    publication.scratch.mkdir(exist_ok=True)
    version = registry.register(parent, publication.id, config.model, restorer, publication.scratch)
    figures = _figures(outputs.evaluated, config.method)
    evaluated = outputs.evaluated.manifest
    qualities = ", ".join(str(quality) for quality in evaluated.config["qualities"])
    tags = {
        _METHOD: config.method,
        _EVALUATION: evaluation_key(outputs.evaluated),
        "ced.quality": str(publication.config.prepare.quality),
        "ced.evaluated": f"{evaluated.config['dataset']}, {evaluated.counts['images']} images, quality {qualities}",
        **{f"ced.{gate}": repr(figure) for gate, figure in figures.items()},
    }
    text = f"{config.method}: {config.gate} {figures[config.gate]:.4f} on {tags['ced.evaluated']}"
    registry.describe(parent.client, version, tags, text)
    decision = _decision(publication, parent, version)
    registry.describe(parent.client, version, {_REASON: decision.reason})
    if decision.promoted:
        registry.promote(parent.client, version, config.alias)
    parent.log_tags({"ced.version": version.number, "ced.promoted": str(decision.promoted).lower()})
    return version, decision


def _decision(publication: Publication, parent: Run, version: ModelVersion) -> Decision:
    config = publication.config.publish
    champion = registry.champion(parent.client, config.model, config.alias)
    if champion is None:
        return Decision(True, f"no version of {config.model} was @{config.alias} before")
    if champion.number == version.number:  # published before, and only the note of it is missing
        return Decision(True, champion.tags.get(_REASON, f"it is @{config.alias} already"))
    if registry.is_gone(champion, publication.session.tracking_uri):
        return Decision(True, f"the files of version {champion.number} are deleted", champion.number)
    ours = _figures(publication.outputs.evaluated, config.method)[config.gate]
    theirs = _stored_figure(publication, champion)
    if theirs is None:
        theirs = _measured_figure(publication, champion)
    return decide(ours, theirs, metrics.gate(config.gate), champion.number)


def evaluation_key(evaluated: Output) -> str:
    """A digest of what was measured on: data set, images and qualities, everything but the methods."""
    manifest = evaluated.manifest
    described = {name: value for name, value in manifest.config.items() if name not in _NOT_MEASURES}
    return fingerprint(described, manifest.inputs["images"])


def _stored_figure(publication: Publication, champion: ModelVersion) -> float | None:
    """The champion's figure as it was published, None where it was measured on something else."""
    if champion.tags.get(_EVALUATION) != evaluation_key(publication.outputs.evaluated):
        return None
    stored = champion.tags.get(f"ced.{publication.config.publish.gate}")
    return float(stored) if stored else None


def _measured_figure(publication: Publication, champion: ModelVersion) -> float:
    """The champion's figure on this run's test images. Raises ServiceError where it cannot be used."""
    config = publication.config
    method = champion.tags.get(_METHOD, "")
    logger.info("publish: measuring the champion, version %s, on these test images", champion.number)
    try:
        scratch = publication.scratch / f"champion-{champion.name}-{champion.number}"
        folder = registry.fetch(champion, publication.session.tracking_uri, scratch)
        restorer = restorers.from_folder(method, folder)
    except (FormatError, OSError) as error:
        raise ServiceError(
            f"the champion, version {champion.number} of {champion.name}, cannot be used ({error}); "
            f"delete that version or its alias @{config.publish.alias} in MLflow"
        ) from error
    measured = dataclasses.replace(config.evaluate, methods=(method,), pictures=0)
    evaluated = evaluate.run(measured, config.test_images, {method: restorer}, publication.session)
    return _figures(evaluated, method)[config.publish.gate]


def _figures(evaluated: Output, method: str) -> dict[str, float]:
    """Means over the quality factors of those of a method's figures that may be gates."""
    rows = [row for row in evaluate.rows_of(evaluated) if row.method == method]
    gates = [metric.name for metric in metrics.metrics() if metric.gate]
    return {name: math.fsum(row.value(name) for row in rows) / len(rows) for name in gates}
