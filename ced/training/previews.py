"""Pictures of how a restoration comes along: held-out photographs, original, as JPEG and restored, side by side."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ced import drawing
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
    # (N, C, H, W) -> (N, H, W) for one plane, (N, H, W, 3) for three
    versions = (batch["target"], batch["input"], levels)
    columns = [planes.permute(0, 2, 3, 1).squeeze(-1).cpu().numpy() for planes in versions]
    rows = [[drawing.image(pixels) for pixels in photograph] for photograph in zip(*columns, strict=True)]
    files.make_folder(folder / PREVIEWS)
    files.write(folder / PREVIEWS / name(step), drawing.grid(rows, _GAP, _GAP).png())
