"""The fast forward gives what the plain one gives."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ced.config import NetworkConfig
from ced.models import cpu
from ced.models.autoencoder import AutoEncoder
from ced.models.blocks import to_channels_last
from ced.models.classifier import Classifier

Wake = Callable[[AutoEncoder], AutoEncoder]

# Sums of a few hundred float32 products in another order: a few of their last bits. Outputs are of order 1.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ALONE = NetworkConfig(width=8, width_half=6, width_full=4, blocks=1, stage_blocks=1)


@pytest.fixture(autouse=True)
def no_gradients() -> None:
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(True)


def inputs(channels: int, conditioned: bool, height: int = 24, width: int = 36) -> tuple[Tensor, Tensor | None]:
    q = torch.randn(2, 16, height // 4, width // 4) if conditioned else None
    return torch.rand(2, channels, height, width), q


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("conditioned", [False, True])
def test_the_same_image(network: NetworkConfig, channels: int, conditioned: bool, awake: Wake) -> None:
    model = awake(AutoEncoder(network, channels, conditioned))
    to_channels_last(model)
    x, q = inputs(channels, conditioned)
    assert torch.allclose(cpu.restore(model, x, q), model(x, q), **CLOSE)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_same_logits(network: NetworkConfig, channels: int, stages: int) -> None:
    model = Classifier(dataclasses.replace(network, stages=stages), channels, classes=5)
    to_channels_last(model)
    x, _ = inputs(channels, conditioned=False)
    assert torch.allclose(cpu.estimate(model, x), model(x)[-1], **CLOSE)


def test_without_the_skip(awake: Wake) -> None:
    model = awake(AutoEncoder(dataclasses.replace(ALONE, skip=False), 1, conditioned=False))
    x, _ = inputs(1, conditioned=False)
    assert torch.allclose(cpu.restore(model, x), model(x), **CLOSE)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 30), width=st.integers(1, 6), pixels=st.integers(1, 2000))
def test_any_size_in_bands_of_any_height(height: int, width: int, pixels: int) -> None:
    """Bands end anywhere, and the image's own edge is none of theirs."""
    model = AutoEncoder(ALONE, 1, conditioned=True)
    torch.nn.init.normal_(model.decoder.last.weight, std=0.1)
    x, q = inputs(1, True, 4 * height, 4 * width)
    before = cpu._BAND_PIXELS
    cpu._BAND_PIXELS = pixels
    try:
        restored = cpu.restore(model, x, q)
    finally:
        cpu._BAND_PIXELS = before
    assert torch.allclose(restored, model(x, q), **CLOSE)


def test_the_halo_is_as_wide_as_need_be_and_no_wider(monkeypatch: pytest.MonkeyPatch, awake: Wake) -> None:
    model, x = awake(AutoEncoder(ALONE, 1, conditioned=False)), torch.rand(1, 1, 160, 16)
    monkeypatch.setattr(cpu, "_BAND_PIXELS", 1)
    assert torch.allclose(cpu.restore(model, x), model(x), **CLOSE)
    monkeypatch.setattr(cpu, "_HALO", 1)
    assert not torch.allclose(cpu.restore(model, x), model(x), **CLOSE)


def test_the_inputs_are_left_untouched(network: NetworkConfig) -> None:
    x, q = inputs(1, conditioned=True)
    before = x.clone(), q.clone()
    cpu.restore(AutoEncoder(network, 1, conditioned=True), x, q)
    cpu.estimate(Classifier(network, 1, 7), x)
    assert torch.equal(x, before[0]) and torch.equal(q, before[1])


def test_logits_far_from_zero_stay_finite() -> None:
    model = Classifier(ALONE, 1, classes=7)
    model.stages[0].last.weight.mul_(1e4)
    x, _ = inputs(1, conditioned=False)
    estimated = cpu.estimate(model, x)
    assert torch.isfinite(estimated).all()
    assert torch.allclose(estimated, model(x)[-1], rtol=1e-3, atol=1e-3)
