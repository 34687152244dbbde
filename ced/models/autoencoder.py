"""The encoder E and the decoder D (section 3.4): ED without, CED with the frequency information q."""

import torch
from torch import Tensor, nn

from ced.config import NetworkConfig
from ced.models.blocks import Activated, Upsample, conv3x3, residual_blocks, shrink
from ced.models.classifier import FREQUENCIES
from ced.models.features import Features


class Decoder(nn.Module):
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
        x = self.blocks(self.first(f if q is None else torch.cat([f, q], dim=1)))
        x = self.blocks_half(self.to_half(x))
        out: Tensor = self.last(self.blocks_full(self.to_full(x)))
        return out


class AutoEncoder(nn.Module):
    """I^R = D(E(I^J), q), equation 2; without q where not `conditioned` (the baseline ED).

    I^J --> E --> f --> D --> + --> I^R
     |                  ^     ^
     |                  q     |
     +------------------------+  (network.skip)
    """

    def __init__(self, network: NetworkConfig, channels: int, conditioned: bool) -> None:
        super().__init__()
        self.network, self.channels, self.conditioned = network, channels, conditioned
        self.encoder = Features(network, channels)
        self.decoder = Decoder(network, channels, conditioned)

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
