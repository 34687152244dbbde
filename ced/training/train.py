"""Stage 4: labelled examples -> the weights of C, ED, CED-EST or CED-GT (sections 3.3 and 3.4)."""

import contextlib
import dataclasses
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ced.config import BASELINES, Config, TrainConfig, as_dict
from ced.data import edges, label
from ced.errors import InputError
from ced.progress import clock
from ced.store.outputs import Making, Output, make, sha256, write_text
from ced.store.session import Session
from ced.tracking import live_runs
from ced.training.job import TrainJob, uses_classifier

logger = logging.getLogger("ced")

WEIGHTS = "model.safetensors"
METRICS = "metrics.jsonl"
JOB = ".job.json"  # what `python -m ced.training --job` takes, in the folder of a training
_UNFINISHED = ("checkpoint.pt",)  # of no use once the weights are there


@dataclasses.dataclass(frozen=True)
class Data:
    """What training reads: labelled examples, their classes and, where it takes its estimates, a trained classifier.

    `start` has, for each model that does not begin at random, the folder with weights to begin with: what
    `ced train -o` wrote, or a restorer.
    """

    labelled: Output
    classes: Output
    classifier: Output | None = None
    start: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @property
    def class_count(self) -> int:
        """n_cl of the classes that there are, whatever the configuration says of those it would make."""
        return int(self.classes.manifest.config["count"])


def run(model: str, config: Config, data: Data, session: Session, device: str = "") -> Output:
    """Train `model`, or find it trained.

    With `device` the plain loop runs in this process on that device; without, Ray Train's workers run it. MLflow is
    told of it while it runs where the session has a tracking server.
    """
    train = _settings(model, config)
    inputs = {"labelled": data.labelled.manifest.content, "classes": data.classes.manifest.content}
    # Labels tell of the targets alone: those of other quality factors are the same.
    inputs["examples"] = data.labelled.manifest.inputs.get("examples", "")
    if uses_classifier(model, train):
        if data.classifier is None:
            raise ValueError(f"{model} is trained with the estimates of a classifier")
        inputs["classifier"] = data.classifier.manifest.content
    if model in data.start:
        inputs["start"] = sha256(weights_in(data.start[model], model))[:16]
    described = {"model": model, "channels": config.prepare.channels, **_described(model, config, train)}
    told = partial(_told, model, config, described, session) if session.tracking_uri else _untold
    produce = partial(_produce, model, config, data, device, told)
    output = make(session.store, f"train-{model}", described, inputs, produce)
    if session.tracking_uri and output.reused:
        live_runs.rest(_in_mlflow(model, config, described, session, output.path))
    return output


def check_start(config: Config, data: Data) -> None:
    """Find out at once what would only be found when a model's turn comes. Raises InputError where its weights to start
    from are missing, FormatError where they are of another network."""
    from ced.models import registry
    from ced.training import prepared

    for model, folder in data.start.items():
        network = registry.build(model, config.network, config.prepare.channels, data.class_count)
        prepared.begin(network, str(weights_in(folder, model)))


def weights_in(folder: Path, model: str) -> Path:
    """The weights of `model` in what `ced train -o` wrote, or in a restorer. Raises InputError where there are none."""
    from ced.restoration import restorer

    part = restorer.CLASSIFIER if model == "classifier" else restorer.AUTOENCODER
    for path in (folder / f"train-{model}" / WEIGHTS, folder / part):
        if path.is_file():
            return path
    raise InputError(f"{folder}: no weights of {model} to start from; give what `ced train -o` wrote, or a restorer")


def curve(output: Output) -> list[dict[str, float]]:
    """The training curve: one dict a report, in the order of steps."""
    lines = (output.path / METRICS).read_text().splitlines()
    return [json.loads(line) for line in lines]


def _settings(model: str, config: Config) -> TrainConfig:
    return config.classifier if model == "classifier" else config.autoencoder


def _described(model: str, config: Config, train: TrainConfig) -> dict[str, Any]:
    """The networks of other authors do not depend on the section `network`."""
    return {"network": {} if model in BASELINES else as_dict(config.network), "train": as_dict(train)}


