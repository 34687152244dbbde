"""What changes while training: the weights, their average, Adam's moments and the step."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ced.config import TrainConfig
from ced.nets.blocks import to_channels_last
from ced.nets.weights import Network
from ced.training import schedule


class State:
    """The network in training and all that goes with it. `step` counts the updates made."""

    def __init__(self, module: Network, train: TrainConfig, device: torch.device) -> None:
        self.train = train
        self.module: Network = module.to(device)
        if device.type == "cuda":  # the order of tensor cores; on CPU training is faster without
            to_channels_last(self.module)
        # Validation and export see the average: a network that jitters less.
        self.average: Network = copy.deepcopy(self.module).eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=train.learning_rate, fused=True)
        self.step = 0
        self.measured: list[Tensor] = []  # of each step since the last report, averaged over the workers

    def update(self, loss: Tensor) -> Tensor:
        """One step down the gradient of `loss`. Returns the gradient's norm before clipping, a scalar."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.train.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.learning_rate(self.train, self.step)
        self.optimizer.step()
        self._average()
        self.step += 1
        return norm

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values, for a checkpoint."""
        return {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "measured": list(self.measured),
        }

    def load(self, stored: dict[str, Any]) -> None:
        """Go on from `to_dict`'s values."""
        self.module.load_state_dict(stored["module"])
        self.average.load_state_dict(stored["average"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step = stored["step"]
        self.measured = [row.to(next(self.module.parameters()).device) for row in stored["measured"]]

    @torch.no_grad()
    def _average(self) -> None:
        decay = schedule.average_decay(self.train, self.step)
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.module.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)
        # What batch normalization has counted goes along: it belongs to the weights.
        for mine, latest in zip(self.average.buffers(), self.module.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(latest, 1 - decay)
            else:
                mine.copy_(latest)
