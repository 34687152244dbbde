"""Weights as safetensors in memory: no pickle, and the header alone says how to rebuild the network.

Training also begins with them, in the same network or in a larger one (`start`).
"""

import dataclasses
import json
import re
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ced.config import NetworkConfig, as_dict
from ced.errors import ConfigError, FormatError, unknown
from ced.models.base import Network
from ced.models.blocks import ResidualBlock, shrink, to_channels_last
from ced.networks import NETWORKS

FORMAT, VERSION = "ced.weights", 1

_LUMA = (0.299, 0.587, 0.114)  # full-range BT.601, the luma that JPEG codes


def encode(module: Network) -> bytes:
    """The weights of `module` and what is needed to rebuild it. Equal weights give equal bytes."""
    # How many batches a normalization has seen is a whole number, of use in training alone: a checkpoint's matter.
    tensors = {
        name: value.detach().cpu().float().contiguous()
        for name, value in module.state_dict().items()
        if value.is_floating_point()
    }
    return safetensors.torch.save(tensors, {"ced": json.dumps(_header(module), sort_keys=True)})


def decode(data: bytes) -> Network:
    """The network that `encode` was given, in evaluation mode, on CPU.

    Raises FormatError where `data` is something else, or was cut short.
    """
    header = _read_header(data)
    # Built without memory or random numbers: the shapes are checked before anything is allocated for them.
    with torch.device("meta"):
        module = _build(header)
    try:
        module.load_state_dict(_tensors(data), assign=True)
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"the weights do not fit their own header; make the model again ({_line(error)})") from None
    to_channels_last(module)
    module.eval()
    return module


def start(module: Network, data: bytes) -> None:
    """Put the weights of `encode` into `module`. Raises FormatError where they are of another network.

    Where its class says so (`Network.grows`), `module` may have more residual blocks, which begin as the identity, and
    more features, which begin at random and unheard: so the larger network starts with what the other computed (as in
    Net2Net, Chen et al. 2016). It may have more stages, which begin anew. It may be conditioned on q where the weights
    are ED's, and does not listen to q at first. It may be for RGB where the weights are for luminance: it starts with
    what they make of the luma that JPEG codes, and leaves the chroma as it is.
    """
    stored = decode(data)
    theirs, ours = _settings(stored), _settings(module)
    more = {name for name in module.grows if theirs.get(name, 0) < ours[name]}
    # A change of luma can be added to all three colours, a whole image cannot.
    adds_to_image = bool(module.grows) and module.network is not None and module.network.skip
    if adds_to_image and (theirs["channels"], ours["channels"]) == (1, 3):
        more.add("channels")
    if module.conditioned:
        more.add("conditioned")
    differing = [name for name in ours if theirs.get(name) != ours[name] and name not in more]
    if differing:
        which = ", ".join(f"{name} {theirs.get(name)} is not {ours[name]}" for name in differing)
        raise FormatError(f"weights of another network ({which})")
    state, own = stored.state_dict(), module.state_dict()
    for name, block in module.named_modules():
        if isinstance(block, ResidualBlock) and f"{name}.second.weight" not in state:
            shrink(block.second, 0.0)
    if "channels" in more:
        state = _in_colour(state, module.makes_image)
    for name, value in state.items():
        beside = value.shape[1] - theirs["width"] if re.fullmatch(module.beside_features, name) else 0
        state[name] = _wider(value, own[name], beside)
    module.load_state_dict(state, strict=False)


def _header(module: Network) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": module.kind,
        "network": as_dict(module.network) if module.network is not None else {},
        "channels": module.channels,
        "classes": module.classes,
        "conditioned": module.conditioned,
    }


def _settings(module: Network) -> dict[str, Any]:
    """What tells `module` from other networks: of the network itself, its kind, channels, classes."""
    header = _header(module)
    return {**header.pop("network"), **header}


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


def _tensors(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file. Raises ValueError where it is damaged or holds anything but float32."""
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError) as error:  # KeyError: a kind of number that torch does not have
        raise ValueError(str(error)) from None
    for name, value in tensors.items():
        if value.dtype != torch.float32:
            raise ValueError(f"{name}: {value.dtype}, where float32 is read")
    return tensors


def _build(header: dict[str, Any]) -> Network:
    kinds: dict[str, type[Network]] = {}
    for architecture in map(NETWORKS.get, NETWORKS.names):
        network = architecture.load()
        if kinds.setdefault(network.kind, network) is not network:
            raise ValueError(f"two networks of kind {network.kind!r}; give one of them another")
    try:
        if header["kind"] not in kinds:
            raise KeyError(unknown("network of kind", header["kind"], kinds))
        shape = _shape(header["network"]) if header["network"] else NetworkConfig()
        cls = kinds[header["kind"]]
        module = cls.from_settings(shape, header["channels"], header["classes"], header["conditioned"])
        if _header(module) != header:
            raise KeyError(f"settings that no network of kind {cls.kind!r} has")
        return module
    except (KeyError, TypeError, RuntimeError, ConfigError) as error:
        raise FormatError(f"weights of another version of ced; train again ({_line(error)})") from None


def _shape(stored: dict[str, Any]) -> NetworkConfig:
    keys = {field.name for field in dataclasses.fields(NetworkConfig)}
    if set(stored) != keys:
        raise KeyError(f"network keys {sorted(keys ^ set(stored))}")
    return NetworkConfig(**stored)


def _in_colour(state: dict[str, Tensor], makes_image: str) -> dict[str, Tensor]:
    """The first convolution, which looks at luma, for RGB; the last one of D, which changes it, for all three."""
    first = next(iter(state))
    last = {name: value for name, value in state.items() if name in (f"{makes_image}.weight", f"{makes_image}.bias")}
    luma = state[first].new_tensor(_LUMA)[:, None, None]
    return {**state, first: state[first] * luma, **{name: torch.cat([value] * 3) for name, value in last.items()}}


def _wider(value: Tensor, own: Tensor, beside: int) -> Tensor:
    """`value` as the first outputs of the larger `own`, with zeros for inputs that are new: they lie between its
    features and the `beside` inputs that are none (q, or p-hat of the stage before)."""
    if value.shape == own.shape:
        return value
    wider = own.clone()
    known = wider[: len(value)]
    if value.dim() == 1:
        known.copy_(value)
        return wider
    features = value.shape[1] - beside
    known.zero_()
    known[:, :features] = value[:, :features]
    known[:, own.shape[1] - beside :] = value[:, features:]
    return wider


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
