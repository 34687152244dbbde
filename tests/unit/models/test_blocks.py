import numpy as np
import pytest
import torch
from torch import nn

from ced.models.blocks import Activated, Downsample, ResidualBlock, Upsample, conv3x3, residual_blocks, shrink


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
