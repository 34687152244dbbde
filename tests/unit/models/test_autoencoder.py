import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ced.config import NetworkConfig
from ced.models import autoencoder
from ced.models.autoencoder import AutoEncoder
from ced.models.blocks import Upsample, to_channels_last

Wake = Callable[[AutoEncoder], AutoEncoder]

# Sums of a few hundred float32 products in another order: a few of their last bits. Outputs are of order 1.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ALONE = NetworkConfig(width=8, width_half=6, width_full=4, blocks=1, stage_blocks=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("conditioned", [False, True])
def test_restored_image_has_the_images_shape(network: NetworkConfig, channels: int, conditioned: bool) -> None:
    x, q = torch.rand(2, channels, 16, 24), torch.randn(2, 16, 4, 6)
    restored = AutoEncoder(network, channels, conditioned)(x, q if conditioned else None)
    assert restored.shape == x.shape


def test_training_starts_from_the_image_as_it_came(network: NetworkConfig) -> None:
    x = torch.rand(2, 1, 32, 32)
    restored = AutoEncoder(network, 1, conditioned=False)(x)
    assert torch.equal(restored, x)


def test_without_the_skip_it_starts_from_grey(tiny: NetworkConfig) -> None:
    network = dataclasses.replace(tiny, skip=False)
    assert (AutoEncoder(network, 1, conditioned=False)(torch.rand(2, 1, 32, 32)) == 0.5).all()


def test_ed_has_no_input_for_q_at_all(network: NetworkConfig) -> None:
    ed, ced = AutoEncoder(network, 1, conditioned=False), AutoEncoder(network, 1, conditioned=True)
    different = {
        name: (tuple(weights.shape), tuple(ced.state_dict()[name].shape))
        for name, weights in ed.state_dict().items()
        if weights.shape != ced.state_dict()[name].shape
    }
    assert different == {"decoder.first.convolution.weight": ((8, 8, 3, 3), (8, 8 + 16, 3, 3))}
    with pytest.raises(ValueError, match="ED takes no q"):
        ed(torch.rand(1, 1, 16, 16), torch.zeros(1, 16, 4, 4))


def test_ced_does_not_run_without_q(tiny: NetworkConfig) -> None:
    with pytest.raises(ValueError, match="q is missing"):
        AutoEncoder(tiny, 1, conditioned=True)(torch.rand(1, 1, 16, 16))


def test_q_enters_the_decoders_first_layer_after_the_features(tiny: NetworkConfig, awake: Wake) -> None:
    """With q's filters at zero q changes nothing; with f's at zero the image reaches the output by the skip alone."""
    network = awake(AutoEncoder(tiny, 1, conditioned=True))
    weight = network.decoder.first.convolution.weight
    x, other = torch.rand(2, 1, 1, 16, 16)
    q = torch.randn(1, 16, 4, 4)
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[:, tiny.width :] = 0
        assert torch.equal(network(x, q), network(x, -q))
        weight.copy_(kept)
        weight[:, : tiny.width] = 0
        assert not torch.allclose(network(x, q), network(x, -q), atol=1e-6)
        assert torch.allclose(network(x, q) - x, network(other, q) - other, atol=1e-6)


def test_no_activation_follows_the_last_convolution(tiny: NetworkConfig, awake: Wake) -> None:
    network = awake(AutoEncoder(dataclasses.replace(tiny, skip=False), 1, conditioned=False))
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        before = network(x) - 0.5
        assert before.std() > 0.01
        network.decoder.last.weight.neg_()
        network.decoder.last.bias.neg_()
        assert torch.allclose(network(x) - 0.5, -before, atol=1e-6)


def test_the_decoder_mirrors_the_encoder(tiny: NetworkConfig) -> None:
    network = AutoEncoder(dataclasses.replace(tiny, blocks=2, blocks_half=1, blocks_full=1), 1, conditioned=False)
    down = [m.out_channels for m in network.encoder.modules() if isinstance(m, nn.Conv2d)]
    first, *up = [m.in_channels for m in network.decoder.modules() if isinstance(m, nn.Conv2d)]
    assert first == tiny.width and up == down[::-1]  # the layer that joins f and q has no counterpart
    scales = [m.convolution.out_channels // 4 for m in network.decoder.modules() if isinstance(m, Upsample)]
    assert scales == [tiny.width_half, tiny.width_full]


def test_the_inputs_are_left_untouched(network: NetworkConfig) -> None:
    x, q = torch.rand(1, 1, 16, 16), torch.randn(1, 16, 4, 4)
    before = x.clone(), q.clone()
    AutoEncoder(network, 1, conditioned=True)(x, q)
    assert torch.equal(x, before[0]) and torch.equal(q, before[1])


def test_it_learns(tiny: NetworkConfig) -> None:
    network = AutoEncoder(tiny, 1, conditioned=False)
    x = torch.rand(4, 1, 16, 16)
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


def inputs(channels: int, conditioned: bool, height: int = 24, width: int = 36) -> tuple[Tensor, Tensor | None]:
    q = torch.randn(2, 16, height // 4, width // 4) if conditioned else None
    return torch.rand(2, channels, height, width), q


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("conditioned", [False, True])
@torch.no_grad()
def test_the_fast_form_makes_the_same_image(
    network: NetworkConfig, channels: int, conditioned: bool, awake: Wake
) -> None:
    model = awake(AutoEncoder(network, channels, conditioned))
    to_channels_last(model)
    x, q = inputs(channels, conditioned)
    assert torch.allclose(model.infer(x, q), model(x, q), **CLOSE)


@torch.no_grad()
def test_the_fast_form_without_the_skip(awake: Wake) -> None:
    model = awake(AutoEncoder(dataclasses.replace(ALONE, skip=False), 1, conditioned=False))
    x, _ = inputs(1, conditioned=False)
    assert torch.allclose(model.infer(x), model(x), **CLOSE)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 30), width=st.integers(1, 6), pixels=st.integers(1, 2000))
@torch.no_grad()
def test_the_fast_form_of_any_size_in_bands_of_any_height(height: int, width: int, pixels: int) -> None:
    """Bands end anywhere, and the image's own edge is none of theirs."""
    model = AutoEncoder(ALONE, 1, conditioned=True)
    torch.nn.init.normal_(model.decoder.last.weight, std=0.1)
    x, q = inputs(1, True, 4 * height, 4 * width)
    before = autoencoder._BAND_PIXELS
    autoencoder._BAND_PIXELS = pixels
    try:
        restored = model.infer(x, q)
    finally:
        autoencoder._BAND_PIXELS = before
    assert torch.allclose(restored, model(x, q), **CLOSE)


@torch.no_grad()
def test_the_halo_is_as_wide_as_need_be_and_no_wider(monkeypatch: pytest.MonkeyPatch, awake: Wake) -> None:
    model, x = awake(AutoEncoder(ALONE, 1, conditioned=False)), torch.rand(1, 1, 160, 16)
    monkeypatch.setattr(autoencoder, "_BAND_PIXELS", 1)
    assert torch.allclose(model.infer(x), model(x), **CLOSE)
    monkeypatch.setattr(autoencoder, "_HALO", 1)
    assert not torch.allclose(model.infer(x), model(x), **CLOSE)


@torch.no_grad()
def test_the_fast_form_leaves_its_inputs_untouched(network: NetworkConfig) -> None:
    x, q = inputs(1, conditioned=True)
    before = x.clone(), q.clone()
    AutoEncoder(network, 1, conditioned=True).infer(x, q)
    assert torch.equal(x, before[0]) and torch.equal(q, before[1])
