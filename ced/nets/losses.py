"""The losses that the paper trains with (equations 5 and 6), and the accuracy of Table 1."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class ClassificationLoss(NamedTuple):
    """Equation 5."""

    total: Tensor  # L_c, a scalar: the mean over the stages
    stages: Tensor  # L_c^(t), (T,)


def classification_loss(logits: list[Tensor], labels: Tensor) -> ClassificationLoss:
    """L_c: the cross entropy, averaged over patches and frequency channels, then over the stages (equation 5).

    logits: T x (B, 16, K, h, w), before the softmax. labels: (B, 16, h, w), any integer type. In nats.
    """
    classes = labels.long().flatten(0, 1)
    stages = torch.stack([F.cross_entropy(stage.flatten(0, 1), classes) for stage in logits])
    return ClassificationLoss(stages.mean(), stages)


def reconstruction_loss(restored: Tensor, target: Tensor) -> Tensor:
    """L_r: the mean squared error (equation 6), in units of the full scale: 1 is 255 grey levels.

    The equation sums a pixel's squared differences over its colour channels; here they are averaged, so that
    one and three channels train alike. restored, target: (B, C, H, W). Returns a scalar.
    """
    return F.mse_loss(restored, target)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of patches and frequency channels whose most probable class is the label (Table 1).

    logits: (B, 16, K, h, w), one stage's. labels: (B, 16, h, w). Returns a scalar in [0, 1].
    """
    return (logits.argmax(dim=2) == labels).float().mean()
