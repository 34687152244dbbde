"""Networks of other authors, to compare with: AR-CNN and the residual generator of Galteri et al. (section 4.1).

What their publications leave open, and what was chosen here, is in docs/networks.md.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ced.models.base import Network
from ced.models.blocks import Block, Reach, reaches


class ARCNN(Network):
    """AR-CNN: filters of 9, 7, 1 and 5 pixels, 64, 32, 16 and C maps (Dong, Deng, Loy and Tang, ICCV 2015).

    x in [0, 1] (B, C, H, W)
          |
    the edge repeated by 9 pixels                  (B, C, H + 18, W + 18)
    feature extraction:  conv9x9 --> ReLU          (B, 64, H + 10, W + 10)
    feature enhancement: conv7x7 --> ReLU          (B, 32, H + 4, W + 4)
    mapping:             conv1x1 --> ReLU          (B, 16, H + 4, W + 4)
    reconstruction:      conv5x5                   (B, C, H, W)

    It starts as the identity: the image passes through the first maps, whose values no ReLU cuts, and the other maps
    reach the output with weights of zero.
    """

    RADIUS = 4 + 3 + 0 + 2  # pixels that an output pixel sees to each side
    kind = "arcnn"

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.extraction = nn.Conv2d(channels, 64, 9)
        self.enhancement = nn.Conv2d(64, 32, 7)
        self.mapping = nn.Conv2d(32, 16, 1)
        self.reconstruction = nn.Conv2d(16, channels, 5)
        nn.init.zeros_(self.reconstruction.weight)
        for convolution in (self.extraction, self.enhancement, self.mapping, self.reconstruction):
            _pass_on(convolution, channels)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        return reaches(self.extraction, self.enhancement, self.mapping, self.reconstruction)

    def forward(self, x: Tensor) -> Tensor:
        """The restored image, not clipped. Shape: (B, C, H, W) in [0, 1] -> the same."""
        x = F.pad(x, [self.RADIUS] * 4, mode="replicate")
        x = F.relu_(self.enhancement(F.relu_(self.extraction(x))))
        out: Tensor = self.reconstruction(F.relu_(self.mapping(x)))
        return out


class Galteri(Network):
    """The residual generator of Galteri, Seidenari, Bertini and Del Bimbo (ICCV 2017); with the MSE: Galteri-MSE.

    2 x - 1, x in [0, 1]                                     (B, C, H, W)
          |
    conv3x3 --> leaky ReLU                                   (B, 64, H, W)
    conv3x3 of stride 2 --> leaky ReLU                       (B, 64, H/2, W/2)
    residual blocks x 15, with batch normalization
          |
    nearest neighbour x 2 --> conv3x3 --> leaky ReLU         (B, 64, H, W)
    conv3x3 --> tanh, brought back to [0, 1]                 (B, C, H, W)

    Every convolution repeats the edge of what it sees.
    """

    WIDTH, BLOCKS, SLOPE = 64, 15, 0.2
    kind = "galteri"

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.first = _repeating(channels, self.WIDTH)
        self.halve = _repeating(self.WIDTH, self.WIDTH, stride=2)
        self.blocks = nn.Sequential(*(NormalizedBlock(self.WIDTH, self.SLOPE) for _ in range(self.BLOCKS)))
        self.smooth = _repeating(self.WIDTH, self.WIDTH)
        self.last = _repeating(self.WIDTH, channels)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        return reaches(self.first, self.halve, self.blocks, Reach(enlarge=2), self.smooth, self.last)

    def forward(self, x: Tensor) -> Tensor:
        """The restored image, in [0, 1]. Shape: (B, C, H, W) in [0, 1], H and W even -> the same."""
        x = F.leaky_relu_(self.halve(F.leaky_relu_(self.first(2 * x - 1), self.SLOPE)), self.SLOPE)
        x = F.interpolate(self.blocks(x), scale_factor=2, mode="nearest")
        restored: Tensor = self.last(F.leaky_relu_(self.smooth(x), self.SLOPE))
        return (restored.tanh() + 1) / 2


class NormalizedBlock(Block):
    """Two convolutions beside the identity, each with batch normalization.

    x --> conv3x3 --> norm --> leaky ReLU --> conv3x3 --> norm --> + --> y
    |                                                              ^
    +--------------------------------------------------------------+

    Shape: (B, width, H, W) -> the same.
    """

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.first, self.first_norm = _repeating(width, width), nn.BatchNorm2d(width)
        self.second, self.second_norm = _repeating(width, width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.leaky_relu_(self.first_norm(self.first(x)), self.slope)
        out: Tensor = self.second_norm(self.second(hidden))
        return out + x


def _repeating(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="replicate")


@torch.no_grad()
def _pass_on(convolution: nn.Conv2d, maps: int) -> None:
    """Let the first `maps` outputs be the first `maps` inputs."""
    middle = convolution.kernel_size[0] // 2
    convolution.weight[:maps] = 0
    for m in range(maps):
        convolution.weight[m, m, middle, middle] = 1
    if convolution.bias is not None:
        convolution.bias[:maps] = 0
