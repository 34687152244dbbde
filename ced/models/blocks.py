"""The building blocks that F, S^t, E and D share (sections 3.3 and 3.4)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size (zero padding of one) or, with stride 2, halves it."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, without batch normalization (EDSR).

        x --> conv3x3 --> leaky ReLU --> conv3x3 --> + --> y
        |                                            ^
        +--------------------------------------------+

    Shape: (B, width, H, W) -> the same.
    """

    # The second convolution starts small, so that a deep stack starts close to the identity.
    START = 0.1

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.first = conv3x3(width, width)
        self.second = conv3x3(width, width)
        shrink(self.second, self.START)

    def forward(self, x: Tensor) -> Tensor:
        # In place where autograd allows it: on CPU these steps are bound by memory.
        hidden = F.leaky_relu_(self.first(x), self.slope)
        out: Tensor = self.second(hidden)
        return out.add_(x)


class Downsample(nn.Module):
    """conv3x3 of stride 2 --> leaky ReLU. Shape: (B, inputs, H, W) -> (B, outputs, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.convolution = conv3x3(inputs, outputs, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(self.convolution(x), self.slope)


class Upsample(nn.Module):
    """conv3x3 to 4 n --> pixel shuffle by 2 --> leaky ReLU. Shape: (B, inputs, H, W) -> (B, outputs, 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.convolution = conv3x3(inputs, 4 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        # The activation commutes with the shuffle, which only moves values.
        return F.pixel_shuffle(F.leaky_relu_(self.convolution(x), self.slope), 2)


class Activated(nn.Module):
    """conv3x3 --> leaky ReLU. Shape: (B, inputs, H, W) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.convolution = conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(self.convolution(x), self.slope)


def residual_blocks(count: int, width: int, slope: float) -> nn.Sequential:
    """`count` residual blocks in a row; none is the identity."""
    return nn.Sequential(*(ResidualBlock(width, slope) for _ in range(count)))


def to_channels_last(module: nn.Module) -> None:
    """Store the weights channels last, so that the convolutions compute in that order.

    On a GPU it is the order of tensor cores; on CPU training is a tenth to a half faster (docs/log.md).
    """
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def shrink(convolution: nn.Conv2d, factor: float) -> None:
    """Scale the weights of `convolution` by `factor` and set its bias to zero."""
    convolution.weight.data.mul_(factor)
    if convolution.bias is not None:
        convolution.bias.data.zero_()
