"""Pictures of how a restoration comes along: held-out photographs, original, as JPEG and restored, side by side."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ced.config import TrainConfig
from ced.store import files
from ced.training.job import PREVIEWS
from ced.training.objectives import Batch, Objective, Reconstruction

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


@torch.no_grad()
def write(folder: Path, step: int, objective: Objective, held_out: Batch, network: nn.Module) -> None:
    """Put the picture of `step` into `folder`/strips; none for a classifier, or where nothing is held out.

    Raises OutputError. CED is shown with the q that it is trained with.
    """
    if not isinstance(objective, Reconstruction) or not len(held_out["input"]):
        return
    chosen = np.linspace(0, len(held_out["input"]) - 1, _ROWS).round().astype(int)
    batch = {column: planes[np.unique(chosen)] for column, planes in held_out.items()}
    levels = (objective.restore(network, batch) * 255).round().clamp(0, 255).to(torch.uint8)
    rows = zip(*(planes.cpu().numpy() for planes in (batch["target"], batch["input"], levels)), strict=True)
    stream = io.BytesIO()
    Image.fromarray(_stacked(list(rows))).save(stream, "PNG")
    files.make_folder(folder / PREVIEWS)
    files.write(folder / PREVIEWS / name(step), stream.getvalue())


def _stacked(rows: Sequence[tuple[NDArray[np.uint8], ...]]) -> NDArray[np.uint8]:
    """Rows of pictures on white. (C, H, W) each -> (H', W') for one plane, (H', W', 3) for three."""
    planes, height, width = rows[0][0].shape
    sheet = np.full((len(rows) * (height + _GAP) - _GAP, len(rows[0]) * (width + _GAP) - _GAP, planes), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = i * (height + _GAP), j * (width + _GAP)
            sheet[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    return sheet[:, :, 0] if planes == 1 else sheet
