"""How good the averaged weights are on photographs that were held out."""

import torch
from torch import Tensor, nn

from ced.training.prepared import Prepared

_AT_ONCE = 16  # examples


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 for the matrix products on a GPU; plain float32 elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


@torch.no_grad()
def validate(prepared: Prepared, network: nn.Module) -> dict[str, float]:
    """Mean of each measure of the task over the held-out examples, as `validation_<measure>`; none held out, none.

    CED is judged with the q that it is trained with.
    """
    chosen = prepared.validation
    totals: dict[str, Tensor] = {}
    for start in range(0, len(chosen), _AT_ONCE):
        with autocast(prepared.device):
            measured = prepared.task.validate(network, prepared.batch(chosen[start : start + _AT_ONCE]))
        for name, values in measured.items():
            totals[name] = totals.get(name, torch.zeros((), device=prepared.device)) + values.double().sum()
    return {f"validation_{name}": total.item() / len(chosen) for name, total in totals.items()}
