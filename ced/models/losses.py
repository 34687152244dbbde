"""The losses that the paper trains with (equations 5 and 6), the block effect (7), and the accuracy of Table 1."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def classification_loss(logits: list[Tensor], labels: Tensor) -> Tensor:
    """L_c: the cross entropy, averaged over patches and frequency channels, then over the stages (equation 5).

    logits: T x (B, 16, K, h, w), before the softmax. labels: (B, 16, h, w), any integer type. Returns a scalar, in
    nats.
    """
    classes = labels.long().flatten(0, 1)
    return torch.stack([F.cross_entropy(stage.flatten(0, 1), classes) for stage in logits]).mean()


def reconstruction_loss(restored: Tensor, target: Tensor) -> Tensor:
    """L_r: the mean squared error (equation 6), in units of the full scale: 1 is 255 grey levels.

    The equation sums a pixel's squared differences over its colour channels; here they are averaged, so that
    one and three channels train alike. restored, target: (B, C, H, W). Returns a scalar.
    """
    return F.mse_loss(restored, target)


def block_effect(restored: Tensor) -> Tensor:
    """BEF of a batch (equation 7, ced.core.metrics.blocking_effect_factor), in the units of `reconstruction_loss`.

    Zero where borders of 8x8 blocks do not stand out, over all images together: among few pixels they may by chance,
    and an image's own clamp would have them smoothed. restored: (B, C, H, W), at least 9x9. Returns a scalar.
    """
    horizontal, vertical = restored.diff(dim=3).square(), restored.diff(dim=2).square()
    across, down = horizontal[..., 7::8], vertical[..., 7::8, :]
    at_borders = across.sum() + down.sum()
    elsewhere = horizontal.sum() + vertical.sum() - at_borders
    pairs = across.numel() + down.numel()
    others = horizontal.numel() + vertical.numel() - pairs
    eta = 3 / math.log2(min(restored.shape[2:]))
    return eta * (at_borders / pairs - elsewhere / others).clamp_min(0)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of patches and frequency channels whose most probable class is the label (Table 1).

    logits: (B, 16, K, h, w), one stage's. labels: (B, 16, h, w). Returns a scalar in [0, 1].
    """
    return (logits.argmax(dim=2) == labels).float().mean()
