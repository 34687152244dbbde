"""Begin training with weights that are trained already, in the same network or in a larger one."""

import re

import torch

from ced.errors import FormatError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.blocks import ResidualBlock, shrink
from ced.models.classifier import Classifier

# Settings that count residual blocks or stages. Not `blocks_full`: with none of these E's first convolution is another.
_DEPTHS = ("blocks", "blocks_half", "stage_blocks", "stages")
_WIDTHS = ("width", "width_half", "width_full")
# After f these are told something else (q, or p-hat of the stage before), which stays last when f grows.
_TOLD = re.compile(r"(decoder|stages\.\d+)\.first\.convolution\.weight")
_LUMA = (0.299, 0.587, 0.114)  # full-range BT.601, the luma that JPEG codes


def start(module: weights.Network, data: bytes) -> None:
    """Put the weights of `weights.encode` into `module`. Raises FormatError where they are of another network.

    `module` may have more residual blocks, which begin as the identity, and more features, which begin at random and
    unheard: so the larger network starts with what the other computed (as in Net2Net, Chen et al. 2016). It may have
    more stages, which begin anew. It may be conditioned on q where the weights are ED's, and does not listen to q at
    first. It may be for RGB where the weights are for luminance: it starts with what they make of the luma that JPEG
    codes, and leaves the chroma as it is.
    """
    stored = weights.decode(data)
    there, here = weights.settings(stored), weights.settings(module)
    more = {name for name in _DEPTHS + _WIDTHS if there.get(name, 0) < here.get(name, 0)}
    in_colour = isinstance(module, Classifier | AutoEncoder) and module.network.skip
    if in_colour and (there["channels"], here["channels"]) == (1, 3):
        more.add("channels")
    if here["conditioned"]:
        more.add("conditioned")
    differing = [name for name in here if there.get(name) != here[name] and name not in more]
    if differing:
        told = ", ".join(f"{name} {there.get(name)} is not {here[name]}" for name in differing)
        raise FormatError(f"weights of another network ({told})")
    state, own = stored.state_dict(), module.state_dict()
    for name, block in module.named_modules():
        if isinstance(block, ResidualBlock) and f"{name}.second.weight" not in state:
            shrink(block.second, 0.0)
    if "channels" in more:
        state = _in_colour(state)
    wider = {name: _wider(value, own[name], _told(name, value, there.get("width", 0))) for name, value in state.items()}
    module.load_state_dict(wider, strict=False)


def _in_colour(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The first convolution, which looks at luma, for RGB; the last one of D, which changes it, for all three."""
    first = next(iter(state))
    last = {name: state[name] for name in ("decoder.last.weight", "decoder.last.bias") if name in state}
    luma = state[first].new_tensor(_LUMA)[:, None, None]
    return {**state, first: state[first] * luma, **{name: torch.cat([value] * 3) for name, value in last.items()}}


def _told(name: str, value: torch.Tensor, width: int) -> int:
    return value.shape[1] - width if _TOLD.fullmatch(name) else 0


def _wider(value: torch.Tensor, own: torch.Tensor, told: int) -> torch.Tensor:
    """`value` as the first outputs of the larger `own`, deaf to what is new between its features and its `told`."""
    if value.shape == own.shape:
        return value
    wider = own.clone()
    known = wider[: len(value)]
    if value.dim() == 1:
        known.copy_(value)
        return wider
    features = value.shape[1] - told
    known.zero_()
    known[:, :features] = value[:, :features]
    known[:, own.shape[1] - told :] = value[:, features:]
    return wider
