"""The learning rate and the averaging of the weights, as pure functions of the step."""

import math

from ced.config import TrainConfig


def learning_rate(train: TrainConfig, step: int) -> float:
    """The rate of update `step` (from 0): a linear rise over the warm-up, then half a cosine down to zero."""
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    progress = (step - train.warmup_steps) / (train.steps - train.warmup_steps)
    return train.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def average_decay(train: TrainConfig, step: int) -> float:
    """How much of the average stays at update `step` (from 0): little at first, when the weights say nothing yet."""
    return min(train.average_decay, (1 + step) / (10 + step))
