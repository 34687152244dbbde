import dataclasses
import hashlib
import json
import struct
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import save

from ced.config import NetworkConfig
from ced.errors import FormatError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.base import build
from ced.models.baselines import ARCNN, Galteri
from ced.models.blocks import ResidualBlock, to_channels_last
from ced.models.classifier import Classifier
from ced.networks import NETWORKS, Architecture


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


def test_the_bytes_of_a_file_are_these() -> None:
    """Its digest decides what is found in a store; this one is of the format written by hand, byte for byte."""
    network = AutoEncoder(NetworkConfig(width=8, width_half=6, width_full=4, blocks=1), 1, conditioned=True)
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) / 64 + number)
    to_channels_last(network)  # the order in memory does not count
    assert hashlib.sha256(weights.encode(network)).hexdigest() == (
        "bde758640e1aab1b733c616db9c4dc56766c0ba40c9a77575ecda2fb253e2467"
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.int64])
def test_other_kinds_of_numbers_are_not_read(tiny: NetworkConfig, kind: torch.dtype) -> None:
    network = Classifier(tiny, 1, 7)
    values = {name: value.to(kind) for name, value in network.state_dict().items()}
    with pytest.raises(FormatError, match="torch.(float16|int64), where float32 is read"):
        weights.decode(save(values, {"ced": json.dumps(header_of(weights.encode(network)))}))


