"""Weights as safetensors in memory: no pickle, and the header alone says how to rebuild the network."""

import dataclasses
import json
import re
from typing import Any

import torch

from ced.config import NetworkConfig, as_dict
from ced.errors import ConfigError, FormatError
from ced.nets import tensors
from ced.nets.autoencoder import AutoEncoder
from ced.nets.baselines import ARCNN, Galteri
from ced.nets.blocks import ResidualBlock, shrink, to_channels_last
from ced.nets.classifier import Classifier

Restoring = AutoEncoder | ARCNN | Galteri  # what makes images of images
Network = Classifier | Restoring

_KINDS = {Classifier: "classifier", AutoEncoder: "autoencoder", ARCNN: "arcnn", Galteri: "galteri"}

FORMAT, VERSION = "ced.weights", 1

# Settings that count residual blocks or stages. Not `blocks_full`: with none of these E's first convolution is another.
_DEPTHS = ("blocks", "blocks_half", "stage_blocks", "stages")
_WIDTHS = ("width", "width_half", "width_full")
# After f these are told something else (q, or p-hat of the stage before), which stays last when f grows.
_TOLD = re.compile(r"(decoder|stages\.\d+)\.first\.convolution\.weight")
_LUMA = (0.299, 0.587, 0.114)  # full-range BT.601, the luma that JPEG codes


def encode(module: Network) -> bytes:
    """The weights of `module` and what is needed to rebuild it. Equal weights give equal bytes."""
    # How many batches a normalization has seen is a whole number, of use in training alone: a checkpoint's matter.
    values = {name: value for name, value in module.state_dict().items() if value.is_floating_point()}
    return tensors.save(values, {"ced": json.dumps(_header(module), sort_keys=True)})


def decode(data: bytes) -> Network:
    """The network that `encode` was given, in evaluation mode, on CPU.

    Raises FormatError where `data` is something else, or was cut short.
    """
    header = _read_header(data)
    # Built without memory or random numbers: the shapes are checked before anything is allocated for them.
    with torch.device("meta"):
        module = _build(header)
    try:
        module.load_state_dict(tensors.load(data), assign=True)
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"the weights do not fit their own header; make the model again ({_line(error)})") from None
    to_channels_last(module)
    module.eval()
    return module


def start(module: Network, data: bytes) -> None:
    """Put the weights of `encode` into `module`. Raises FormatError where they are of another network.

    `module` may have more residual blocks, which begin as the identity, and more features, which begin at random and
    unheard: so the larger network starts with what the other computed (as in Net2Net, Chen et al. 2016). It may have
    more stages, which begin anew. It may be for RGB where the weights are for luminance: it starts with what they make
    of the luma that JPEG codes, and leaves the chroma as it is.
    """
    stored = decode(data)
    there, here = _settings(stored), _settings(module)
    more = {name for name in _DEPTHS + _WIDTHS if there.get(name, 0) < here.get(name, 0)}
    in_colour = isinstance(module, Classifier | AutoEncoder) and module.network.skip
    if in_colour and (there["channels"], here["channels"]) == (1, 3):
        more.add("channels")
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
    module.load_state_dict(
        {name: _wider(value, own[name], _told(name, value, there["width"])) for name, value in state.items()}
        if more.intersection(_WIDTHS)
        else state,
        strict=False,
    )


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


def _settings(module: Network) -> dict[str, Any]:
    header = _header(module)
    return {**header.pop("network"), **header}


def _header(module: Network) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": _KINDS[type(module)],
        "network": as_dict(module.network) if isinstance(module, Classifier | AutoEncoder) else {},
        "channels": module.channels,
        "classes": module.classes if isinstance(module, Classifier) else 0,
        "conditioned": module.conditioned if isinstance(module, AutoEncoder) else False,
    }


def _read_header(data: bytes) -> dict[str, Any]:
    """The JSON under "ced" in the metadata: 8 bytes of length, then the header of the format itself."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["ced"])
        name, version = header["format"], header["version"]
    except (ValueError, KeyError, TypeError):
        raise FormatError("this is no file of weights by ced; give the model.safetensors of a training") from None
    if (name, version) != (FORMAT, VERSION):
        raise FormatError(f"weights of format {name} {version}, where {FORMAT} {VERSION} is read; train again")
    return dict(header)


def _build(header: dict[str, Any]) -> Network:
    try:
        kind, channels = header["kind"], header["channels"]
        if kind == "classifier":
            return Classifier(_network(header), channels, header["classes"])
        if kind == "autoencoder":
            return AutoEncoder(_network(header), channels, header["conditioned"])
        if kind == "arcnn":
            return ARCNN(channels)
        if kind == "galteri":
            return Galteri(channels)
        raise KeyError(f"network of kind {kind!r}")
    except (KeyError, TypeError, RuntimeError, ConfigError) as error:
        raise FormatError(f"weights of another version of ced; train again ({_line(error)})") from None


def _network(header: dict[str, Any]) -> NetworkConfig:
    keys = {field.name for field in dataclasses.fields(NetworkConfig)}
    if set(header["network"]) != keys:
        raise KeyError(f"network keys {sorted(keys ^ set(header['network']))}")
    return NetworkConfig(**header["network"])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
