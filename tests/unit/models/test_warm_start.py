import dataclasses
from collections.abc import Callable

import pytest
import torch

from ced.config import NetworkConfig
from ced.errors import FormatError
from ced.models import registry, warm_start, weights
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.blocks import ResidualBlock
from ced.models.classifier import Classifier


def test_a_network_starts_from_weights(network: NetworkConfig, awake: Callable) -> None:
    trained, fresh = awake(AutoEncoder(network, 1, True)), AutoEncoder(network, 1, True)
    warm_start.start(fresh, weights.encode(trained))
    assert weights.encode(fresh) == weights.encode(trained)
    assert all(parameter.requires_grad for parameter in fresh.parameters())


@pytest.mark.parametrize("kind", [ARCNN, Galteri])
def test_other_authors_networks_start_from_their_own_weights(kind: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Galteri, "BLOCKS", 1)
    trained, fresh = kind(1), kind(1)
    warm_start.start(fresh, weights.encode(trained))
    assert weights.encode(fresh) == weights.encode(trained)


@pytest.mark.parametrize("more", [("width",), ("width_half",), ("width_full",), ("width", "width_half", "blocks")])
@pytest.mark.parametrize("full", [0, 1])
@pytest.mark.parametrize("kind", ["classifier", "ed", "ced-gt"])
def test_a_wider_network_starts_with_what_the_other_computes(
    network: NetworkConfig, awake: Callable, kind: str, full: int, more: tuple[str, ...]
) -> None:
    network = dataclasses.replace(network, blocks_full=full)
    larger = dataclasses.replace(network, **{name: getattr(network, name) + 3 for name in more})
    trained, fresh = registry.build(kind, network, 1, 7).eval(), registry.build(kind, larger, 1, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    warm_start.start(fresh, weights.encode(trained))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4)
    given = (x, q) if kind == "ced-gt" else (x,)
    for before, after in zip(outputs(trained, *given), outputs(fresh.eval(), *given), strict=True):
        assert torch.allclose(before, after, atol=1e-6 * before.abs().max().item())  # sums of another order


@pytest.mark.parametrize("wider", [0, 3])
def test_a_network_told_q_starts_as_ed_and_learns_to_listen(
    network: NetworkConfig, awake: Callable, wider: int
) -> None:
    larger = dataclasses.replace(network, width=network.width + wider)
    trained, fresh = awake(AutoEncoder(network, 1, False)), AutoEncoder(larger, 1, True)
    warm_start.start(fresh, weights.encode(trained))
    x, q = torch.rand(2, 1, 16, 16), torch.randn(2, 16, 4, 4)
    assert torch.allclose(fresh(x, q), trained(x), atol=1e-6)
    fresh(x, q).square().mean().backward()
    told = fresh.decoder.first.convolution.weight.grad[: network.width, -16:]
    assert bool((told.abs().amax(dim=(0, 2, 3)) > 0).all())
    with pytest.raises(FormatError, match="conditioned True is not False"):
        warm_start.start(trained, weights.encode(AutoEncoder(network, 1, True)))


@pytest.mark.parametrize("kind", ["classifier", "ced-gt"])
def test_new_features_learn(network: NetworkConfig, awake: Callable, kind: str) -> None:
    wider = dataclasses.replace(network, width=network.width + 3)
    trained, fresh = registry.build(kind, network, 1, 7), registry.build(kind, wider, 1, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    warm_start.start(fresh, weights.encode(trained))
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
    trained, fresh = registry.build(kind, network, 1, 7).eval(), registry.build(kind, more, 1, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    warm_start.start(fresh, weights.encode(trained))
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
    warm_start.start(fresh, weights.encode(trained))
    x = torch.rand(2, 1, 16, 16)
    *first, last = fresh(x)
    assert all(torch.equal(one, other) for one, other in zip(trained(x), first, strict=True))
    assert not torch.equal(last, first[-1]) and last.std() > 0


@pytest.mark.parametrize("kind", ["classifier", "ed", "ced-gt"])
def test_a_colour_network_starts_with_what_the_other_makes_of_luma(
    network: NetworkConfig, awake: Callable, kind: str
) -> None:
    trained, fresh = registry.build(kind, network, 1, 7).eval(), registry.build(kind, network, 3, 7)
    if isinstance(trained, AutoEncoder):
        awake(trained)
    warm_start.start(fresh, weights.encode(trained))
    rgb, q = torch.rand(2, 3, 16, 16), torch.randn(2, 16, 4, 4)
    luma = (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    given = (q,) if kind == "ced-gt" else ()
    for before, after in zip(outputs(trained, luma, *given), outputs(fresh.eval(), rgb, *given), strict=True):
        if kind == "classifier":
            assert torch.allclose(after, before, atol=1e-4)  # sums of another order, in units of logits
        else:
            assert torch.allclose(after - rgb, (before - luma).expand_as(rgb), atol=1e-5)
    with pytest.raises(FormatError, match="channels 3 is not 1"):
        warm_start.start(trained, weights.encode(fresh))


def test_a_wider_colour_network_starts_from_luminance(network: NetworkConfig, awake: Callable) -> None:
    wider = dataclasses.replace(network, width=network.width + 3, width_half=network.width_half + 2)
    trained, fresh = awake(AutoEncoder(network, 1, True)), AutoEncoder(wider, 3, True)
    warm_start.start(fresh, weights.encode(trained))
    rgb, q = torch.rand(2, 3, 16, 16), torch.randn(2, 16, 4, 4)
    luma = (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    with torch.inference_mode():
        assert torch.allclose(fresh(rgb, q) - rgb, (trained(luma, q) - luma).expand_as(rgb), atol=1e-5)


def test_networks_that_make_the_whole_image_do_not_start_in_colour(network: NetworkConfig) -> None:
    without = dataclasses.replace(network, skip=False)
    for gray, colour in ((ARCNN(1), ARCNN(3)), (AutoEncoder(without, 1, False), AutoEncoder(without, 3, False))):
        with pytest.raises(FormatError, match="channels 1 is not 3"):
            warm_start.start(colour, weights.encode(gray))


def outputs(module: torch.nn.Module, *given: torch.Tensor) -> list[torch.Tensor]:
    found = module(*given)
    return list(found) if isinstance(found, list | tuple) else [found]


def test_a_shallower_network_does_not_start_from_a_deeper(network: NetworkConfig) -> None:
    deeper = dataclasses.replace(network, blocks=network.blocks + 1)
    with pytest.raises(FormatError, match=f"blocks {deeper.blocks} is not {network.blocks}"):
        warm_start.start(AutoEncoder(network, 1, True), weights.encode(AutoEncoder(deeper, 1, True)))
    with pytest.raises(FormatError, match=r"kind arcnn is not autoencoder"):
        warm_start.start(AutoEncoder(network, 1, False), weights.encode(ARCNN(1)))


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
            warm_start.start(fresh, weights.encode(other))
    assert weights.encode(fresh) == before
