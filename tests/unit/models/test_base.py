"""What follows from what a network says of itself: its reach, its cost, its fast form; and how it is built."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from ced.config import NetworkConfig
from ced.errors import ConfigError
from ced.models.autoencoder import AutoEncoder
from ced.models.base import Network, build, mean_over_flips, size_of
from ced.models.baselines import ARCNN, Galteri
from ced.models.blocks import conv3x3
from ced.models.classifier import Classifier, Mapping, probabilities
from ced.networks import NETWORKS

KINDS = {"classifier": Classifier, "arcnn": ARCNN, "galteri-mse": Galteri}


@pytest.mark.parametrize("model", NETWORKS.names)
def test_every_model_has_its_network(tiny: NetworkConfig, model: str) -> None:
    network = build(model, tiny, channels=3, classes=5)
    assert type(network) is KINDS.get(model, AutoEncoder) and network.channels == 3
    if isinstance(network, AutoEncoder):
        assert network.conditioned is (model in ("ced-est", "ced-gt")) and network.network == tiny
    if isinstance(network, Classifier):
        assert network.classes == 5 and network.network == tiny


@pytest.mark.parametrize("model", NETWORKS.names)
def test_the_size_is_that_of_the_network(tiny: NetworkConfig, model: str) -> None:
    before = torch.random.get_rng_state()
    found = size_of(model, tiny, 1, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found == build(model, tiny, 1, 7).size()


@pytest.mark.parametrize(
    ("model", "parameters", "multiply_adds"),
    [
        # AR-CNN: its weights, once a pixel. Galteri: half of the sides, a quarter of the pixels, between the strides.
        ("arcnn", 64 * 82 + 32 * (49 * 64 + 1) + 16 * 33 + 401, 81 * 64 + 49 * 64 * 32 + 32 * 16 + 25 * 16),
        ("galteri-mse", 640 + 32 * 36928 + 30 * 128 + 577, 576 + 36864 * (1 + 30) / 4 + 36864 + 576),
    ],
)
def test_the_published_networks_cost_what_a_count_by_hand_says(
    model: str, parameters: int, multiply_adds: float
) -> None:
    found = size_of(model, NetworkConfig(), 1, 7)
    assert found.parameters == parameters
    assert found.multiply_adds_per_megapixel == pytest.approx(1e6 * multiply_adds, rel=1e-3)  # the padded edge


Wake = Callable[[AutoEncoder], AutoEncoder]


class WholePath(nn.Module):
    """C, M, E and D in a row; with `soft`, q is the mean of M under p-hat, through which gradients flow."""

    def __init__(self, network: NetworkConfig, soft: bool, of_c: NetworkConfig) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        table = np.sort(rng.normal(size=(16, 3)), axis=1).astype(np.float32)
        self.c, self.m = Classifier(of_c, 1, 3), Mapping(table, np.ones(16, np.float32))
        self.ed, self.soft = AutoEncoder(network, 1, conditioned=True), soft

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.soft:
            return self.ed(x, self.m(self.c.classify(x)))
        p = probabilities(self.c(x)[-1])
        return self.ed(x, (p * self.m.table[None, :, :, None, None]).sum(dim=2))


def awaken_path(awake: Wake, network: NetworkConfig, soft: bool, of_c: NetworkConfig | None = None) -> WholePath:
    path = WholePath(network, soft, of_c or network)
    awake(path.ed)
    return path.double()


def farthest_input(model: nn.Module, radius: int) -> int:
    """How far from an output pixel the input still has a gradient, over the pixels of one 4x4 patch."""
    side = 4 * (2 * (radius + 8) // 4 + 2)
    centre = side // 8 * 4
    farthest = 0
    for i in range(4):
        x = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
        model(x)[0, 0, centre + i, centre + i].backward()
        seen = x.grad[0, 0].nonzero() - (centre + i)
        farthest = max(farthest, int(seen.abs().max()))
    return farthest


@pytest.mark.parametrize("half, full", [(0, 0), (1, 0), (0, 1), (2, 1)])
def test_the_radius_of_ed_is_exactly_where_the_gradient_ends(
    tiny: NetworkConfig, half: int, full: int, awake: Wake
) -> None:
    network = dataclasses.replace(tiny, blocks_half=half, blocks_full=full)
    ed = awake(AutoEncoder(network, 1, conditioned=False)).double()
    assert farthest_input(ed, ed.receptive_radius()) == ed.receptive_radius()


@pytest.mark.parametrize("stages, blocks", [(1, 0), (2, 1), (3, 2)])
def test_the_radius_of_ced_is_exactly_where_the_gradient_ends(
    tiny: NetworkConfig, stages: int, blocks: int, awake: Wake
) -> None:
    """Softmaxes weaken the gradient on its way, but float64 holds it down to the farthest pixel."""
    network = dataclasses.replace(tiny, stages=stages, stage_blocks=blocks)
    whole = awaken_path(awake, network, soft=True)
    radius = whole.ed.receptive_radius(whole.c)
    assert radius > whole.ed.receptive_radius()
    assert farthest_input(whole, radius) == radius


def test_the_radius_is_the_longer_of_the_two_ways_where_their_networks_differ(tiny: NetworkConfig, awake: Wake) -> None:
    larger = dataclasses.replace(tiny, blocks=8)
    for network, of_c in ((tiny, larger), (larger, tiny)):
        whole = awaken_path(awake, network, soft=True, of_c=of_c)
        radius = whole.ed.receptive_radius(whole.c)
        assert farthest_input(whole, radius) == radius


@pytest.mark.parametrize("kind", [ARCNN, Galteri])
def test_the_radius_of_other_authors_networks_is_exactly_where_the_gradient_ends(
    kind: Callable[[int], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Galteri, "WIDTH", 4)
    monkeypatch.setattr(Galteri, "BLOCKS", 3)
    network = kind(1).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():  # every map on, every filter wide
            parameter.copy_(torch.rand_like(parameter) / parameter[0].numel())
    assert farthest_input(network, network.receptive_radius()) == network.receptive_radius()


def every_network(network: NetworkConfig) -> list[tuple[nn.Module, int]]:
    """Each kind of network, and how far it sees."""
    conditioned, plain = AutoEncoder(network, 1, True), AutoEncoder(network, 1, False)
    nets = [Classifier(network, 1, 3), plain, conditioned, ARCNN(1), Galteri(1)]
    return [(net, net.receptive_radius(nets[0] if net.conditioned else None)) for net in nets]


def test_every_network_is_fully_convolutional(network: NetworkConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any size; and far enough from the edge a tile gives what the image gives."""
    monkeypatch.setattr(Galteri, "WIDTH", 4)
    monkeypatch.setattr(Galteri, "BLOCKS", 2)
    for net, reach in every_network(network):
        net = net.double().eval()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
            margin = -(-reach // 4) * 4
            x = torch.rand(1, 1, 2 * margin + 16, 2 * margin + 20, dtype=torch.float64)
            q = torch.randn(1, 16, x.shape[2] // 4, x.shape[3] // 4, dtype=torch.float64)
            whole, tile = answer(net, x, q), answer(net, x[:, :, 4:-4, 8:], q[:, :, 1:-1, 2:])
        scale = x.shape[2] // whole.shape[2]  # the classifier answers once a patch
        margin, rows, columns = margin // scale, 4 // scale, 8 // scale
        inner = tile[:, :, margin:-margin, margin:-margin]
        assert inner.numel() > 0, type(net).__name__
        assert torch.allclose(inner, whole[:, :, rows + margin : -rows - margin, columns + margin : -margin])


def answer(net: nn.Module, x: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    if isinstance(net, Classifier):
        return net(x)[-1].flatten(1, 2)
    return net(x, q) if net.conditioned else net(x)


def test_a_tile_with_that_margin_is_restored_as_within_its_image(tiny: NetworkConfig, awake: Wake) -> None:
    network = dataclasses.replace(tiny, blocks_half=1)
    model = awaken_path(awake, network, soft=False)
    margin = -(-model.ed.receptive_radius(model.c) // 4) * 4
    x = torch.rand(1, 1, 2 * margin + 24, 2 * margin + 16, dtype=torch.float64)
    with torch.no_grad():
        whole, tile = model(x), model(x[:, :, 4:, 8 : 2 * margin + 12])
    # The tile begins at row 4, column 8 of the image, and ends at its last row and 4 columns before its last.
    inner = tile[:, :, margin:-margin, margin:-margin]
    assert torch.allclose(inner, whole[:, :, 4 + margin : -margin, 8 + margin : -margin - 4])
    less = margin // 4
    assert not torch.allclose(tile[:, :, less:-less, less:-less], whole[:, :, 4 + less : -less, 8 + less : -less - 4])


def test_parameters_are_counted(network: NetworkConfig) -> None:
    for module in (Classifier(network, 1, 7), AutoEncoder(network, 3, True)):
        assert module.size().parameters == sum(p.numel() for p in module.parameters())


def test_multiply_adds_match_a_count_by_hand(tiny: NetworkConfig) -> None:
    """Per pixel: weights of a convolution times the share of positions it is computed at."""
    half, quarter = 1 / 4, 1 / 16
    encoder = half * 9 * 1 * 6 + quarter * 9 * (6 * 8 + 2 * 8 * 8)
    decoder = quarter * 9 * ((8 + 16) * 8 + 2 * 8 * 8 + 8 * 4 * 6) + half * 9 * 6 * 4 * 4 + 9 * 4 * 1
    assert AutoEncoder(tiny, 1, True).size().multiply_adds_per_megapixel == pytest.approx(1e6 * (encoder + decoder))
    stages = quarter * (9 * 8 * 8 + 9 * 2 * 8 * 8 + 8 * 112) + quarter * (9 * 120 * 8 + 9 * 2 * 8 * 8 + 8 * 112)
    assert Classifier(tiny, 1, 7).size().multiply_adds_per_megapixel == pytest.approx(1e6 * (encoder + stages))


def test_describing_changes_nothing(tiny: NetworkConfig) -> None:
    module = Classifier(tiny, 1, 7)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.size()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_the_mean_of_four_turned_back() -> None:
    """Against numpy, with a function that knows where it is."""
    x = torch.rand(2, 1, 8, 12)
    ramp = torch.arange(96.0).reshape(8, 12)
    restored = mean_over_flips(lambda image: image * ramp, x).numpy()
    weight = np.mean([ramp.numpy(), ramp.numpy()[::-1], ramp.numpy()[:, ::-1], ramp.numpy()[::-1, ::-1]], axis=0)
    assert np.allclose(restored, x.numpy() * weight, rtol=1e-6)


def test_what_knows_no_direction_stays_as_it_is() -> None:
    x = torch.rand(1, 1, 8, 8)
    assert torch.allclose(mean_over_flips(torch.sqrt, x), torch.sqrt(x))


@pytest.mark.parametrize("axes", [(2,), (3,), (2, 3)])
def test_a_flipped_image_becomes_the_flipped_mean(axes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(conv3x3(1, 4), nn.LeakyReLU(0.1), conv3x3(4, 1))
    x = torch.rand(1, 1, 8, 8)
    with torch.inference_mode():
        one, other = mean_over_flips(network, x), mean_over_flips(network, x.flip(axes))
        assert not torch.allclose(network(x).flip(axes), network(x.flip(axes)), atol=1e-3), "it has to matter"
    assert torch.allclose(one.flip(axes), other, atol=1e-6)


class Plain(Network):
    """The least that a network says of itself."""

    kind = "plain"

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.convolution = conv3x3(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(x)


def test_a_network_without_a_fast_form_is_run_as_it_is() -> None:
    network, x = Plain(1), torch.rand(1, 1, 8, 8)
    assert torch.equal(network.infer(x), network(x))


def test_a_network_that_does_not_say_how_far_it_looks_is_none() -> None:
    with pytest.raises(NotImplementedError, match="Plain does not say how far it looks"):
        Plain(1).receptive_radius()


def test_an_unknown_name_builds_nothing(tiny: NetworkConfig) -> None:
    with pytest.raises(ConfigError, match="unknown model 'cedgt'; did you mean 'ced-gt'"):
        build("cedgt", tiny, 1, 7)


@pytest.mark.parametrize("model", NETWORKS.names)
def test_what_is_said_of_a_network_without_torch_is_true_of_it(tiny: NetworkConfig, model: str) -> None:
    architecture, network = NETWORKS.get(model), build(model, tiny, 1, 7)
    assert network.conditioned is architecture.conditioned
    assert (network.classes > 0) is (architecture.objective == "classes")
    assert (network.network is None) is architecture.baseline
