"""How good the averaged weights are on photographs that were held out."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ced.training.objectives import Batch
from ced.training.prepared import Prepared

_AT_ONCE = 16  # examples


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """`cluster.precision` of convolutions and matrix products: with "auto" bfloat16 on a GPU, float32 elsewhere."""
    short = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=short)


@torch.no_grad()
def validate(prepared: Prepared, network: nn.Module, precision: str = "auto") -> dict[str, float]:
    """Mean of each measure of the task over the held-out examples, as `validation_<measure>`; none held out, none.

    CED is judged with the q that it is trained with.
    """
    totals: dict[str, Tensor] = {}
    count = 0
    for batch in _batches(prepared.validation):
        count += len(batch["input"])
        with autocast(batch["input"].device, precision):
            measured = prepared.task.validate(network, batch)
        for name, values in measured.items():
            totals[name] = totals[name] + values.double().sum() if name in totals else values.double().sum()
    return {f"validation_{name}": total.item() / count for name, total in totals.items()}


def _batches(planes: Batch) -> Iterator[Batch]:
    for start in range(0, len(planes["input"]), _AT_ONCE):
        yield {name: plane[start : start + _AT_ONCE] for name, plane in planes.items()}
