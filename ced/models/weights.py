"""Weights as safetensors in memory: no pickle, and the header alone says how to rebuild the network."""

import dataclasses
import json
from typing import Any

import torch

from ced.config import NetworkConfig, as_dict
from ced.errors import ConfigError, FormatError
from ced.models import tensors
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.blocks import to_channels_last
from ced.models.classifier import Classifier

Restoring = AutoEncoder | ARCNN | Galteri  # what makes images of images
Network = Classifier | Restoring

_KINDS = {Classifier: "classifier", AutoEncoder: "autoencoder", ARCNN: "arcnn", Galteri: "galteri"}

FORMAT, VERSION = "ced.weights", 1


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


def settings(module: Network) -> dict[str, Any]:
    """What tells `module` from other networks: of the network itself, its kind, channels, classes."""
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
