"""The class-to-coefficient mapping M (section 3.3, below equation 4)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Mapping(nn.Module):
    """q = M(y): each frequency channel's class to its coefficient, in standard deviations of the channel.

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
