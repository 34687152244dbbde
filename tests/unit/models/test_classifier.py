import numpy as np
import pytest
import torch

from ced.config import NetworkConfig
from ced.models.classifier import Classifier, StageBlock, probabilities
from ced.models.features import Features


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