def changed(data: bytes, **entry: object) -> bytes:
    """`data` with other facts about its first tensor."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header["enhancement.bias"] |= entry
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


@pytest.mark.parametrize(
    "entry",
    [{"shape": [33]}, {"shape": [-32]}, {"shape": "32"}, {"shape": [32.0]}, {"shape": [1 << 40]}, {"dtype": "F99"}]
    + [{"data_offsets": [0]}, {"data_offsets": None}, {"data_offsets": [8, 1 << 40]}, {"data_offsets": [4, 132]}]
    + [{"dtype": "F8_E8M0", "shape": [128]}],
)
def test_a_damaged_entry_is_refused_and_costs_no_memory(entry: dict) -> None:
    with pytest.raises(FormatError, match="do not fit their own header"):
        weights.decode(changed(weights.encode(ARCNN(1)), **entry))


def test_bytes_that_belong_to_no_tensor_are_refused() -> None:
    with pytest.raises(FormatError, match="do not fit their own header"):
        weights.decode(weights.encode(ARCNN(1)) + b"\0")


def test_the_same_kind_twice_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ARCNN):
        pass

    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS._entries))
    NETWORKS.add("other", Architecture("Other", Other))
    with pytest.raises(ValueError, match="two networks of kind 'arcnn'"):
        weights.decode(weights.encode(ARCNN(1)))


def test_a_shape_where_there_is_none_is_refused(tiny: NetworkConfig) -> None:
    """A network of its own shape has no settings in its header, and one without them is no AutoEncoder."""
    for module, network in ((ARCNN(1), dataclasses.asdict(tiny)), (AutoEncoder(tiny, 1, False), {})):
        header = header_of(weights.encode(module))
        with pytest.raises(FormatError, match="another version of ced"):
            weights.decode(headed(header | {"network": network}))


def test_a_network_starts_from_weights(network: NetworkConfig, awake: Callable) -> None:
    trained, fresh = awake(AutoEncoder(network, 1, True)), AutoEncoder(network, 1, True)
    weights.start(fresh, weights.encode(trained))
    assert weights.encode(fresh) == weights.encode(trained)
    assert all(parameter.requires_grad for parameter in fresh.parameters())


@pytest.mark.parametrize("kind", [ARCNN, Galteri])
def test_other_authors_networks_start_from_their_own_weights(kind: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Galteri, "BLOCKS", 1)
    trained, fresh = kind(1), kind(1)
    weights.start(fresh, weights.encode(trained))
    assert weights.encode(fresh) == weights.encode(trained)


@pytest.mark.parametrize("more", [("width",), ("width_half",), ("width_full",), ("width", "width_half", "blocks")])
@pytest.mark.parametrize("full", [0, 1])
@pytest.mark.parametrize("kind", ["classifier", "ed", "ced-gt"])
def test_a_wider_network_starts_with_what_the_other_computes(
    network: NetworkConfig, awake: Callable, kind: str, full: int, more: tuple[str, ...]
) -> None:
    network = dataclasses.replace(network, blocks_full=full)
    larger = dataclasses.replace(network, **{name: getattr(network, name) + 3 for name in more})
    trained, fresh = build(kind, network, 1, 7).eval(), build(kind, larger, 1, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    weights.start(fresh, weights.encode(trained))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4)
    given = (x, q) if kind == "ced-gt" else (x,)
    for before, after in zip(outputs(trained, *given), outputs(fresh.eval(), *given), strict=True):
        assert torch.allclose(before, after, atol=1e-6 * before.abs().max().item())  # sums of another order


@pytest.mark.parametrize("wider", [0, 3])
def test_a_conditioned_network_starts_as_ed_and_learns_to_listen(
    network: NetworkConfig, awake: Callable, wider: int
) -> None:
    larger = dataclasses.replace(network, width=network.width + wider)
    trained, fresh = awake(AutoEncoder(network, 1, False)), AutoEncoder(larger, 1, True)
    weights.start(fresh, weights.encode(trained))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4)
    assert torch.allclose(fresh(x, q), trained(x), atol=1e-6)
    fresh(x, q).square().mean().backward()
    of_q = fresh.decoder.first.convolution.weight.grad[: network.width, -16:]
    assert bool((of_q.abs().amax(dim=(0, 2, 3)) > 0).all())
    with pytest.raises(FormatError, match="conditioned True is not False"):
        weights.start(trained, weights.encode(AutoEncoder(network, 1, True)))


@pytest.mark.parametrize("kind", ["classifier", "ced-gt"])
def test_new_features_learn(network: NetworkConfig, awake: Callable, kind: str) -> None:
    wider = dataclasses.replace(network, width=network.width + 3)
    trained, fresh = build(kind, network, 1, 7), build(kind, wider, 1, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    weights.start(fresh, weights.encode(trained))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4)
    given = (x, q) if kind == "ced-gt" else (x,)
    optimizer = torch.optim.SGD(fresh.parameters(), lr=1e-3)
    for _ in range(2):  # first those who hear them, then they themselves
        optimizer.zero_grad()
        sum(output.square().mean() for output in outputs(fresh, *given)).backward()
        optimizer.step()
    features = fresh.encoder if isinstance(fresh, AutoEncoder) else fresh.features
    assert bool((features.to_quarter.convolution.weight.grad[network.width :].abs().amax(dim=(1, 2, 3)) > 0).all())


@pytest.mark.parametrize("deeper", ["blocks", "blocks_half", "stage_blocks"])
@pytest.mark.parametrize("kind", ["classifier", "ed", "ced-gt"])
def test_a_deeper_network_starts_with_what_the_other_computes(
    network: NetworkConfig, awake: Callable, kind: str, deeper: str
) -> None:
    more = dataclasses.replace(network, **{deeper: getattr(network, deeper) + 2})
    trained, fresh = build(kind, network, 1, 7).eval(), build(kind, more, 1, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    weights.start(fresh, weights.encode(trained))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4)
    given = (x, q) if kind == "ced-gt" else (x,)
    for before, after in zip(outputs(trained, *given), outputs(fresh.eval(), *given), strict=True):
        assert torch.equal(before, after)
    sum(output.square().mean() for output in outputs(fresh, *given)).backward()
    new = [module.second for name, module in fresh.named_modules() if isinstance(module, ResidualBlock)]
    assert all(bool(second.weight.grad.abs().max() > 0) for second in new), "a new block does not learn"


def test_a_classifier_of_more_stages_starts_with_the_first_ones(network: NetworkConfig) -> None:
    more = dataclasses.replace(network, stages=network.stages + 1)
    trained, fresh = Classifier(network, 1, 7), Classifier(more, 1, 7)
    weights.start(fresh, weights.encode(trained))
    x = torch.rand(2, 1, 16, 16)
    *first, last = fresh(x)
    assert all(torch.equal(one, other) for one, other in zip(trained(x), first, strict=True))
    assert not torch.equal(last, first[-1]) and last.std() > 0


@pytest.mark.parametrize("kind", ["classifier", "ed", "ced-gt"])
def test_a_colour_network_starts_with_what_the_other_makes_of_luma(
    network: NetworkConfig, awake: Callable, kind: str
) -> None:
    trained, fresh = build(kind, network, 1, 7).eval(), build(kind, network, 3, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    weights.start(fresh, weights.encode(trained))
    rgb, q = torch.rand(2, 3, 16, 16), torch.randn(2, 16, 4, 4)
    luma = (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    given = (q,) if kind == "ced-gt" else ()
    for before, after in zip(outputs(trained, luma, *given), outputs(fresh.eval(), rgb, *given), strict=True):
        if kind == "classifier":
            assert torch.allclose(after, before, atol=1e-4)  # sums of another order, in units of logits
        else:
            assert torch.allclose(after - rgb, (before - luma).expand_as(rgb), atol=1e-5)
    with pytest.raises(FormatError, match="channels 3 is not 1"):
        weights.start(trained, weights.encode(fresh))


def test_a_wider_colour_network_starts_from_luminance(network: NetworkConfig, awake: Callable) -> None:
    wider = dataclasses.replace(network, width=network.width + 3, width_half=network.width_half + 2)
    trained, fresh = awake(AutoEncoder(network, 1, True)), AutoEncoder(wider, 3, True)
    weights.start(fresh, weights.encode(trained))
    rgb, q = torch.rand(2, 3, 16, 16), torch.randn(2, 16, 4, 4)
    luma = (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    with torch.inference_mode():
        assert torch.allclose(fresh(rgb, q) - rgb, (trained(luma, q) - luma).expand_as(rgb), atol=1e-5)


def test_networks_that_make_the_whole_image_do_not_start_in_colour(network: NetworkConfig) -> None:
    without = dataclasses.replace(network, skip=False)
    for gray, colour in ((ARCNN(1), ARCNN(3)), (AutoEncoder(without, 1, False), AutoEncoder(without, 3, False))):
        with pytest.raises(FormatError, match="channels 1 is not 3"):
            weights.start(colour, weights.encode(gray))


def outputs(module: torch.nn.Module, *given: torch.Tensor) -> list[torch.Tensor]:
    found = module(*given)
    return list(found) if isinstance(found, list | tuple) else [found]


def test_a_shallower_network_does_not_start_from_a_deeper(network: NetworkConfig) -> None:
    deeper = dataclasses.replace(network, blocks=network.blocks + 1)
    with pytest.raises(FormatError, match=f"blocks {deeper.blocks} is not {network.blocks}"):
        weights.start(AutoEncoder(network, 1, True), weights.encode(AutoEncoder(deeper, 1, True)))
    with pytest.raises(FormatError, match=r"kind arcnn is not autoencoder"):
        weights.start(AutoEncoder(network, 1, False), weights.encode(ARCNN(1)))


def test_weights_of_another_network_are_no_start(network: NetworkConfig) -> None:
    fresh = AutoEncoder(network, 1, True)
    before = weights.encode(fresh)
    wider = dataclasses.replace(network, width=network.width + 8)
    for other, clause in (
        (AutoEncoder(wider, 1, True), f"width {wider.width} is not {network.width}"),
        (AutoEncoder(network, 3, True), "channels 3 is not 1"),
        (Classifier(network, 1, 7), "kind classifier is not autoencoder"),
    ):
        with pytest.raises(FormatError, match=clause):
            weights.start(fresh, weights.encode(other))
    assert weights.encode(fresh) == before
