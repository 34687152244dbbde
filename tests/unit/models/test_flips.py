"""The mean over an image's flips."""

import numpy as np
import pytest
import torch
from torch import nn

from ced.models import flips
from ced.models.blocks import conv3x3


def test_the_mean_of_four_turned_back() -> None:
    """Against numpy, with a function that knows where it is."""
    x = torch.rand(2, 1, 8, 12)
    ramp = torch.arange(96.0).reshape(8, 12)
    restored = flips.mean(lambda image: image * ramp, x).numpy()
    weight = np.mean([ramp.numpy(), ramp.numpy()[::-1], ramp.numpy()[:, ::-1], ramp.numpy()[::-1, ::-1]], axis=0)
    assert np.allclose(restored, x.numpy() * weight, rtol=1e-6)


def test_what_knows_no_direction_stays_as_it_is() -> None:
    x = torch.rand(1, 1, 8, 8)
    assert torch.allclose(flips.mean(torch.sqrt, x), torch.sqrt(x))


@pytest.mark.parametrize("axes", [(2,), (3,), (2, 3)])
def test_a_flipped_image_becomes_the_flipped_mean(axes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(conv3x3(1, 4), nn.LeakyReLU(0.1), conv3x3(4, 1))
    x = torch.rand(1, 1, 8, 8)
    with torch.inference_mode():
        one, other = flips.mean(network, x), flips.mean(network, x.flip(axes))
        assert not torch.allclose(network(x).flip(axes), network(x.flip(axes)), atol=1e-3), "it has to matter"
    assert torch.allclose(one.flip(axes), other, atol=1e-6)