def _untold(folder: Path) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def _told(
    model: str, config: Config, described: dict[str, Any], session: Session, folder: Path
) -> contextlib.AbstractContextManager[None]:
    return live_runs.followed(_in_mlflow(model, config, described, session, folder))


def _in_mlflow(
    model: str, config: Config, described: dict[str, Any], session: Session, folder: Path
) -> live_runs.Training:
    name = f"{config.publish.method} {session.pipeline[:8]}"
    return live_runs.Training(
        session.tracking_uri, config.publish.experiment, model, (session.pipeline, name), described, folder
    )


def _produce(
    model: str,
    config: Config,
    data: Data,
    device: str,
    told: Callable[[Path], contextlib.AbstractContextManager[None]],
    making: Making,
) -> None:
    train = _settings(model, config)
    classifier = data.classifier if uses_classifier(model, train) else None
    job = TrainJob(
        model=model,
        examples=str(label.examples_of(data.labelled)),
        labelled=str(data.labelled.path),
        classes=str(data.classes.path / edges.FILE),
        classifier=str(classifier.path / WEIGHTS) if classifier else "",
        out=str(making.folder),
        network=config.network,
        train=train,
        channels=config.prepare.channels,
        start=str(weights_in(data.start[model], model)) if model in data.start else "",
    )
    logger.info("%s: %s", model, size(model, config, data.class_count))
    write_text(making.folder / JOB, job.to_json())
    if not (making.folder / WEIGHTS).exists():  # killed between the last step and the manifest
        if (making.folder / _UNFINISHED[0]).exists():
            logger.info("%s: goes on from its last checkpoint", model)
        with told(making.folder), _watching(model, making.folder / METRICS):
            _train(job, config, device)
    for name in _UNFINISHED:
        (making.folder / name).unlink(missing_ok=True)
    making.counts["steps"] = job.train.steps


def size(model: str, config: Config, classes: int) -> str:
    """What the network of `model` costs, in words."""
    from ced.models import registry

    found = registry.size_of(model, config.network, config.prepare.channels, classes)
    multiply_adds = found.multiply_adds_per_megapixel / 1e9
    return f"{found.parameters:,} parameters, {multiply_adds:,.1f} G multiply-adds a megapixel"


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


@contextlib.contextmanager
def _watching(model: str, metrics: Path) -> Iterator[None]:
    """Say what the workers report, as they report it: their metrics file is followed from here."""
    stop = threading.Event()

    def follow() -> None:
        said = metrics.stat().st_size if metrics.exists() else 0  # what an earlier run said
        while not stop.wait(1.0):
            said = _say_new(model, metrics, said)
        _say_new(model, metrics, said)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _say_new(model: str, metrics: Path, said: int) -> int:
    """Log the last of the lines after `said` bytes; returns how far the file was read."""
    if not metrics.exists():
        return said
    text = metrics.read_text()
    if len(text.encode()) <= said:  # nothing new, or cut back to the checkpoint that training goes on from
        return len(text.encode())
    whole, newline, _ = text.rpartition("\n")
    if newline:
        logger.info(line(model, json.loads(whole.splitlines()[-1])))
    return len(text.encode())


def line(model: str, report: dict[str, float]) -> str:
    """One line of progress from a line of metrics."""
    step, steps = int(report["step"]), int(report["steps"])
    facts = [f"{model}: step {step} of {steps}", f"loss {report['loss']:.4g}"]
    stages = [v for k, v in sorted(report.items()) if k.startswith("validation_accuracy_stage_")]
    if stages:
        facts.append("accuracy " + " / ".join(f"{a:.4f}" for a in stages))
    if "validation_psnr" in report:
        facts.append(f"PSNR {report['validation_psnr']:.2f} dB")
    if report.get("images_per_second"):
        rate = report["images_per_second"]
        facts.append(f"{rate:.0f} images a second")
        if "batch_size" in report:
            facts.append(f"{clock((steps - step) * report['batch_size'] / rate)} left")
    return ", ".join(facts)
