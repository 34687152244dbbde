from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import nn

from ced.models.baselines import ARCNN, Galteri, NormalizedBlock

BASELINES = [ARCNN, Galteri]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Galteri's generator as published takes seconds here; its shape is tested where it is only counted."""
    monkeypatch.setattr(Galteri, "WIDTH", 6)
    monkeypatch.setattr(Galteri, "BLOCKS", 2)


def convolutions(network: nn.Module) -> list[tuple[int, int, int, int]]:
    """(inputs, outputs, kernel, stride) of each, in the order of the data's way."""
    found = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    return [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in found]


def repeated(x: np.ndarray, convolution: nn.Conv2d) -> np.ndarray:
    """One image (inputs, H, W) through a convolution; the edge is repeated where it pads."""
    pad, stride = convolution.padding[0], convolution.stride[0]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)), "edge")
    weight, bias = convolution.weight.detach().numpy(), convolution.bias.detach().numpy()
    out = np.stack([correlate(padded, w, mode="valid")[0] + b for w, b in zip(weight, bias, strict=True)])
    return out[:, ::stride, ::stride]


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, x, Galteri.SLOPE * x)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", BASELINES)
def test_restored_image_has_the_images_shape(kind: Callable[[int], nn.Module], channels: int) -> None:
    x = torch.rand(2, channels, 16, 24)
    assert kind(channels)(x).shape == x.shape


def test_arcnn_is_the_published_shape() -> None:
    assert convolutions(ARCNN(1)) == [(1, 64, 9, 1), (64, 32, 7, 1), (32, 16, 1, 1), (16, 1, 5, 1)]


def test_galteri_is_the_published_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    blocks = [(64, 64, 3, 1)] * (15 * 2)
    ends = [(1, 64, 3, 1), (64, 64, 3, 2)], [(64, 64, 3, 1), (64, 1, 3, 1)]
    network = Galteri(1)
    assert convolutions(network) == [*ends[0], *blocks, *ends[1]]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 15 * 2


def test_arcnn_starts_as_the_identity_and_can_learn_from_there() -> None:
    network, x = ARCNN(3), torch.rand(2, 3, 16, 16)
    assert torch.equal(network(x), x)
    network(x).square().mean().backward()
    alive = network.reconstruction.weight.grad.abs().amin(dim=(0, 2, 3)) > 0
    assert alive.sum() > 8  # of 16 maps; a ReLU that is off everywhere is no rarity at the start


def test_arcnn_matches_a_reference_step_by_step() -> None:
    network = ARCNN(1)
    nn.init.normal_(network.reconstruction.weight, std=0.1)
    x = torch.rand(1, 1, 14, 11)
    y = np.pad(x[0].numpy(), ((0, 0), (9, 9), (9, 9)), "edge")
    for convolution in (network.extraction, network.enhancement, network.mapping):
        y = np.maximum(repeated(y, convolution), 0)
    assert np.allclose(network(x)[0].detach(), repeated(y, network.reconstruction), atol=1e-4)


def test_galteri_matches_a_reference_step_by_step() -> None:
    network = Galteri(1).eval()
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    x = torch.rand(1, 1, 12, 10)
    y = leaky(repeated(leaky(repeated(2 * x[0].numpy() - 1, network.first)), network.halve))
    for block in network.blocks:
        hidden = leaky(normalized(repeated(y, block.first), block.first_norm))
        y = y + normalized(repeated(hidden, block.second), block.second_norm)
    y = leaky(repeated(y.repeat(2, axis=1).repeat(2, axis=2), network.smooth))
    expected = (np.tanh(repeated(y, network.last)) + 1) / 2
    assert np.allclose(network(x)[0].detach(), expected, atol=1e-5)


def normalized(x: np.ndarray, norm: nn.BatchNorm2d) -> np.ndarray:
    mean, variance = (v.numpy()[:, None, None] for v in (norm.running_mean, norm.running_var))
    scale, shift = (p.detach().numpy()[:, None, None] for p in (norm.weight, norm.bias))
    return (x - mean) / np.sqrt(variance + norm.eps) * scale + shift


def test_an_image_is_restored_by_itself_whatever_the_batch() -> None:
    """Batch normalization counts in training alone."""
    network, x = Galteri(1), torch.rand(3, 1, 16, 16)
    trained = network(x)
    assert not torch.allclose(trained[:1], network(x[:1]), atol=1e-4)
    network.eval()
    alone = torch.cat([network(image[None]) for image in x])
    assert torch.allclose(network(x), alone, atol=1e-6)


@pytest.mark.parametrize("kind", BASELINES)
def test_a_plain_image_has_no_edges(kind: Callable[[int], nn.Module]) -> None:
    """Their edges are the image's own, repeated."""
    network = kind(1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02)
        restored = network(torch.full((1, 1, 24, 24), 0.3))
    assert torch.allclose(restored, restored[:, :, :1, :1].expand_as(restored), atol=1e-5)


def test_the_image_is_left_untouched() -> None:
    x = torch.rand(1, 1, 16, 16)
    before = x.clone()
    for network in (ARCNN(1), Galteri(1)):
        network(x)
    assert torch.equal(x, before)


def test_block_gradients_are_right_despite_the_work_in_place() -> None:
    block = NormalizedBlock(2, slope=0.2).double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


@pytest.mark.parametrize("kind", BASELINES)
def test_they_learn(kind: Callable[[int], nn.Module]) -> None:
    network, x = kind(1), torch.rand(4, 1, 16, 16)
    target = 1 - x
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = (network(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
