import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from ced.config import NetworkConfig
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.classifier import Classifier, probabilities
from ced.models.complexity import describe, radius, receptive_radius
from ced.models.mapping import Mapping

Wake = Callable[[AutoEncoder], AutoEncoder]


class WholePath(nn.Module):
    """C, M, E and D in a row; with `soft`, q is the mean of M under p-hat, through which gradients flow."""

    def __init__(self, network: NetworkConfig, soft: bool) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        table = np.sort(rng.normal(size=(16, 3)), axis=1).astype(np.float32)
        self.c, self.m = Classifier(network, 1, 3), Mapping(table, np.ones(16, np.float32))
        self.ed, self.soft = AutoEncoder(network, 1, conditioned=True), soft

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.soft:
            return self.ed(x, self.m(self.c.classify(x)))
        p = probabilities(self.c(x)[-1])
        return self.ed(x, (p * self.m.table[None, :, :, None, None]).sum(dim=2))


def awaken_path(awake: Wake, network: NetworkConfig, soft: bool) -> WholePath:
    path = WholePath(network, soft)
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
    radius = receptive_radius(network, conditioned=False)
    assert farthest_input(awake(AutoEncoder(network, 1, conditioned=False)).double(), radius) == radius


@pytest.mark.parametrize("stages, blocks", [(1, 0), (2, 1), (3, 2)])
def test_the_radius_of_ced_is_exactly_where_the_gradient_ends(
    tiny: NetworkConfig, stages: int, blocks: int, awake: Wake
) -> None:
    """Softmaxes weaken the gradient on its way, but float64 holds it down to the farthest pixel."""
    network = dataclasses.replace(tiny, stages=stages, stage_blocks=blocks)
    radius = receptive_radius(network)
    assert radius > receptive_radius(network, conditioned=False)
    assert farthest_input(awaken_path(awake, network, soft=True), radius) == radius


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
    assert farthest_input(network, radius(network)) == radius(network)


def every_network(network: NetworkConfig) -> list[tuple[nn.Module, int]]:
    """Each kind of network, and how far it sees."""
    conditioned, plain = AutoEncoder(network, 1, True), AutoEncoder(network, 1, False)
    nets = [Classifier(network, 1, 3), plain, conditioned, ARCNN(1), Galteri(1)]
    return [(net, receptive_radius(network) if isinstance(net, Classifier) else radius(net)) for net in nets]


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
    margin = -(-receptive_radius(network) // 4) * 4
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
        assert describe(module).parameters == sum(p.numel() for p in module.parameters())


def test_multiply_adds_match_a_count_by_hand(tiny: NetworkConfig) -> None:
    """Per pixel: weights of a convolution times the share of positions it is computed at."""
    half, quarter = 1 / 4, 1 / 16
    encoder = half * 9 * 1 * 6 + quarter * 9 * (6 * 8 + 2 * 8 * 8)
    decoder = quarter * 9 * ((8 + 16) * 8 + 2 * 8 * 8 + 8 * 4 * 6) + half * 9 * 6 * 4 * 4 + 9 * 4 * 1
    assert describe(AutoEncoder(tiny, 1, True)).multiply_adds_per_megapixel == pytest.approx(1e6 * (encoder + decoder))
    stages = quarter * (9 * 8 * 8 + 9 * 2 * 8 * 8 + 8 * 112) + quarter * (9 * 120 * 8 + 9 * 2 * 8 * 8 + 8 * 112)
    assert describe(Classifier(tiny, 1, 7)).multiply_adds_per_megapixel == pytest.approx(1e6 * (encoder + stages))


def test_describing_changes_nothing(tiny: NetworkConfig) -> None:
    module = Classifier(tiny, 1, 7)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    describe(module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
