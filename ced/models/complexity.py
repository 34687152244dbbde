"""What a network costs, and how far it looks."""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ced.config import NetworkConfig
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.classifier import FREQUENCIES
from ced.models.weights import Network, Restoring


class Size(NamedTuple):
    """A network's cost."""

    parameters: int
    multiply_adds_per_megapixel: int  # of the convolutions, for 10^6 input pixels


def describe(module: Network) -> Size:
    """Count the parameters and the multiply-adds of `module`."""
    side = 1 << 20  # pixels, without memory behind them; so many that a network's own padding does not count
    shapes = copy.deepcopy(module).to("meta")
    x = torch.empty(1, module.channels, side, side, device="meta")
    inputs = [x]
    if isinstance(module, AutoEncoder) and module.conditioned:
        inputs.append(torch.empty(1, FREQUENCIES, side // 4, side // 4, device="meta"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shapes(*inputs)
    multiply_adds = counter.get_total_flops() // 2
    return Size(_parameters(module), round(multiply_adds * 1e6 / side**2))


def receptive_radius(network: NetworkConfig, conditioned: bool = True) -> int:
    """The distance in pixels beyond which the input cannot change an output pixel.

    Of the whole path: through C and D where `conditioned`, and of E and D alone (ED) otherwise. A tile whose
    margin is at least this wide, and whose corner lies on a multiple of 4 pixels, is restored exactly as within
    its image.
    """
    steps = list(_path(network, conditioned))
    return max(_reach(steps, pixel) for pixel in range(4))


def radius(module: Restoring) -> int:
    """`receptive_radius` of a network that restores; where it is conditioned, through a C of its own shape."""
    if isinstance(module, AutoEncoder):
        return receptive_radius(module.network, module.conditioned)
    if isinstance(module, ARCNN):
        return module.RADIUS
    steps = [_CONVOLUTION, _DOWN] + [_CONVOLUTION] * (2 * Galteri.BLOCKS) + [_UP] + [_CONVOLUTION] * 2
    return max(_reach(steps, pixel) for pixel in range(4))


_DOWN, _CONVOLUTION, _UP = "stride-2 convolution", "convolution", "upsampling"


def _path(network: NetworkConfig, conditioned: bool) -> Iterator[str]:
    """The 3x3 convolutions and changes of scale from input to output, on the way that sees farthest."""
    n = network
    if n.blocks_full:
        yield from [_CONVOLUTION] * (1 + 2 * n.blocks_full)
    yield from [_DOWN] + [_CONVOLUTION] * (2 * n.blocks_half)
    yield from [_DOWN] + [_CONVOLUTION] * (2 * n.blocks)
    if conditioned:
        yield from [_CONVOLUTION] * (n.stages * (1 + 2 * n.stage_blocks))
    yield from [_CONVOLUTION] * (1 + 2 * n.blocks)
    yield from [_CONVOLUTION, _UP] + [_CONVOLUTION] * (2 * n.blocks_half)
    yield from [_CONVOLUTION, _UP] + [_CONVOLUTION] * (2 * n.blocks_full + 1)


def _reach(steps: list[str], pixel: int) -> int:
    """How far the interval of input pixels behind output `pixel` stretches, followed backwards step by step."""
    low = high = pixel
    for step in reversed(steps):
        if step == _UP:
            low, high = low // 2, high // 2
        elif step == _DOWN:
            low, high = 2 * low - 1, 2 * high + 1
        else:
            low, high = low - 1, high + 1
    return max(pixel - low, high - pixel)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
