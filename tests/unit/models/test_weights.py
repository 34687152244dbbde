import dataclasses
import json
import struct
from collections.abc import Callable

import pytest
import torch

from ced.config import NetworkConfig
from ced.errors import FormatError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.classifier import Classifier


def headed(header: dict) -> bytes:
    """A safetensors file without tensors, with `header` as ced's own."""
    text = json.dumps({"__metadata__": {"ced": json.dumps(header)}}).encode()
    return struct.pack("<Q", len(text)) + text


def header_of(data: bytes) -> dict:
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["ced"])


def test_a_classifier_comes_back_the_same(network: NetworkConfig) -> None:
    classifier = Classifier(network, 3, classes=5)
    again = weights.decode(weights.encode(classifier))
    x = torch.rand(2, 3, 16, 16)
    assert isinstance(again, Classifier) and (again.channels, again.classes) == (3, 5)
    assert again.network == network
    for mine, theirs in zip(again(x), classifier(x), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("conditioned", [False, True])
def test_an_autoencoder_comes_back_the_same(network: NetworkConfig, conditioned: bool, awake: Callable) -> None:
    autoencoder = awake(AutoEncoder(network, 1, conditioned))
    again = weights.decode(weights.encode(autoencoder))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4) if conditioned else None
    assert isinstance(again, AutoEncoder) and again.conditioned == conditioned
    assert torch.allclose(again(x, q), autoencoder(x, q), atol=1e-4)
    for name, value in autoencoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


@pytest.mark.parametrize("kind", [ARCNN, Galteri])
def test_other_authors_networks_come_back_the_same(kind: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that batch normalization has counted."""
    monkeypatch.setattr(Galteri, "BLOCKS", 1)
    network, x = kind(3), torch.rand(2, 3, 16, 16)
    network(x)
    again = weights.decode(weights.encode(network))
    assert type(again) is kind and again.channels == 3 and not again.training
    assert torch.allclose(again(x), network.eval()(x), atol=1e-5)
    assert weights.encode(again) == weights.encode(network)
    for name, value in network.state_dict().items():
        stored = again.state_dict()[name]
        assert stored.dtype == value.dtype
        assert torch.equal(stored, value) or name.endswith("num_batches_tracked")


def test_a_kind_this_version_does_not_know_is_refused(tiny: NetworkConfig) -> None:
    header = header_of(weights.encode(ARCNN(1)))
    with pytest.raises(FormatError, match="another version of ced.*kind 'dncnn'"):
        weights.decode(headed(header | {"kind": "dncnn"}))


def test_equal_weights_give_equal_bytes(tiny: NetworkConfig) -> None:
    data = weights.encode(Classifier(tiny, 1, 7))
    assert weights.encode(weights.decode(data)) == data


def test_decoding_neither_draws_random_numbers_nor_leaves_training_mode(tiny: NetworkConfig) -> None:
    data = weights.encode(AutoEncoder(tiny, 1, False).train())
    before = torch.random.get_rng_state()
    module = weights.decode(data)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not module.training
    assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}


@pytest.mark.parametrize("data", [b"", b"short", b"\x89PNG\r\n" + bytes(100), b"{}" * 100, bytes(1000)])
def test_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="no file of weights by ced"):
        weights.decode(data)


def test_safetensors_of_another_program_are_refused() -> None:
    from safetensors.torch import save

    with pytest.raises(FormatError, match="no file of weights by ced"):
        weights.decode(save({"w": torch.zeros(2)}, {"format": "pt"}))


def test_another_version_is_named(tiny: NetworkConfig) -> None:
    header = header_of(weights.encode(Classifier(tiny, 1, 7)))
    with pytest.raises(FormatError, match=r"ced\.weights 2, where ced\.weights 1 is read"):
        weights.decode(headed(header | {"version": 2}))


def test_a_truncated_file_is_refused(tiny: NetworkConfig) -> None:
    data = weights.encode(Classifier(tiny, 1, 7))
    with pytest.raises(FormatError, match="do not fit their own header"):
        weights.decode(data[:-100])


def test_weights_of_other_shapes_are_refused(tiny: NetworkConfig) -> None:
    """The header of a wider network over these tensors: one line, no trace of torch."""
    wide = header_of(weights.encode(Classifier(dataclasses.replace(tiny, width=9), 1, 7)))
    data = weights.encode(Classifier(tiny, 1, 7))
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["ced"] = json.dumps(wide)
    text = json.dumps(header).encode()
    with pytest.raises(FormatError, match="do not fit their own header") as caught:
        weights.decode(struct.pack("<Q", len(text)) + text + data[8 + size :])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"depth": 3}, {"width": "8"}, {"width": 0}])
def test_a_network_this_version_does_not_know_is_refused(tiny: NetworkConfig, change: dict) -> None:
    header = header_of(weights.encode(Classifier(tiny, 1, 7)))
    with pytest.raises(FormatError, match="another version of ced"):
        weights.decode(headed(header | {"network": header["network"] | change}))


def test_a_missing_setting_is_refused_not_guessed(tiny: NetworkConfig) -> None:
    header = header_of(weights.encode(Classifier(tiny, 1, 7)))
    del header["network"]["slope"]
    with pytest.raises(FormatError, match="slope"):
        weights.decode(headed(header))
