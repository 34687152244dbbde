"""The safetensors format, written and read with nothing but torch: names, shapes and bytes, and no code.

    8 bytes, little-endian: the header's length | header, JSON, padded with spaces to a multiple of 8 | the tensors

The bytes are those of the package of that name, so that every tool that knows the format reads them. float32 alone:
weights are nothing else here.
"""

import json
import math
from typing import Any

import torch
from torch import Tensor

_KIND, _SIZE = "F32", 4  # the format's name of float32, and its bytes
_HEADER = 8  # bytes that hold its length
_META = "__metadata__"


def save(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Float32 tensors as a safetensors file. Equal tensors give equal bytes."""
    header: dict[str, Any] = {_META: metadata}
    parts, end = [], 0
    for name in sorted(tensors):
        part = tensors[name].detach().cpu().contiguous().numpy().astype("<f4", copy=False).tobytes()
        header[name] = {"dtype": _KIND, "shape": list(tensors[name].shape), "data_offsets": [end, end + len(part)]}
        parts.append(part)
        end += len(part)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(_HEADER, "little"), text, *parts])


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file, on CPU. Raises ValueError where it is damaged or holds anything but float32."""
    header = _header(data)
    rest = memoryview(data)[_HEADER + int.from_bytes(data[:_HEADER], "little") :]
    header.pop(_META, None)
    tensors, reached = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _start(item[1])):
        shape, start, end = _checked(name, entry)
        if start != reached or end > len(rest):
            raise ValueError(f"{name}: bytes {start} to {end}, where there are {len(rest)} and {reached} are read")
        values = torch.frombuffer(bytearray(rest[start:end]), dtype=torch.float32) if end > start else torch.empty(0)
        tensors[name], reached = values.reshape(shape), end
    if reached != len(rest):
        raise ValueError(f"{len(rest) - reached} bytes that belong to no tensor")
    return tensors


def _header(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:_HEADER], "little")
    if len(data) < _HEADER + size:
        raise ValueError("cut short")
    header = json.loads(data[_HEADER : _HEADER + size])
    if not isinstance(header, dict):
        raise ValueError("a header that is no table")
    return header


def _start(entry: Any) -> int:
    try:
        return int(entry["data_offsets"][0])
    except (KeyError, TypeError, IndexError):
        raise ValueError("an entry without offsets") from None


def _checked(name: str, entry: dict[str, Any]) -> tuple[list[int], int, int]:
    """Shape, start and end of a tensor whose entry is sound."""
    kind, shape, offsets = entry.get("dtype"), _counts(entry.get("shape")), _counts(entry["data_offsets"])
    if kind != _KIND or shape is None or offsets is None or len(offsets) != 2:
        raise ValueError(f"{name}: {kind} of shape {entry.get('shape')}, where float32 is read")
    if offsets[1] - offsets[0] != _SIZE * math.prod(shape):
        raise ValueError(f"{name}: {offsets[1] - offsets[0]} bytes for the shape {shape}")
    return shape, offsets[0], offsets[1]


def _counts(values: Any) -> list[int] | None:
    """`values` where they are a list of whole numbers, none below zero."""
    sound = isinstance(values, list) and all(type(number) is int and number >= 0 for number in values)
    return values if sound else None
