"""The optimizers a training can use (Adam, or Muon for the convolutions between features and Adam for the rest), and
the schedules of the learning rate and of the averaging of the weights, as pure functions of the step."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ced.config import TrainConfig

# With fewer inputs or outputs a convolution reads or makes the image itself, and leaves little to be orthogonalized.
_SMALLEST = 16


class Muon:
    """Muon (Jordan et al. 2024): the momentum of a convolution's weights, seen as a matrix (outputs, 9 x inputs), is
    replaced by the nearest one with orthonormal rows or columns, so that all directions are learned at one pace. Adam
    for biases and for convolutions that read or make the image.

    Its steps are scaled to the size of Adam's (Liu et al. 2025): one learning rate does for both.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        parameters = list(parameters)
        self._convolutions = [weights for weights in parameters if _between_features(weights)]
        rest = [weights for weights in parameters if not _between_features(weights)]
        # The same numbers as matrices: torch's Muon takes no others.
        self._matrices = [_matrix(weights.detach()) for weights in self._convolutions]
        # A narrow network has no such convolutions, and torch's optimizers refuse to be built for nothing.
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        if self._matrices:
            self._optimizers["muon"] = torch.optim.Muon(
                self._matrices, lr=learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
            )
        if rest:
            self._optimizers["adam"] = torch.optim.Adam(rest, lr=learning_rate, fused=True)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """As torch's: the learning rate is set in them."""
        return [group for optimizer in self._optimizers.values() for group in optimizer.param_groups]

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """The moments of each tensor that is trained."""
        return {weights: moments for each in self._optimizers.values() for weights, moments in each.state.items()}

    def step(self) -> None:
        """Change the weights by their gradients."""
        for matrix, weights in zip(self._matrices, self._convolutions, strict=True):
            matrix.grad = None if weights.grad is None else _matrix(weights.grad)
        for optimizer in self._optimizers.values():
            optimizer.step()
        for matrix in self._matrices:
            matrix.grad = None  # or the gradients would outlive the next step's forward pass

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state[name])


Optimizer = torch.optim.Adam | Muon


def build(module: nn.Module, train: TrainConfig) -> Optimizer:
    """`train.optimizer` of the weights of `module`, which lie channels last."""
    if train.optimizer == "muon":
        return Muon(module.parameters(), train.learning_rate)
    return torch.optim.Adam(module.parameters(), lr=train.learning_rate, fused=True)


def learning_rate(train: TrainConfig, step: int) -> float:
    """The rate of update `step` (from 0): a linear rise over the warm-up, then half a cosine down to zero."""
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    progress = (step - train.warmup_steps) / (train.steps - train.warmup_steps)
    return train.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def average_decay(train: TrainConfig, step: int) -> float:
    """How much of the average stays at update `step` (from 0): little at first, when the weights say nothing yet."""
    return min(train.average_decay, (1 + step) / (10 + step))


def _between_features(weights: Tensor) -> bool:
    return weights.dim() == 4 and min(len(weights), weights[0].numel()) >= _SMALLEST


def _matrix(weights: Tensor) -> Tensor:
    """Weights that lie channels last, without a copy. Shape: (outputs, inputs, h, w) -> (outputs, h * w * inputs)."""
    return weights.permute(0, 2, 3, 1).flatten(1)
