import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from ced.config import NetworkConfig
from ced.models.blocks import (
    Activated,
    Downsample,
    Features,
    Reach,
    ResidualBlock,
    Upsample,
    conv3x3,
    radius,
    reaches,
    residual_blocks,
    shrink,
)


def slow_conv3x3(x: np.ndarray, convolution: nn.Conv2d, stride: int = 1) -> np.ndarray:
    """The definition, pixel by pixel, of one image (inputs, H, W): zero padding of one pixel."""
    weight, bias = convolution.weight.detach().numpy(), convolution.bias.detach().numpy()
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    height, width = x.shape[1] // stride, x.shape[2] // stride
    out = np.empty((len(weight), height, width), np.float32)
    for i in range(height):
        for j in range(width):
            window = padded[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
            out[:, i, j] = np.einsum("oikl,ikl->o", weight, window) + bias
    return out


def leaky(x: np.ndarray, slope: float) -> np.ndarray:
    return np.where(x >= 0, x, slope * x)


def test_residual_block_is_two_convolutions_beside_the_identity() -> None:
    block = ResidualBlock(3, slope=0.2)
    x = torch.randn(1, 3, 6, 5)
    hidden = leaky(slow_conv3x3(x[0].numpy(), block.first), 0.2)
    expected = x[0].numpy() + slow_conv3x3(hidden, block.second)
    assert np.allclose(block(x)[0].detach(), expected, atol=1e-5)


def test_residual_block_leaves_its_input_untouched() -> None:
    x = torch.randn(2, 3, 4, 4)
    before = x.clone()
    ResidualBlock(3, slope=0.1)(x)
    assert torch.equal(x, before)


def test_residual_block_has_no_batch_normalization() -> None:
    assert [type(m) for m in ResidualBlock(3, 0.1).modules()] == [ResidualBlock, nn.Conv2d, nn.Conv2d]


def test_residual_block_gradients_are_right_despite_the_work_in_place() -> None:
    block = ResidualBlock(2, slope=0.1).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


def test_a_deep_stack_starts_near_the_identity() -> None:
    x = torch.randn(1, 16, 8, 8)
    y = residual_blocks(12, 16, 0.1)(x)
    assert (y - x).std() < 0.5 * x.std()


def test_downsample_halves() -> None:
    block = Downsample(2, 5, slope=0.3)
    x = torch.randn(1, 2, 8, 6)
    expected = leaky(slow_conv3x3(x[0].numpy(), block.convolution, stride=2), 0.3)
    assert block(x).shape == (1, 5, 4, 3)
    assert np.allclose(block(x)[0].detach(), expected, atol=1e-5)


def test_upsample_shuffles_pixels_as_the_paper_does() -> None:
    block = Upsample(3, 2, slope=0.3)
    x = torch.randn(1, 3, 4, 5)
    wide = leaky(slow_conv3x3(x[0].numpy(), block.convolution), 0.3)
    expected = np.empty((2, 8, 10), np.float32)
    for channel in range(2):
        for i in range(8):
            for j in range(10):
                expected[channel, i, j] = wide[4 * channel + 2 * (i % 2) + j % 2, i // 2, j // 2]
    assert np.allclose(block(x)[0].detach(), expected, atol=1e-5)


def test_activated_is_a_convolution_and_the_leaky_relu() -> None:
    block = Activated(2, 3, slope=0.5)
    x = torch.randn(1, 2, 4, 4)
    assert np.allclose(block(x)[0].detach(), leaky(slow_conv3x3(x[0].numpy(), block.convolution), 0.5), atol=1e-5)


@pytest.mark.parametrize("block", [Downsample(2, 2, 0.1), Upsample(2, 2, 0.1), Activated(2, 2, 0.1)])
def test_gradients_are_right_despite_the_work_in_place(block: nn.Module) -> None:
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block.double(), (x,))


def test_no_blocks_are_the_identity() -> None:
    x = torch.randn(1, 4, 4, 4)
    assert torch.equal(residual_blocks(0, 4, 0.1)(x), x)


def test_shrink_scales_the_weights_and_clears_the_bias() -> None:
    convolution = conv3x3(2, 2)
    before = convolution.weight.detach().clone()
    shrink(convolution, 0.25)
    assert torch.equal(convolution.weight, before * 0.25)
    assert not convolution.bias.any()


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


def test_features_leave_the_image_untouched(network: NetworkConfig) -> None:
    x = torch.rand(1, 1, 16, 16)
    before = x.clone()
    Features(network, 1)(x)
    assert torch.equal(x, before)


def test_the_steps_of_layers_in_a_row() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 9), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 5, dilation=3))
    assert reaches(layers, Reach(enlarge=2)) == (Reach(4), Reach(6), Reach(enlarge=2))
    assert reaches(Downsample(1, 2, 0.1), ResidualBlock(2, 0.1)) == (Reach(1, stride=2), Reach(1), Reach(1))
    assert reaches(Upsample(2, 1, 0.1), nn.Identity()) == (Reach(1), Reach(enlarge=2))


def test_a_layer_of_unknown_reach_is_refused() -> None:
    with pytest.raises(TypeError, match="ConvTranspose2d states no reach"):
        reaches(nn.ConvTranspose2d(1, 1, 3))


def test_the_radius_is_that_of_the_pixel_that_sees_farthest() -> None:
    assert radius(()) == 0
    assert radius(reaches(conv3x3(1, 1), conv3x3(1, 1))) == 2
    # Halved and doubled again: pixel 1 is made of cell 0, which saw the pixels -1 to 1.
    assert radius((Reach(1, stride=2), Reach(enlarge=2))) == 2


@pytest.mark.parametrize("planes", [1, 3, 4])
def test_the_fast_form_of_halving_is_the_same(planes: int) -> None:
    block, x = Downsample(planes, 5, slope=0.3), torch.rand(2, planes, 12, 20)
    assert torch.allclose(block.on_cpu(x), block(x), atol=1e-5)
