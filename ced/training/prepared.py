"""A job made ready: its network, its task, and its examples."""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ced.config import WITHOUT_CLASSES
from ced.core.classes import Classes
from ced.errors import FormatError
from ced.models import registry, warm_start, weights
from ced.models.classifier import Classifier
from ced.models.mapping import Mapping
from ced.models.weights import Network
from ced.training import batches as feed
from ced.training import data
from ced.training import job as jobs
from ced.training.batches import Share
from ced.training.context import WorkerContext
from ced.training.data import Examples, Planes, Rows, Split
from ced.training.job import TrainJob
from ced.training.objectives import Batch, Classification, Objective, Reconstruction, unit
from ced.training.sampling import Order

_VALIDATED = 64  # held-out examples at most
_ESTIMATED = 64  # examples a forward pass of C


@dataclass(frozen=True)
class Prepared:
    """What the loop trains, and on what."""

    job: TrainJob
    network: Network
    task: Objective
    examples: Examples
    split: Split
    estimator: Classifier | None  # whose estimates take the labels' place (CED-EST), on the device
    validation: Batch  # the held-out examples that a report judges by, on the device

    @contextlib.contextmanager
    def batches(self, context: WorkerContext, step: int) -> Iterator[Iterator[Batch]]:
        """This worker's share of the batches from `step` to the last one, on the device.

        Raises FormatError where the examples cannot be used, also in the midst of it where they stream.
        """
        train = self.job.train
        stream = Order(self.split.training, self.examples.ends, train.shuffle_window, train.seed)
        share = Share(train.batch_size, context.rank, context.world)
        if feed.fits(self.examples, context):
            yield feed.resident(self.planes(self.split.training, context.device), stream, share, step)
            return
        with feed.streamed(self.examples, stream, share, context, range(step, train.steps)) as batches:
            yield (self._estimated(batch) for batch in batches)

    def planes(self, rows: Rows, device: torch.device) -> Planes:
        """The examples `rows`, on the device."""
        read = self.examples.read(rows)
        return self._estimated({name: plane.to(device) for name, plane in read.items()})

    def _estimated(self, planes: Planes) -> Planes:
        """`planes` with C's estimates as their labels, where they are trained on these."""
        if self.estimator is None:
            return planes
        return planes | {"labels": _estimate(self.estimator, planes["input"])}


def prepare(job: TrainJob, context: WorkerContext) -> Prepared:
    """Find what `job` names. The network's weights are drawn from torch's random numbers, or those it starts from.

    Raises InputError or FormatError for inputs that are missing or do not fit each other.
    """
    classes = None if job.model in WITHOUT_CLASSES else _classes(job.classes)
    network, task = _assemble(job, classes, context.device)
    if job.start:
        begin(network, job.start)
    stored = [name for name in task.columns if name != "labels" or job.model != "ced-est"]
    examples = data.find(job.examples, job.labelled, stored, job.channels, classes.count if classes else 255)
    split = data.split(examples.sources, job.train.validation_fraction)
    estimator = None
    if job.model == "ced-est" and classes is not None:
        estimator = _classifier(job, classes).to(context.device)
    unjudged = Prepared(job, network, task, examples, split, estimator, {})
    held = unjudged.planes(data.spread(split.validation, _VALIDATED), context.device)
    return dataclasses.replace(unjudged, validation=held)


def begin(network: Network, path: str) -> None:
    """Let `network` begin with the weights at `path`. Raises InputError where there are none, FormatError where they
    are of another network."""
    try:
        warm_start.start(network, jobs.read(path))
    except FormatError as error:
        raise FormatError(f"{path}: {error}; give weights of the same network, or of a smaller one") from None


def _assemble(job: TrainJob, classes: Classes | None, device: torch.device) -> tuple[Network, Objective]:
    """The network to be trained and what it is trained on; C and CED alone know of classes."""
    network = registry.build(job.model, job.network, job.channels, classes.count if classes else 0)
    if classes is None:
        return network, Reconstruction(None, job.train.block_effect)
    if job.model == "classifier":
        return network, Classification(job.network.stages)
    mapping = Mapping(classes.representatives, classes.deviations).to(device)
    estimate = None
    if job.model == "ced-gt" and jobs.uses_classifier(job.model, job.train):
        estimate = _Estimate(_classifier(job, classes).to(device), mapping)
    return network, Reconstruction(mapping, job.train.block_effect, estimate)


@dataclass(frozen=True)
class _Estimate:
    """x -> q-hat = M(argmax C(x)), equation 4 and M."""

    classifier: Classifier
    mapping: Mapping

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        q: Tensor = self.mapping(self.classifier.classify(x))
        return q


def _classes(path: str) -> Classes:
    return Classes.from_json(jobs.read(path).decode("utf-8", "replace"), path)


def _classifier(job: TrainJob, classes: Classes) -> Classifier:
    """A trained C, frozen."""
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
def _estimate(classifier: Classifier, inputs: Tensor) -> Tensor:
    """y-hat of every example (equation 4): C is frozen, so that it would never answer otherwise."""
    return torch.cat([classifier.classify(unit(some)) for some in torch.split(inputs, _ESTIMATED)])
