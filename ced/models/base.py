"""What every network says of itself, and what follows from it: how far it looks, what it costs, how it is built.

A network is a subclass of `Network` in a file of its own and a line in ced/networks.py; docs/extending.md shows one.
"""

import copy
from collections.abc import Callable
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ced.config import NetworkConfig
from ced.models.blocks import Reach, radius
from ced.networks import NETWORKS

FREQUENCIES = 16  # n_ch: the coefficients of a 4x4 patch

_FLIPS = ((3,), (2,), (2, 3))


class Size(NamedTuple):
    """A network's cost."""

    parameters: int
    multiply_adds_per_megapixel: int  # of the convolutions, for 10^6 input pixels


class Network(nn.Module):
    """A network that can be trained, stored and run.

    `forward(x)`, or `forward(x, q)` where it is conditioned, makes the restored image (B, C, H, W) of x, (B, C, H, W)
    in [0, 1] with H and W multiples of 4; q is (B, 16, H/4, W/4). Its parameters' names are those in files of weights:
    renamed attributes make them unreadable.
    """

    kind: ClassVar[str]  # in the header of its weights, so that they find their class again

    # How weights of a smaller network of the same kind start it (ced.models.weights.start); else only equal ones do.
    grows: ClassVar[tuple[str, ...]] = ()  # settings that it may have more of
    beside_features: ClassVar[str] = ""  # pattern of the weights whose last inputs are no features
    makes_image: ClassVar[str] = ""  # the convolution whose outputs are added to the image's channels (network.skip)

    def __init__(
        self, channels: int, network: NetworkConfig | None = None, classes: int = 0, conditioned: bool = False
    ) -> None:
        """channels: 1 (Y) or 3 (RGB). network: its shape, None where it has one of its own. classes: of a classifier.
        conditioned: whether it takes q."""
        super().__init__()
        self.channels, self.network, self.classes, self.conditioned = channels, network, classes, conditioned

    @classmethod
    def from_settings(cls, network: NetworkConfig, channels: int, classes: int, conditioned: bool) -> Self:
        """The untrained network of these settings, all that its weights' header has."""
        return cls(channels)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """The reach of each layer from x to the output, on the way that sees farthest (ced.models.blocks.reaches)."""
        raise NotImplementedError(f"{type(self).__name__} does not say how far it looks; give it `reaches`")

    @property
    def reaches_of_q(self) -> tuple[Reach, ...]:
        """The same from q to the output, of a network that is conditioned."""
        raise NotImplementedError(f"{type(self).__name__} does not say how far it looks from q; give it `reaches_of_q`")

    def infer(self, x: Tensor, q: Tensor | None = None) -> Tensor:
        """`forward` where no gradient is wanted, by the fastest way on x's device; of a classifier the last logits."""
        if x.device.type == "cpu":
            return self.on_cpu(x, q)
        out: Tensor = self(x) if q is None else self(x, q)
        return out

    def on_cpu(self, x: Tensor, q: Tensor | None = None) -> Tensor:
        """The fast form of `forward` on a CPU, equal up to float32's rounding; here there is none."""
        out: Tensor = self(x) if q is None else self(x, q)
        return out

    def receptive_radius(self, classifier: "Network | None" = None) -> int:
        """The distance in pixels beyond which the input cannot change an output pixel, also through a classifier whose
        estimates it takes."""
        directly = radius(self.reaches)
        return directly if classifier is None else max(directly, radius(classifier.reaches + self.reaches_of_q))

    def size(self) -> Size:
        """Count the parameters and the multiply-adds. Takes no memory."""
        side = 1 << 20  # pixels, without memory behind them; so many that a network's own padding does not count
        shapes = copy.deepcopy(self).to("meta")
        inputs = [torch.empty(1, self.channels, side, side, device="meta")]
        if self.conditioned:
            inputs.append(torch.empty(1, FREQUENCIES, side // 4, side // 4, device="meta"))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            shapes(*inputs)
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return Size(parameters, round(counter.get_total_flops() // 2 * 1e6 / side**2))


def build(model: str, network: NetworkConfig, channels: int, classes: int) -> Network:
    """The untrained network of a name in ced.networks.NETWORKS, its weights drawn from torch's random numbers.

    Raises ConfigError for an unknown name.
    """
    architecture = NETWORKS.get(model)
    built: Network = architecture.load().from_settings(network, channels, classes, architecture.conditioned)
    return built


def size_of(model: str, network: NetworkConfig, channels: int, classes: int) -> Size:
    """What the network of a name costs. Takes no memory and no random numbers."""
    with torch.device("meta"):
        return build(model, network, channels, classes).size()


def mean_over_flips(restore: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Self-ensemble: the mean of `restore` over x and its three flips, turned back (Timofte et al. 2016).

    Of the square's eight symmetries only these: JPEG's tables are not quite the same along both axes, and the other
    four bring 0.003 dB where the flips bring 0.1 (docs/log.md). Shape: (B, C, H, W) -> the same.
    """
    total = restore(x)
    for axes in _FLIPS:
        total = total + restore(x.flip(axes)).flip(axes)
    return total / (1 + len(_FLIPS))
