import dataclasses

import numpy as np
import pytest
import torch

from ced.config import NetworkConfig
from ced.models.blocks import Features, to_channels_last
from ced.models.classifier import Classifier, Mapping, StageBlock, probabilities


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_of_each_stage_per_patch_frequency_and_class(network: NetworkConfig, channels: int) -> None:
    logits = Classifier(network, channels, classes=7)(torch.rand(2, channels, 16, 24))
    assert [tuple(stage.shape) for stage in logits] == [(2, 16, 7, 4, 6)] * network.stages


def test_softmax_per_frequency_channel_matches_a_loop() -> None:
    logits = torch.randn(2, 16, 5, 2, 3)
    p = probabilities(logits).numpy()
    for b, ch, i, j in np.ndindex(2, 16, 2, 3):
        exponentials = np.exp(logits[b, ch, :, i, j].double().numpy())
        assert np.allclose(p[b, ch, :, i, j], exponentials / exponentials.sum(), atol=1e-6)


def test_each_stage_sees_the_features_and_the_estimate_before_it(network: NetworkConfig) -> None:
    """Equation 3, stage by stage."""
    classifier = Classifier(network, 1, classes=4)
    x = torch.rand(2, 1, 16, 16)
    f = classifier.features(x)
    expected = [classifier.stages[0](f)]
    for stage in list(classifier.stages)[1:]:
        p = torch.stack([expected[-1][:, ch].softmax(dim=1) for ch in range(16)], dim=1)
        expected.append(stage(f, p))
    for mine, theirs in zip(classifier(x), expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_a_stage_concatenates_features_then_probabilities(tiny: NetworkConfig) -> None:
    stage = StageBlock(tiny, classes=3, first=False)
    f, p = torch.randn(1, 8, 4, 4), torch.rand(1, 16, 3, 4, 4)
    # Feature filters alone answer to f, the filter of channel ch and class k alone to p-hat_ch(k).
    weight = stage.first.convolution.weight
    assert weight.shape == (8, 8 + 16 * 3, 3, 3)
    with torch.no_grad():
        weight.zero_()
        weight[0, 8 + 5 * 3 + 2, 1, 1] = 1.0
        stage.first.convolution.bias.zero_()
    seen: list[torch.Tensor] = []
    stage.first.register_forward_hook(lambda module, given, out: seen.append(out))
    stage(f, p)
    assert torch.allclose(seen[0][0, 0], p[0, 5, 2])


def test_the_first_stage_takes_no_estimate(tiny: NetworkConfig) -> None:
    assert StageBlock(tiny, classes=7, first=True).first.convolution.in_channels == tiny.width
    assert StageBlock(tiny, classes=7, first=False).first.convolution.in_channels == tiny.width + 112


def test_classify_is_the_last_stages_most_probable_class(network: NetworkConfig) -> None:
    classifier = Classifier(network, 1, classes=7)
    x = torch.rand(1, 1, 16, 16)
    last = classifier(x)[-1].detach().numpy()
    classes = classifier.classify(x)
    assert classes.dtype == torch.uint8
    for ch, i, j in np.ndindex(16, 4, 4):
        assert classes[0, ch, i, j] == max(range(7), key=lambda k: last[0, ch, k, i, j])


def test_an_image_is_judged_by_itself_whatever_the_batch(tiny: NetworkConfig) -> None:
    classifier = Classifier(tiny, 1, classes=7)
    x = torch.rand(3, 1, 16, 16)
    together = classifier(x)[-1]
    alone = torch.cat([classifier(image[None])[-1] for image in x])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_gradient_of_the_last_stage_reaches_the_first(tiny: NetworkConfig) -> None:
    classifier = Classifier(tiny, 1, classes=7)
    classifier(torch.rand(1, 1, 16, 16))[-1].square().mean().backward()
    assert classifier.stages[0].last.weight.grad.abs().sum() > 0


def test_the_feature_extractor_is_the_encoders() -> None:
    network = NetworkConfig(width=8, width_half=6, blocks=2)
    mine = Classifier(network, 1, 7).features.state_dict()
    encoder = Features(network, 1).state_dict()
    assert {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in encoder.items()}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stages", [1, 2, 3])
@torch.no_grad()
def test_the_fast_form_gives_the_same_logits(network: NetworkConfig, channels: int, stages: int) -> None:
    model = Classifier(dataclasses.replace(network, stages=stages), channels, classes=5)
    to_channels_last(model)
    x = torch.rand(2, channels, 24, 36)
    assert torch.allclose(model.infer(x), model(x)[-1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_fast_form_leaves_the_image_untouched(network: NetworkConfig) -> None:
    x = torch.rand(2, 1, 24, 36)
    before = x.clone()
    Classifier(network, 1, 7).infer(x)
    assert torch.equal(x, before)


@torch.no_grad()
def test_logits_far_from_zero_stay_finite_in_the_fast_form(tiny: NetworkConfig) -> None:
    model = Classifier(tiny, 1, classes=7)
    model.stages[0].last.weight.mul_(1e4)
    x = torch.rand(2, 1, 24, 36)
    estimated = model.infer(x)
    assert torch.isfinite(estimated).all()
    assert torch.allclose(estimated, model(x)[-1], rtol=1e-3, atol=1e-3)


def test_each_class_becomes_its_coefficient_in_deviations_of_its_channel() -> None:
    rng = np.random.default_rng(0)
    representatives = rng.normal(size=(16, 7)).astype(np.float32)
    deviations = rng.uniform(0.5, 20, size=16).astype(np.float32)
    labels = rng.integers(0, 7, size=(2, 16, 3, 5)).astype(np.uint8)
    q = Mapping(representatives, deviations)(torch.from_numpy(labels))
    assert q.shape == (2, 16, 3, 5) and q.dtype == torch.float32
    for b, ch, i, j in np.ndindex(*labels.shape):
        assert np.isclose(q[b, ch, i, j], representatives[ch, labels[b, ch, i, j]] / deviations[ch])


def test_a_channel_that_never_varies_stays_finite() -> None:
    q = Mapping(np.zeros((16, 3), np.float32), np.zeros(16, np.float32))(torch.zeros(1, 16, 2, 2, dtype=torch.uint8))
    assert torch.isfinite(q).all()


def test_the_table_travels_with_the_module_but_is_never_trained() -> None:
    mapping = Mapping(np.ones((16, 3), np.float32), np.ones(16, np.float32))
    assert list(mapping.state_dict()) == ["table"]
    assert list(mapping.parameters()) == []
    assert mapping.double().table.dtype == torch.float64


def test_the_given_arrays_are_copied() -> None:
    representatives = np.ones((16, 3), np.float32)
    mapping = Mapping(representatives, np.ones(16, np.float32))
    representatives[:] = 5
    assert mapping.table.max() == 1


def some_mapping(classes: int = 7) -> Mapping:
    table = np.sort(np.random.default_rng(0).normal(size=(16, classes)), axis=1).astype(np.float32)
    return Mapping(table, np.ones(16, np.float32))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_read_off_warm_it_is_the_mean_under_the_sharpened_distribution(temperature: float) -> None:
    mapping, logits = some_mapping(), torch.randn(2, 16, 7, 2, 3)
    q = mapping.read(logits, temperature)
    for b, ch, i, j in np.ndindex(2, 16, 2, 3):
        p = np.exp(logits[b, ch, :, i, j].double().numpy())
        p = (p / p.sum()) ** (1 / temperature)
        assert np.isclose(q[b, ch, i, j], (p / p.sum()) @ mapping.table[ch].double().numpy(), atol=1e-5)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_read_off_cold_it_is_the_most_probable_class(memory: torch.memory_format) -> None:
    mapping = some_mapping()
    flat = torch.randn(2, 16 * 7, 3, 5).contiguous(memory_format=memory)
    flat[:, 7:14] = 0.25  # a tie: the first of the most probable
    logits = flat.unflatten(1, (16, 7))
    assert torch.equal(mapping.read(logits, 0), mapping(logits.argmax(dim=2)))
    assert torch.equal(mapping.read(logits, 0)[:, 1], mapping.table[1, 0].expand(2, 3, 5))


def test_the_colder_the_nearer_to_the_most_probable() -> None:
    mapping, logits = some_mapping(), torch.randn(1, 16, 7, 4, 4)
    away = [(mapping.read(logits, t) - mapping.read(logits, 0)).abs().mean() for t in (0.01, 0.25, 0.5, 1.0)]
    assert away == sorted(away) and away[0] < 0.05 < away[-1]
