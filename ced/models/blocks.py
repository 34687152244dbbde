"""The building blocks that F, S^t, E and D share (sections 3.3 and 3.4), with their reach and their fast CPU forms."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ced.config import NetworkConfig

# The detail that matters is a few grey levels deep; in units of the full scale its features would start near zero.
# In units of 4 grey levels C's accuracy after 250 steps was 0.26 instead of 0.19, ED's gain 0.99 dB instead of 0.81.
SCALE = 64.0

# What networks of these blocks may have more of than the weights they start from (ced.models.weights.start). Not
# `blocks_full`: with none of these E's first convolution is another.
GROWING = ("blocks", "blocks_half", "stage_blocks", "stages", "width", "width_half", "width_full")


class Reach(NamedTuple):
    """How far one layer looks: output pixel o sees its input from stride * o - margin to stride * o + margin."""

    margin: int = 0  # pixels of its input, to each side
    stride: int = 1  # the output has 1 / stride of the input's height and width
    enlarge: int = 1  # the output has this many times the input's height and width; then margin is 0, stride 1


def reaches(*layers: "nn.Module | Reach") -> tuple[Reach, ...]:
    """The reach of each of `layers`, which follow one another. Raises TypeError where one of them is not known."""
    known: tuple[Reach, ...] = ()
    for layer in layers:
        if isinstance(layer, Reach):
            known += (layer,)
        elif isinstance(layer, nn.Conv2d):
            known += (Reach(layer.dilation[0] * (layer.kernel_size[0] // 2), layer.stride[0]),)
        elif isinstance(layer, Block):
            known += layer.reaches
        elif isinstance(layer, nn.Sequential):
            known += reaches(*layer)
        elif not isinstance(layer, nn.Identity | nn.BatchNorm2d | nn.ReLU | nn.LeakyReLU):  # pixel by pixel
            raise TypeError(f"{type(layer).__name__} states no reach; make it a Block, or give a Reach in its place")
    return known


def radius(layers: Sequence[Reach]) -> int:
    """The distance in pixels beyond which the input of `layers` cannot change an output pixel.

    They make an image of one of the same size. A tile whose margin is at least this wide, and whose corner lies on a
    multiple of all changes of scale together, is restored exactly as within its image.
    """
    farthest = 0
    for pixel in range(math.prod(layer.enlarge for layer in layers)):
        low = high = pixel  # the interval of pixels that is seen, followed backwards layer by layer
        for layer in reversed(layers):
            low = low // layer.enlarge * layer.stride - layer.margin
            high = high // layer.enlarge * layer.stride + layer.margin
        farthest = max(farthest, pixel - low, high - pixel)
    return farthest


class Block(nn.Module):
    """Layers in a row, in the order of their declaration; one that computes them otherwise overrides `reaches`.

    One that has a faster form for a CPU, without gradients and equal up to float32's rounding, has it as `on_cpu`.
    """

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """Of each layer from the input to the output, on the way that sees farthest."""
        return reaches(*self.children())


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size (zero padding of one) or, with stride 2, halves it."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


class ResidualBlock(Block):
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


class Activated(Block):
    """conv3x3 --> leaky ReLU. Shape: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, slope: float, stride: int = 1) -> None:
        super().__init__()
        self.slope = slope
        self.convolution = conv3x3(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(self.convolution(x), self.slope)


class Downsample(Activated):
    """conv3x3 of stride 2 --> leaky ReLU. Shape: (B, inputs, H, W) -> (B, outputs, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__(inputs, outputs, slope, stride=2)

    def on_cpu(self, x: Tensor) -> Tensor:
        """On few planes a convolution of stride 2 is seven times as slow as one of stride 1 on cells of 2x2 pixels.

        The cells begin one pixel before the image, so that the filter's three pixels a side lie in two cells.
        """
        weight = self.convolution.weight
        if weight.shape[1] > 3:
            return self.forward(x)
        cells = F.pixel_unshuffle(F.pad(x, [1, 1, 1, 1]), 2).contiguous(memory_format=torch.channels_last)
        filters = F.pixel_unshuffle(F.pad(weight, [0, 1, 0, 1]), 2).contiguous(memory_format=torch.channels_last)
        return F.leaky_relu_(F.conv2d(cells, filters, self.convolution.bias), self.slope)


class Upsample(Activated):
    """conv3x3 to 4 n --> pixel shuffle by 2 --> leaky ReLU. Shape: (B, inputs, H, W) -> (B, outputs, 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__(inputs, 4 * outputs, slope)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        return reaches(self.convolution, Reach(enlarge=2))

    def forward(self, x: Tensor) -> Tensor:
        # The activation commutes with the shuffle, which only moves values.
        return F.pixel_shuffle(super().forward(x), 2)


class Features(Block):
    """F = E (figure 3a): an image to features of its 4x4 patches; stem and full blocks only where `blocks_full` > 0.

    x in [0, 1] (B, C, H, W)
          |
    stem conv3x3, residual blocks x blocks_full    (B, width_full, H, W)
          |
    conv3x3 of stride 2 --> leaky ReLU             (B, width_half, H/2, W/2)
    residual blocks x blocks_half
          |
    conv3x3 of stride 2 --> leaky ReLU             (B, width, H/4, W/4)
    residual blocks x blocks
          |
          f (B, n_f = width, H/4, W/4)
    """

    def __init__(self, network: NetworkConfig, channels: int) -> None:
        super().__init__()
        n, slope = network, network.slope
        full = n.width_full if n.blocks_full else channels
        self.stem = Activated(channels, full, slope) if n.blocks_full else nn.Identity()
        self.blocks_full = residual_blocks(n.blocks_full, full, slope)
        self.to_half = Downsample(full, n.width_half, slope)
        self.blocks_half = residual_blocks(n.blocks_half, n.width_half, slope)
        self.to_quarter = Downsample(n.width_half, n.width, slope)
        self.blocks = residual_blocks(n.blocks, n.width, slope)

    def forward(self, x: Tensor) -> Tensor:
        # Centred, so that the zero padding at the image's edge stands for grey and not for black.
        x = self.blocks_full(self.stem((x - 0.5) * SCALE))
        return self._from_half(self.to_half(x))

    def on_cpu(self, x: Tensor) -> Tensor:
        x = self.blocks_full(self.stem((x - 0.5) * SCALE))
        return self._from_half(self.to_half.on_cpu(x))

    def _from_half(self, x: Tensor) -> Tensor:
        f: Tensor = self.blocks(self.to_quarter(self.blocks_half(x)))
        return f


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
