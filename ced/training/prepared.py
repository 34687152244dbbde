"""A job made ready: its network, its task, and its examples in memory."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ced.config import WITHOUT_CLASSES
from ced.core.classes import Classes
from ced.errors import FormatError
from ced.nets import models, weights
from ced.nets.classifier import Classifier
from ced.nets.mapping import Mapping
from ced.nets.weights import Network
from ced.training import data
from ced.training import job as jobs
from ced.training.data import Split
from ced.training.job import TrainJob
from ced.training.tasks import Batch, Classification, Reconstruction, Task, unit

_VALIDATED = 64  # held-out examples at most
_ESTIMATED = 64  # examples a forward pass of C


@dataclass(frozen=True)
class Prepared:
    """What the loop trains, and on what."""

    network: Network
    task: Task
    planes: dict[str, Tensor]  # (N, ...) uint8, on CPU
    split: Split
    device: torch.device

    def batch(self, indices: NDArray[np.int64]) -> Batch:
        """The examples of `indices`, on the device."""
        rows = torch.from_numpy(indices)
        return {name: self.planes[name][rows].to(self.device, non_blocking=True) for name in self.task.columns}

    @property
    def validation(self) -> NDArray[np.int64]:
        """The held-out examples that a report judges by."""
        return data.spread(self.split.validation, _VALIDATED)


def prepare(job: TrainJob, device: torch.device) -> Prepared:
    """Read what `job` names. The network's weights are drawn from torch's random numbers.

    Raises InputError or FormatError for inputs that are missing or do not fit each other.
    """
    classes = None if job.model in WITHOUT_CLASSES else _classes(job.classes)
    network, task = _assemble(job, classes, device)
    stored = [name for name in task.columns if name != "labels" or job.model != "ced-est"]
    planes, sources = data.read(job.labelled, stored, job.channels)
    if "labels" in planes and classes is not None:
        data.check_labels(planes["labels"], classes.count, job.labelled)
    if job.model == "ced-est" and classes is not None:
        planes["labels"] = _estimate(_classifier(job, classes), planes["input"], device)
    return Prepared(network, task, planes, data.split(sources, job.train.validation_fraction), device)


def _assemble(job: TrainJob, classes: Classes | None, device: torch.device) -> tuple[Network, Task]:
    """The network to be trained and what it is trained on; C and CED alone know of classes."""
    network = models.build(job.model, job.network, job.channels, classes.count if classes else 0)
    if classes is None:
        return network, Reconstruction(None)
    if job.model == "classifier":
        return network, Classification(job.network.stages)
    return network, Reconstruction(Mapping(classes.representatives, classes.deviations).to(device))


def _classes(path: str) -> Classes:
    return Classes.from_json(jobs.read(path).decode("utf-8", "replace"), path)


def _classifier(job: TrainJob, classes: Classes) -> Classifier:
    """The trained C of CED-EST, frozen."""
    network = weights.decode(jobs.read(job.classifier))
    if not isinstance(network, Classifier):
        raise FormatError(f"{job.classifier}: no weights of a classifier; name those that `ced train classifier` made")
    mine, wanted = (network.channels, network.classes), (job.channels, classes.count)
    if mine != wanted:
        raise FormatError(
            f"{job.classifier}: a classifier of {mine[0]} planes and {mine[1]} classes, where the examples have "
            f"{wanted[0]} and {wanted[1]}; train it on these examples"
        )
    return network.requires_grad_(False)


@torch.no_grad()
def _estimate(classifier: Classifier, inputs: Tensor, device: torch.device) -> Tensor:
    """y-hat of every example (equation 4), once: C is frozen, so that it would never answer otherwise."""
    classifier = classifier.to(device)
    estimates = [classifier.classify(unit(some.to(device))).cpu() for some in torch.split(inputs, _ESTIMATED)]
    return torch.cat(estimates)
