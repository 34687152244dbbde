"""The encoder E and the decoder D (section 3.4): ED without, CED with the frequency information q."""

from typing import Self

import torch
from torch import Tensor

from ced.config import NetworkConfig
from ced.models.base import FREQUENCIES, Network
from ced.models.blocks import (
    GROWING,
    Activated,
    Block,
    Features,
    Reach,
    Upsample,
    conv3x3,
    residual_blocks,
    shrink,
)

_BAND_PIXELS = 1 << 17  # of the output at a time: larger tensors cost as much to be mapped as to be computed
_HALO = 2  # rows of patches beyond which D's convolutions after the blocks do not see


class Decoder(Block):
    """D: symmetric to E, with pixel shuffle for stride, and no activation after the last convolution.

        f (B, n_f, H/4, W/4) [, q (B, 16, H/4, W/4)]
              |
        concatenate --> first: conv3x3 --> leaky ReLU    (B, width, H/4, W/4)
        residual blocks x blocks
              |
        conv3x3 --> pixel shuffle --> leaky ReLU         (B, width_half, H/2, W/2)
        residual blocks x blocks_half
              |
        conv3x3 --> pixel shuffle --> leaky ReLU         (B, width_full, H, W)
        residual blocks x blocks_full
              |
        last: conv3x3                                    (B, C, H, W)

    `first.convolution.weight` is (width, n_f [+ 16], 3, 3): f's filters, then q's (w_f and w_q of section 3.4).
    """

    def __init__(self, network: NetworkConfig, channels: int, conditioned: bool) -> None:
        super().__init__()
        n, slope = network, network.slope
        self.first = Activated(n.width + (FREQUENCIES if conditioned else 0), n.width, slope)
        self.blocks = residual_blocks(n.blocks, n.width, slope)
        self.to_half = Upsample(n.width, n.width_half, slope)
        self.blocks_half = residual_blocks(n.blocks_half, n.width_half, slope)
        self.to_full = Upsample(n.width_half, n.width_full, slope)
        self.blocks_full = residual_blocks(n.blocks_full, n.width_full, slope)
        self.last = conv3x3(n.width_full, channels)
        # The output starts at zero: with the skip, restoration starts from the image as it came.
        shrink(self.last, 0.0)

    def forward(self, f: Tensor, q: Tensor | None) -> Tensor:
        return self._enlarged(self._at_quarter(f, q))

    def on_cpu(self, f: Tensor, q: Tensor | None) -> Tensor:
        """`forward`, with what follows the blocks at quarter resolution in bands of rows."""
        y = self._at_quarter(f, q)
        if len(self.blocks_half) or len(self.blocks_full):  # they see farther than a band would be worth
            return self._enlarged(y)
        height, width = y.shape[2:]
        rows = max(4 * _HALO, _BAND_PIXELS // (16 * width))
        out = y.new_empty(len(y), self.last.out_channels, 4 * height, 4 * width)
        for top in range(0, height, rows):
            bottom, start = min(top + rows, height), max(top - _HALO, 0)
            band = self._enlarged(y[:, :, start : bottom + _HALO])
            out[:, :, 4 * top : 4 * bottom] = band[:, :, 4 * (top - start) : 4 * (bottom - start)]
        return out

    def _at_quarter(self, f: Tensor, q: Tensor | None) -> Tensor:
        y: Tensor = self.blocks(self.first(f if q is None else torch.cat([f, q], dim=1)))
        return y

    def _enlarged(self, y: Tensor) -> Tensor:
        """(B, width, H/4, W/4) -> (B, C, H, W)."""
        out: Tensor = self.last(self.blocks_full(self.to_full(self.blocks_half(self.to_half(y)))))
        return out


class AutoEncoder(Network):
    """I^R = D(E(I^J), q), equation 2; without q where not `conditioned` (the baseline ED).

    I^J --> E --> f --> D --> + --> I^R
     |                  ^     ^
     |                  q     |
     +------------------------+  (network.skip)
    """

    kind = "autoencoder"
    grows = GROWING
    beside_features = r"decoder\.first\.convolution\.weight"  # q
    makes_image = "decoder.last"
    network: NetworkConfig

    def __init__(self, network: NetworkConfig, channels: int, conditioned: bool) -> None:
        super().__init__(channels, network, conditioned=conditioned)
        self.encoder = Features(network, channels)
        self.decoder = Decoder(network, channels, conditioned)

    @classmethod
    def from_settings(cls, network: NetworkConfig, channels: int, classes: int, conditioned: bool) -> Self:
        return cls(network, channels, conditioned)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        return self.encoder.reaches + self.decoder.reaches

    @property
    def reaches_of_q(self) -> tuple[Reach, ...]:
        return self.decoder.reaches

    def forward(self, x: Tensor, q: Tensor | None = None) -> Tensor:
        """The restored image (B, C, H, W), not clipped.

        x: (B, C, H, W) in [0, 1], H and W multiples of 4. q: (B, 16, H/4, W/4), the coefficients of the
        classes in standard deviations, for a conditioned network only. Raises ValueError where q is missing or not
        wanted.
        """
        if (q is not None) != self.conditioned:
            raise ValueError("q is missing: this network is conditioned on it" if self.conditioned else "ED takes no q")
        restored: Tensor = self.decoder(self.encoder(x), q)
        # Without the skip the output is an offset from mid grey, as the features are.
        return restored + (x if self.network.skip else 0.5)

    def on_cpu(self, x: Tensor, q: Tensor | None = None) -> Tensor:
        restored = self.decoder.on_cpu(self.encoder.on_cpu(x), q)
        return restored.add_(x if self.network.skip else 0.5)
