import dataclasses

import pytest
import torch
from torch import nn

from ced.config import NetworkConfig
from ced.models.features import Features


@pytest.mark.parametrize("channels", [1, 3])
def test_one_feature_vector_per_patch_of_4x4(network: NetworkConfig, channels: int) -> None:
    f = Features(network, channels)(torch.rand(2, channels, 24, 16))
    assert f.shape == (2, network.width, 6, 4)


def strides(features: Features) -> list[tuple[int, int, int]]:
    convolutions = [m for m in features.modules() if isinstance(m, nn.Conv2d)]
    return [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions]


def test_without_full_resolution_blocks_the_first_stride_acts_on_the_image(tiny: NetworkConfig) -> None:
    assert strides(Features(tiny, 3)) == [(3, 6, 2), (6, 8, 2), (8, 8, 1), (8, 8, 1)]


def test_blocks_at_each_resolution_come_in_order(tiny: NetworkConfig) -> None:
    network = dataclasses.replace(tiny, blocks_full=1, blocks_half=1)
    stem, full, half, quarter = [(1, 4, 1)], [(4, 4, 1)] * 2, [(6, 6, 1)] * 2, [(8, 8, 1)] * 2
    assert strides(Features(network, 1)) == [*stem, *full, (4, 6, 2), *half, (6, 8, 2), *quarter]


def test_the_padding_stands_for_mid_grey(tiny: NetworkConfig) -> None:
    """On a plain grey image the edge is no event: every patch has the same features."""
    network = dataclasses.replace(tiny, blocks=0)
    features = Features(network, 1)
    features.to_half.convolution.bias.data.zero_()  # otherwise the second convolution sees the edge of the first
    f = features(torch.full((1, 1, 16, 16), 0.5))
    assert torch.allclose(f, f[:, :, :1, :1].expand_as(f))
    f = features(torch.full((1, 1, 16, 16), 0.9))
    assert not torch.allclose(f, f[:, :, :1, :1].expand_as(f))


def test_the_first_convolution_sees_units_of_4_grey_levels(network: NetworkConfig) -> None:
    features, seen = Features(network, 1), []
    first = next(m for m in features.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
    features(torch.tensor([127.5, 127.5 + 4 * 255 / 256]).repeat(16, 8)[None, None] / 255)
    assert torch.allclose(seen[0][0, 0, 0, :2], torch.tensor([0.0, 1.0]), atol=1e-4)


def test_the_image_is_left_untouched(network: NetworkConfig) -> None:
    x = torch.rand(1, 1, 16, 16)
    before = x.clone()
    Features(network, 1)(x)
    assert torch.equal(x, before)
