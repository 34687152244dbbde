"""The format against the package that defines it, byte for byte, and against files that are damaged."""

import json

import pytest
import safetensors.torch as package
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ced.models import tensors

names = st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__" and name.isprintable())
shapes = st.lists(st.integers(0, 4), max_size=4)
texts = st.text(max_size=12).filter(str.isprintable)


def drawn(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@given(st.dictionaries(names, shapes, max_size=5), texts)
def test_the_bytes_are_those_of_the_package(wanted: dict[str, list[int]], text: str) -> None:
    values = drawn(wanted)
    assert tensors.save(values, {"ced": text}) == package.save(values, {"ced": text})


@given(st.dictionaries(names, shapes, max_size=5))
def test_what_the_package_writes_is_read(wanted: dict[str, list[int]]) -> None:
    values = drawn(wanted)
    found = tensors.load(package.save(values, {"a": "b"}))
    assert found.keys() == values.keys()
    assert all(torch.equal(found[name], value) and found[name].shape == value.shape for name, value in values.items())


def test_the_package_reads_what_is_written() -> None:
    values = {"b": torch.randn(3, 2).T, "a": torch.randn(())}  # one that does not lie in order
    found = package.load(tensors.save(values, {}))
    assert all(torch.equal(found[name], value) for name, value in values.items())


def test_the_order_of_the_names_is_of_no_matter() -> None:
    a, b = torch.ones(2), torch.zeros(3)
    assert tensors.save({"a": a, "b": b}, {}) == tensors.save({"b": b, "a": a}, {})


@pytest.mark.parametrize("kind", [torch.float16, torch.int64])
def test_other_kinds_are_not_read(kind: torch.dtype) -> None:
    with pytest.raises(ValueError, match="w: .* where float32 is read"):
        tensors.load(package.save({"w": torch.ones(2).to(kind)}))


GOOD = tensors.save({"w": torch.arange(4.0), "v": torch.ones(2, 1)}, {"ced": "{}"})


def changed(**entry: object) -> bytes:
    """GOOD with other facts about `w`."""
    size = int.from_bytes(GOOD[:8], "little")
    header = json.loads(GOOD[8 : 8 + size])
    header["w"] |= entry
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + GOOD[8 + size :]


@pytest.mark.parametrize(
    "data",
    [b"", GOOD[:4], GOOD[:60], GOOD[:-1], GOOD + b"\0", bytes(100), b"\x04" + bytes(7) + b"[1] "]
    + [changed(shape=[5]), changed(shape=[-4]), changed(shape="4"), changed(shape=[4.0]), changed(data_offsets=[0])]
    + [changed(data_offsets=[0, 16]), changed(data_offsets=[8, 1 << 40]), changed(data_offsets=None)]
    + [changed(data_offsets=[12, 28]), changed(shape=[1 << 40])],
)
def test_a_damaged_file_is_a_value_error_and_costs_no_memory(data: bytes) -> None:
    with pytest.raises(ValueError):
        tensors.load(data)
