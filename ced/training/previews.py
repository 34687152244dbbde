"""Pictures of how a restoration comes along: held-out photographs, original, as JPEG and restored, side by side."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ced.config import TrainConfig
from ced.core import drawing
from ced.store import files
from ced.training.prepared import Prepared
from ced.training.tasks import Reconstruction
from ced.training.validation import autocast

FOLDER = "strips"

_PICTURES = 10  # a training, about
_ROWS = 4  # photographs a picture
_GAP = 4  # pixels, white


def due(train: TrainConfig, step: int) -> bool:
    """Whether the report of `step` comes with a picture: the first one in each tenth of the training, and the last."""
    before = (step - 1) // train.report_every * train.report_every
    return step == train.steps or step * _PICTURES // train.steps > before * _PICTURES // train.steps


def name(step: int) -> str:
    """The file of a step's picture; their order is that of the steps."""
    return f"{step:08d}.png"


def write(folder: Path, step: int, prepared: Prepared, network: nn.Module, precision: str = "auto") -> None:
    """Put the picture of `step` into `folder`/strips; none for a classifier, or where nothing is held out.

    Raises OutputError. CED is shown with the q that it is trained with.
    """
    if not isinstance(prepared.task, Reconstruction) or not len(prepared.validation["input"]):
        return
    chosen = np.linspace(0, len(prepared.validation["input"]) - 1, _ROWS).round().astype(int)
    batch = {column: planes[np.unique(chosen)] for column, planes in prepared.validation.items()}
    with torch.no_grad(), autocast(batch["input"].device, precision):
        restored = prepared.task.restore(network, batch)
    levels = (restored * 255).round().clamp(0, 255).to(torch.uint8)
    # (N, C, H, W) -> (N, H, W) for one plane, (N, H, W, 3) for three
    versions = (batch["target"], batch["input"], levels)
    columns = [planes.permute(0, 2, 3, 1).squeeze(-1).cpu().numpy() for planes in versions]
    rows = [[drawing.image(pixels) for pixels in photograph] for photograph in zip(*columns, strict=True)]
    files.make_folder(folder / FOLDER)
    files.write(folder / FOLDER / name(step), drawing.grid(rows, _GAP, _GAP).png())
