"""What each model is trained on, and how it is judged: C by equation 5, the others by equation 6."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ced.models import losses
from ced.models.mapping import Mapping

Batch = dict[str, Tensor]  # uint8 planes of the columns a task asks for, on the device


class Step(NamedTuple):
    """A batch's loss, and what else is measured on the way."""

    loss: Tensor  # a scalar
    measures: Tensor  # (M,), in the order of the task's `measures`


class Objective(Protocol):
    """What a network is trained on: a loss on batches, and how it is judged."""

    columns: tuple[str, ...]  # of the labelled examples
    measures: tuple[str, ...]  # what is measured at each step, beside the loss

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """The loss of a batch, ready to be differentiated."""

    def validate(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Each held-out example's measures: name -> (B,). They are averaged over all examples."""


class Classification:
    """C: the classes of the target, seen from the JPEG image (section 3.3)."""

    columns: tuple[str, ...] = ("input", "labels")

    def __init__(self, stages: int) -> None:
        self.measures = tuple(f"accuracy_stage_{t}" for t in range(1, stages + 1))

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Cross entropy over all stages (equation 5), and each stage's accuracy."""
        logits = [stage.float() for stage in network(unit(batch["input"]))]
        loss = losses.classification_loss(logits, batch["labels"]).total
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

    The column labels holds the target's classes for CED-GT, and C's estimates in their place for CED-EST.

    `block_effect` is the weight of BEF in the loss. CED-GT's is that of what it restores with C's estimates, as at test
    time, which `estimate` (x -> q-hat) is there for: with true coefficients there is hardly any.
    """

    measures: tuple[str, ...] = ("psnr",)

    def __init__(
        self, mapping: Mapping | None, block_effect: float = 0.0, estimate: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.mapping, self.block_effect, self.estimate = mapping, block_effect, estimate
        self.columns: tuple[str, ...] = ("input", "target") if mapping is None else ("input", "target", "labels")

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

    def _restored(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """I^R with the q of training, and with that of test time: they differ in CED-GT alone."""
        if not self.block_effect or self.estimate is None or self.mapping is None:
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
