"""The feature extractor F of the classifier, whose structure the encoder E shares (figure 3a)."""

from torch import Tensor, nn

from ced.config import NetworkConfig
from ced.models.blocks import Activated, Downsample, residual_blocks

# The detail that matters is a few grey levels deep; in units of the full scale its features would start near zero.
# In units of 4 grey levels C's accuracy after 250 steps was 0.26 instead of 0.19, ED's gain 0.99 dB instead of 0.81.
SCALE = 64.0


class Features(nn.Module):
    """F = E: an image to features of its 4x4 patches; stem and full blocks only where `blocks_full` > 0.

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
        x = self.blocks_half(self.to_half(x))
        f: Tensor = self.blocks(self.to_quarter(x))
        return f
