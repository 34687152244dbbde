"""What each model is trained on, and how it is judged: C by equation 5, the others by equation 6."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ced.core.classes import Classes
from ced.errors import FormatError, InputError
from ced.models import losses, weights
from ced.models.base import Network
from ced.models.base import build as build_network
from ced.models.classifier import Classifier, Mapping
from ced.networks import NETWORKS
from ced.training import data
from ced.training.data import Planes
from ced.training.job import TrainJob, read, uses_classifier

Batch = dict[str, Tensor]  # uint8 planes of the columns an objective asks for, on the device

_CLASSIFIED = 64  # examples a forward pass of a frozen C
_COUNTED = 32  # examples a forward pass of `held_out_accuracy`


class Step(NamedTuple):
    """A batch's loss, and what else is measured on the way."""

    loss: Tensor  # a scalar
    measures: Tensor  # (M,), in the order of the objective's `measures`


class Objective(Protocol):
    """What a network is trained on: a loss on batches, and how it is judged."""

    columns: tuple[str, ...]  # read from the labelled examples
    measures: tuple[str, ...]  # what is measured at each step, beside the loss

    def complete(self, planes: Planes) -> Planes:
        """Examples as they are trained on, from the `columns` of them that were read."""

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """The loss of a batch, ready to be differentiated."""

    def validate(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Each held-out example's measures: name -> (B,). They are averaged over all examples."""


def build(job: TrainJob, classes: Classes | None, device: torch.device) -> tuple[Network, Objective]:
    """The network of `job`, its weights drawn from torch's random numbers or those it starts from, and its objective.

    `classes` are those of `read_classes`. Raises InputError or FormatError for weights that are missing or do not fit.
    """
    network = build_network(job.model, job.network, job.channels, classes.count if classes else 0)
    if job.start:
        start_from(network, job.start)
    if classes is None:
        return network, Reconstruction(block_effect=job.train.block_effect)
    architecture = NETWORKS.get(job.model)
    if architecture.objective == "classes":
        return network, Classification(job.network.stages)
    mapping = Mapping(classes.representatives, classes.deviations).to(device)
    classifier = _trained_classifier(job, classes).to(device) if uses_classifier(job.model, job.train) else None
    return network, Reconstruction(mapping, job.train.block_effect, classifier, architecture.q == "estimate")


def read_classes(job: TrainJob) -> Classes | None:
    """The classes that C and CED are trained with, None for what needs none. Raises InputError, FormatError."""
    if not NETWORKS.get(job.model).needs_classes:
        return None
    return Classes.from_json(read(job.classes).decode("utf-8", "replace"), job.classes)


def start_from(network: Network, path: str) -> None:
    """Let `network` begin with the weights at `path`. Raises InputError where there are none, FormatError where they
    are of another network."""
    data = read(path)
    try:
        weights.start(network, data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}; give weights of the same network, or of a smaller one") from None


def _trained_classifier(job: TrainJob, classes: Classes) -> Classifier:
    """A trained C, frozen."""
    network = weights.decode(read(job.classifier))
    if not isinstance(network, Classifier):
        raise FormatError(f"{job.classifier}: no weights of a classifier; name those that `ced train classifier` made")
    mine, wanted = (network.channels, network.classes), (job.channels, classes.count)
    if mine != wanted:
        raise FormatError(
            f"{job.classifier}: a classifier of {mine[0]} planes and {mine[1]} classes, where the examples have "
            f"{wanted[0]} and {wanted[1]}; train it on these examples"
        )
    return network.requires_grad_(False)


class Classification:
    """C: the classes of the target, seen from the JPEG image (section 3.3)."""

    columns: tuple[str, ...] = ("input", "labels")

    def __init__(self, stages: int) -> None:
        self.measures = tuple(f"accuracy_stage_{t}" for t in range(1, stages + 1))

    def complete(self, planes: Planes) -> Planes:
        """As they are read."""
        return planes

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Cross entropy over all stages (equation 5), and each stage's accuracy."""
        logits = [stage.float() for stage in network(unit(batch["input"]))]
        loss = losses.classification_loss(logits, batch["labels"])
        hits = torch.stack([losses.accuracy(stage.detach(), batch["labels"]) for stage in logits])
        return Step(loss, hits)

    def validate(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss, and each stage's accuracy (Table 1)."""
        count = len(batch["input"])
        step = self.step(network, batch)
        measured = {"loss": step.loss, **dict(zip(self.measures, step.measures, strict=True))}
        return {name: value.expand(count) for name, value in measured.items()}


class Reconstruction:
    """E and D (section 3.4): with q = M(classes) where there is a mapping (CED), without any q where not (ED).

    The classes are the target's (CED-GT), or with `estimated` those that the trained `classifier` sees (CED-EST).

    `block_effect` is the weight of BEF in the loss. CED-GT's is that of what it restores with the estimates of
    `classifier`, as at test time: with true coefficients there is hardly any.
    """

    measures: tuple[str, ...] = ("psnr",)

    def __init__(
        self,
        mapping: Mapping | None = None,
        block_effect: float = 0.0,
        classifier: Classifier | None = None,
        estimated: bool = False,
    ) -> None:
        self.mapping, self.block_effect, self.classifier, self.estimated = mapping, block_effect, classifier, estimated
        labelled = mapping is not None and not estimated
        self.columns: tuple[str, ...] = ("input", "target", "labels") if labelled else ("input", "target")

    @torch.no_grad()
    def complete(self, planes: Planes) -> Planes:
        """With y-hat of every example (equation 4) as its labels, where they are estimated: C is frozen, so that it
        would never answer otherwise."""
        if not self.estimated or self.classifier is None:
            return planes
        parts = torch.split(planes["input"], _CLASSIFIED)
        return planes | {"labels": torch.cat([self.classifier.classify(unit(part)) for part in parts])}

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Mean squared error (equation 6), and what that is in dB; the share of the block effect is not the paper's."""
        restored, as_tested = self._restored(network, batch)
        loss = losses.reconstruction_loss(restored, unit(batch["target"]))
        decibels = -10 * loss.detach().clamp_min(1e-15).log10().reshape(1)
        if self.block_effect:
            loss = loss + self.block_effect * losses.block_effect(as_tested)
        return Step(loss, decibels)

    def validate(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The PSNR of each example, rounded and clipped to 8 bits, and that of the JPEG image itself, in dB."""
        restored = (self.restore(network, batch) * 255).round().clamp(0, 255)
        return {"psnr": psnr(restored, batch["target"]), "psnr_jpeg": psnr(batch["input"], batch["target"])}

    def restore(self, network: nn.Module, batch: Batch) -> Tensor:
        """I^R of the batch, (B, C, H, W) float32, 1 for white; not clipped."""
        x = unit(batch["input"])
        restored: Tensor = network(x) if self.mapping is None else network(x, self.mapping(batch["labels"]))
        return restored.float()

    @torch.no_grad()
    def estimate(self, x: Tensor) -> Tensor:
        """q-hat = M(argmax C(x)), equation 4 and M."""
        assert self.mapping is not None and self.classifier is not None
        q: Tensor = self.mapping(self.classifier.classify(x))
        return q

    def _restored(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """I^R with the q of training, and with that of test time: they differ in CED-GT alone."""
        if not self.block_effect or self.mapping is None or self.classifier is None or self.estimated:
            restored = self.restore(network, batch)
            return restored, restored
        x = unit(batch["input"])
        q = torch.cat([self.mapping(batch["labels"]), self.estimate(x)])
        # In one pass: data-parallel training takes one a step.
        both = network(torch.cat([x, x]), q).float()
        with_q, with_q_hat = both.chunk(2)
        return with_q, with_q_hat


def unit(planes: Tensor) -> Tensor:
    """uint8 planes as float32 in [0, 1]."""
    return planes.float() / 255


def psnr(restored: Tensor, target: Tensor) -> Tensor:
    """10 log10(255^2 / MSE) of each image, in dB, at most 148. Shape: (B, C, H, W), 0 to 255 -> (B,)."""
    error = (restored.float() - target.float()).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255**2 / error.clamp_min(1e-10))


class Accuracy(NamedTuple):
    """What Table 1 prints, and on how much."""

    stages: tuple[float, ...]  # the share of frequency channels of patches whose most probable class is the label
    examples: int
    photographs: int


@torch.no_grad()
def held_out_accuracy(classifier: Classifier, examples: str, labelled: str, fraction: float) -> Accuracy:
    """The accuracy of each stage on all examples of the photographs that a training with `validation_fraction`
    `fraction` leaves out, part by part.

    `examples` and `labelled` are the folders of the parts that it was trained on. Raises InputError where nothing was
    left out.
    """
    stored = data.find(examples, labelled, Classification.columns, classifier.channels, classifier.classes)
    held_out = data.split(stored.sources, fraction).validation
    if not len(held_out):
        raise InputError(
            f"{labelled}: no photograph was held out; use more of them or raise classifier.validation_fraction"
        )
    device = next(classifier.parameters()).device
    hits, labels = torch.zeros(len(classifier.stages), dtype=torch.int64), 0
    for rows in np.split(held_out, np.searchsorted(held_out, stored.ends[:-1])):
        if not len(rows):
            continue
        planes = stored.read(rows)
        batches = (torch.split(planes[name].to(device), _COUNTED) for name in ("input", "labels"))
        for inputs, truth in zip(*batches, strict=True):
            for t, logits in enumerate(classifier(unit(inputs))):
                hits[t] += int((logits.argmax(dim=2) == truth).sum())
            labels += truth.numel()
    photographs = {stored.sources[row] for row in held_out}
    return Accuracy(tuple((hits / labels).tolist()), len(held_out), len(photographs))
