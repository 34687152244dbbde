"""C and M (section 3.3): an image to the distribution of each frequency channel's class in every patch, and to q."""

import typing
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ced.config import NetworkConfig
from ced.models.base import FREQUENCIES, Network
from ced.models.blocks import GROWING, Activated, Block, Features, Reach, reaches, residual_blocks


class StageBlock(Block):
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
        return self.logits(self.blocks(self.first(x)))

    def logits(self, x: Tensor) -> Tensor:
        """The last convolution. Shape: (B, width, h, w) -> (B, 16, K, h, w)."""
        logits: Tensor = self.last(x)
        return logits.view(len(logits), FREQUENCIES, self.classes, *logits.shape[2:])

    def before_logits(self, f: Tensor, p: Tensor | None) -> Tensor:
        """All but the last convolution, fast on a CPU. p is that of `probabilities_by_class`, in its order of maps."""
        if p is None:
            x = self.first(f)
        else:
            convolution, n_f = self.first.convolution, f.shape[1]
            by_class = convolution.weight[:, n_f:][:, self._by_class()]
            weight = torch.cat([convolution.weight[:, :n_f], by_class], dim=1)
            weight = weight.contiguous(memory_format=torch.channels_last)
            x = F.conv2d(torch.cat([f, p], dim=1), weight, convolution.bias, padding=1)
            x = F.leaky_relu_(x, self.first.slope)
        out: Tensor = self.blocks(x)
        return out

    def probabilities_by_class(self, x: Tensor) -> Tensor:
        """p-hat of `before_logits`, (B, K * 16, h, w), class after class: so the softmax walks along rows of memory."""
        order, last = self._by_class(), self.last
        assert last.bias is not None
        logits = F.conv2d(x, last.weight[order], last.bias[order]).permute(0, 2, 3, 1)
        p = logits.reshape(*logits.shape[:3], self.classes, FREQUENCIES).softmax(dim=3)
        return p.flatten(3).permute(0, 3, 1, 2)

    def _by_class(self) -> Tensor:
        """Where the maps of class 0 are, one a frequency channel, then those of class 1, and so on. (K * 16,) int64."""
        device = self.last.weight.device
        return torch.arange(FREQUENCIES * self.classes, device=device).view(FREQUENCIES, -1).T.flatten()


class Classifier(Network):
    """C: features, then T stages, each of which sees the estimate of the one before (figure 3).

        x --> F --> f --+-----------------+---------------- ... --+
                        v                 v                       v
                       S^1 --> softmax --> S^2 --> softmax -- ... --> S^T
                        |                 |                       |
                     logits            logits                  logits

    The softmax is taken over the K classes of each of the 16 frequency channels by itself.
    """

    kind = "classifier"
    grows = GROWING
    beside_features = r"stages\.\d+\.first\.convolution\.weight"  # p-hat of the stage before
    network: NetworkConfig

    def __init__(self, network: NetworkConfig, channels: int, classes: int) -> None:
        super().__init__(channels, network, classes)
        self.features = Features(network, channels)
        self.stages = nn.ModuleList(StageBlock(network, classes, first=t == 0) for t in range(network.stages))

    @classmethod
    def from_settings(cls, network: NetworkConfig, channels: int, classes: int, conditioned: bool) -> Self:
        return cls(network, channels, classes)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        return reaches(self.features, *self.stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The logits of each stage, T x (B, 16, K, H/4, W/4), for x (B, C, H, W) in [0, 1]; H, W multiples of 4."""
        f = self.features(x)
        logits: list[Tensor] = []
        for stage in self.stages:
            before = probabilities(logits[-1]) if logits else None
            logits.append(stage(f, before))
        return logits

    def infer(self, x: Tensor, q: Tensor | None = None) -> Tensor:
        """The last stage's logits, (B, 16, K, H/4, W/4)."""
        return self.on_cpu(x) if x.device.type == "cpu" else self(x)[-1]

    def on_cpu(self, x: Tensor, q: Tensor | None = None) -> Tensor:
        """The last stage's logits."""
        f = self.features.on_cpu(x)
        *stages, last = typing.cast(Sequence[StageBlock], self.stages)
        p: Tensor | None = None
        for stage in stages:
            p = stage.probabilities_by_class(stage.before_logits(f, p))
        return last.logits(last.before_logits(f, p))

    def classify(self, x: Tensor) -> Tensor:
        """The estimated class map y-hat of equation 4: (B, 16, H/4, W/4), uint8, of the last stage."""
        last: Tensor = self(x)[-1]
        return last.argmax(dim=2).to(torch.uint8)


def probabilities(logits: Tensor) -> Tensor:
    """p-hat: the softmax over the classes of each frequency channel. Shape: (B, 16, K, h, w) -> the same."""
    return logits.softmax(dim=2)


class Mapping(nn.Module):
    """M (below equation 4), q = M(y): each frequency channel's class to its coefficient, in the channel's deviations.

    The coefficients of low and high frequencies differ by an order of magnitude; divided by the channel's
    standard deviation they enter the decoder on one scale.

    representatives: (16, K), the mean coefficient of each class. deviations: (16,), above zero.
    """

    table: Tensor  # (16, K) float32

    def __init__(self, representatives: NDArray[np.float32], deviations: NDArray[np.float32]) -> None:
        super().__init__()
        # A channel that never varies has one representative; its scale is then of no matter.
        scale = np.where(deviations > 0, deviations, 1)[:, None]
        self.register_buffer("table", torch.from_numpy((representatives / scale).astype(np.float32)))

    def forward(self, labels: Tensor) -> Tensor:
        """q (B, 16, h, w) float32 of the classes `labels` (B, 16, h, w), any integer type, below K."""
        frequency = torch.arange(len(self.table), device=labels.device).view(1, -1, 1, 1)
        return self.table[frequency, labels.long()]

    def read(self, logits: Tensor, temperature: float) -> Tensor:
        """q-hat (B, 16, h, w) as it is read off p-hat, whose logits are given: (B, 16, K, h, w).

        At temperature 0 the coefficient of the most probable class (equation 4 and M, the paper's way), at 1 the mean
        coefficient under p-hat, in between the mean under p-hat sharpened: its logits divided by the temperature.
        """
        if temperature == 0:
            q: Tensor = self(_most_probable(logits))
            return q
        p = (logits / temperature).softmax(dim=2)
        return torch.einsum("bckhw,ck->bchw", p, self.table)


def _most_probable(logits: Tensor) -> Tensor:
    """`logits.argmax(dim=2)`. Where each patch's logits lie together in memory it walks along them, as fast again."""
    rows = logits.permute(0, 3, 4, 1, 2)
    if rows.is_contiguous():
        return rows.max(dim=4).indices.permute(0, 3, 1, 2)
    return logits.argmax(dim=2)
