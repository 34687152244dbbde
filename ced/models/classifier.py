"""The classifier C: the distribution of each frequency channel's class in every patch (section 3.3)."""

import torch
from torch import Tensor, nn

from ced.config import NetworkConfig
from ced.models.blocks import Activated, residual_blocks
from ced.models.features import Features

FREQUENCIES = 16  # n_ch: the coefficients of a 4x4 patch


class StageBlock(nn.Module):
    """S^t of equation 3, up to the softmax.

    f (B, n_f, h, w) [, p-hat of the stage before (B, 16, K, h, w)]
          |
    concatenate --> conv3x3 --> leaky ReLU --> residual blocks x stage_blocks --> conv1x1
          |
    logits (B, 16, K, h, w)
    """

    def __init__(self, network: NetworkConfig, classes: int, first: bool) -> None:
        super().__init__()
        self.classes = classes
        inputs = network.width + (0 if first else FREQUENCIES * classes)
        self.first = Activated(inputs, network.width, network.slope)
        self.blocks = residual_blocks(network.stage_blocks, network.width, network.slope)
        self.last = nn.Conv2d(network.width, FREQUENCIES * classes, 1)

    def forward(self, f: Tensor, before: Tensor | None = None) -> Tensor:
        x = f if before is None else torch.cat([f, before.flatten(1, 2)], dim=1)
        logits: Tensor = self.last(self.blocks(self.first(x)))
        return logits.view(len(logits), FREQUENCIES, self.classes, *logits.shape[2:])


class Classifier(nn.Module):
    """C: features, then T stages, each of which sees the estimate of the one before (figure 3).

        x --> F --> f --+-----------------+---------------- ... --+
                        v                 v                       v
                       S^1 --> softmax --> S^2 --> softmax -- ... --> S^T
                        |                 |                       |
                     logits            logits                  logits

    The softmax is taken over the K classes of each of the 16 frequency channels by itself.
    """

    def __init__(self, network: NetworkConfig, channels: int, classes: int) -> None:
        super().__init__()
        self.network, self.channels, self.classes = network, channels, classes
        self.features = Features(network, channels)
        self.stages = nn.ModuleList(StageBlock(network, classes, first=t == 0) for t in range(network.stages))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The logits of each stage, T x (B, 16, K, H/4, W/4), for x (B, C, H, W) in [0, 1]; H, W multiples of 4."""
        f = self.features(x)
        logits: list[Tensor] = []
        for stage in self.stages:
            before = probabilities(logits[-1]) if logits else None
            logits.append(stage(f, before))
        return logits

    def classify(self, x: Tensor) -> Tensor:
        """The estimated class map y-hat of equation 4: (B, 16, H/4, W/4), uint8, of the last stage."""
        last: Tensor = self(x)[-1]
        return last.argmax(dim=2).to(torch.uint8)


def probabilities(logits: Tensor) -> Tensor:
    """p-hat: the softmax over the classes of each frequency channel. Shape: (B, 16, K, h, w) -> the same."""
    return logits.softmax(dim=2)
