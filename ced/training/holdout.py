"""How often a classifier is right on the examples that were held out of its training: all of them, part by part."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ced.core import columns
from ced.core.frequency import CHANNELS
from ced.errors import InputError
from ced.models.classifier import Classifier
from ced.training import data
from ced.training.objectives import unit

_AT_ONCE = 32  # examples a forward pass


class Accuracy(NamedTuple):
    """What Table 1 prints, and on how much."""

    stages: tuple[float, ...]  # the share of frequency channels of patches whose most probable class is the label
    examples: int
    photographs: int


@torch.no_grad()
def accuracy(classifier: Classifier, examples: str, labelled: str, fraction: float) -> Accuracy:
    """The accuracy of each stage on the photographs that a training with `validation_fraction` `fraction` leaves out.

    `examples` and `labelled` are the folders of the parts that it was trained on. Raises InputError where nothing was
    left out.
    """
    paths = sorted(Path(labelled).glob("part-*.parquet"))
    beside = Path(examples)
    sources = [pq.read_table(beside / path.name, columns=["source"])["source"].to_pylist() for path in paths]
    every = [source for part in sources for source in part]
    held = {every[row] for row in data.split(every, fraction).validation}
    if not held:
        raise InputError(
            f"{labelled}: no photograph was held out; use more of them or raise classifier.validation_fraction"
        )
    device = next(classifier.parameters()).device
    hits, labels, count = torch.zeros(len(classifier.stages), dtype=torch.int64), 0, 0
    for path, part in zip(paths, sources, strict=True):
        rows = np.flatnonzero([source in held for source in part])
        for inputs, truth in _batches(path, beside, rows, classifier.channels):
            truth = truth.to(device)
            for t, logits in enumerate(classifier(unit(inputs.to(device)))):
                hits[t] += int((logits.argmax(dim=2) == truth).sum())
            labels, count = labels + truth.numel(), count + len(truth)
    return Accuracy(tuple((hits / labels).tolist()), count, len(held))


def _batches(path: Path, beside: Path, rows: np.ndarray, channels: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The inputs (B, C, H, W) and labels (B, 16, H/4, W/4) of some rows of a part."""
    if not len(rows):
        return
    table = pq.read_table(beside / path.name, columns=["input", "height", "width"]).take(rows)
    stored = pq.read_table(path, columns=["labels"]).take(rows)["labels"]
    height, width = table["height"][0].as_py(), table["width"][0].as_py()
    inputs = torch.from_numpy(columns.stack(table["input"], (channels, height, width)))
    labels = torch.from_numpy(columns.stack(stored, (CHANNELS, height // 4, width // 4)))
    yield from zip(torch.split(inputs, _AT_ONCE), torch.split(labels, _AT_ONCE), strict=True)
