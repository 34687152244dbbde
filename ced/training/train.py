"""Stage 4: labelled examples -> the weights of C, ED, CED-EST or CED-GT (sections 3.3 and 3.4)."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ced.config import Config, TrainConfig, as_dict
from ced.data import edges, label
from ced.errors import InputError
from ced.networks import NETWORKS
from ced.store.outputs import Making, Output, make, sha256, write_text
from ced.store.session import Session
from ced.training import follower
from ced.training.follower import FollowedTraining
from ced.training.job import CHECKPOINT, WEIGHTS, TrainJob, uses_classifier

logger = logging.getLogger("ced")

JOB = ".job.json"  # what `python -m ced.training --job` takes, in the folder of a training


@dataclass(frozen=True)
class TrainingInputs:
    """What training reads: labelled examples, their classes and, where it takes its estimates, a trained classifier.

    `start` has, for each model that does not begin at random, the folder with weights to begin with: what
    `ced train -o` wrote, or a restorer.
    """

    labelled: Output
    classes: Output
    classifier: Output | None = None
    start: Mapping[str, Path] = field(default_factory=dict)

    @property
    def class_count(self) -> int:
        """n_cl of the classes that there are, whatever the configuration says of those it would make."""
        return int(self.classes.manifest.config["count"])


def run(model: str, config: Config, inputs: TrainingInputs, session: Session, device: str = "") -> Output:
    """Train `model`, or find it trained.

    With `device` the plain loop runs in this process on that device; without, Ray Train's workers run it. Where the
    session has a tracking server, MLflow follows it while it runs.
    """
    train = _settings(model, config)
    contents = {"labelled": inputs.labelled.manifest.content, "classes": inputs.classes.manifest.content}
    # Labels tell of the targets alone: those of other quality factors are the same.
    contents["examples"] = inputs.labelled.manifest.inputs.get("examples", "")
    if uses_classifier(model, train):
        if inputs.classifier is None:
            raise ValueError(f"{model} is trained with the estimates of a classifier")
        contents["classifier"] = inputs.classifier.manifest.content
    if model in inputs.start:
        contents["start"] = sha256(weights_in(inputs.start[model], model))[:16]
    described = _described(model, config)

    def followed(folder: Path) -> FollowedTraining:
        pipeline = session.pipeline, f"{config.publish.method} {session.pipeline[:8]}"
        return FollowedTraining(model, folder, session.tracking_uri, config.publish.experiment, pipeline, described)

    produce = partial(_produce, model, config, inputs, device, followed)
    output = make(session.store, f"train-{model}", described, contents, produce)
    if session.tracking_uri and output.reused:
        follower.catch_up(followed(output.path))
    return output


def check_start(config: Config, inputs: TrainingInputs) -> None:
    """Find out at once what would only be found when a model's turn comes. Raises InputError where its weights to start
    from are missing, FormatError where they are of another network."""
    from ced.models.base import build
    from ced.training import objectives

    for model, folder in inputs.start.items():
        network = build(model, config.network, config.prepare.channels, inputs.class_count)
        objectives.start_from(network, str(weights_in(folder, model)))


def weights_in(folder: Path, model: str) -> Path:
    """The weights of `model` in what `ced train -o` wrote, or in a restorer. Raises InputError where there are none,
    FormatError where a restorer's were altered."""
    from ced.restoration import restorer

    part = restorer.CLASSIFIER if NETWORKS.get(model).objective == "classes" else restorer.AUTOENCODER
    if (folder / f"train-{model}" / WEIGHTS).is_file():
        return folder / f"train-{model}" / WEIGHTS
    if (folder / part).is_file():
        return restorer.weights_of(folder, part)
    raise InputError(f"{folder}: no weights of {model} to start from; give what `ced train -o` wrote, or a restorer")


def size(model: str, config: Config, classes: int) -> str:
    """What the network of `model` costs, in words."""
    from ced.models.base import size_of

    cost = size_of(model, config.network, config.prepare.channels, classes)
    multiply_adds = cost.multiply_adds_per_megapixel / 1e9
    return f"{cost.parameters:,} parameters, {multiply_adds:,.1f} G multiply-adds a megapixel"


def _settings(model: str, config: Config) -> TrainConfig:
    settings: TrainConfig = getattr(config, NETWORKS.get(model).section)
    return settings


def _described(model: str, config: Config) -> dict[str, Any]:
    """The settings that a training depends on. The networks of other authors do not depend on the section `network`."""
    network = {} if NETWORKS.get(model).baseline else as_dict(config.network)
    train = as_dict(_settings(model, config))
    return {"model": model, "channels": config.prepare.channels, "network": network, "train": train}


def _produce(
    model: str,
    config: Config,
    inputs: TrainingInputs,
    device: str,
    followed: Callable[[Path], FollowedTraining],
    making: Making,
) -> None:
    train = _settings(model, config)
    classifier = inputs.classifier if uses_classifier(model, train) else None
    job = TrainJob(
        model=model,
        examples=str(label.examples_of(inputs.labelled)),
        labelled=str(inputs.labelled.path),
        classes=str(inputs.classes.path / edges.FILE),
        classifier=str(classifier.path / WEIGHTS) if classifier else "",
        out=str(making.folder),
        network=config.network,
        train=train,
        channels=config.prepare.channels,
        start=str(weights_in(inputs.start[model], model)) if model in inputs.start else "",
    )
    logger.info("%s: %s", model, size(model, config, inputs.class_count))
    write_text(making.folder / JOB, job.to_json())
    if not (making.folder / WEIGHTS).exists():  # killed between the last step and the manifest
        if (making.folder / CHECKPOINT).exists():
            logger.info("%s: goes on from its last checkpoint", model)
        with follower.followed(followed(making.folder)):
            _train(job, config, device)
    (making.folder / CHECKPOINT).unlink(missing_ok=True)  # of no use once the weights are there
    making.counts["steps"] = job.train.steps


def _train(job: TrainJob, config: Config, device: str) -> None:
    if device:
        import torch

        from ced.training.context import PlainContext
        from ced.training.trainer import train

        if config.cluster.threads_per_worker:
            torch.set_num_threads(config.cluster.threads_per_worker)
        train(job, PlainContext(device, cluster=config.cluster))
    else:
        from ced.training import ray_train

        ray_train.fit(job, config.cluster)
