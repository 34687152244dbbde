from collections.abc import Callable

import pytest
import torch

from ced.config import NetworkConfig
from ced.models.autoencoder import AutoEncoder


@pytest.fixture(autouse=True)
def reproducible(one_thread_and_one_seed: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def awake() -> Callable[[AutoEncoder], AutoEncoder]:
    """A network whose last convolution, which starts at zero, has been trained to something."""

    def wake(network: AutoEncoder) -> AutoEncoder:
        torch.nn.init.normal_(network.decoder.last.weight, std=0.1)
        torch.nn.init.normal_(network.decoder.last.bias, std=0.1)
        return network

    return wake


@pytest.fixture
def tiny() -> NetworkConfig:
    return NetworkConfig(width=8, width_half=6, width_full=4, blocks=1, stage_blocks=1)


@pytest.fixture(params=["quarter only", "all scales"])
def network(request: pytest.FixtureRequest, tiny: NetworkConfig) -> NetworkConfig:
    """A network with blocks at quarter resolution alone, and one with blocks at every resolution."""
    if request.param == "quarter only":
        return tiny
    return NetworkConfig(
        width=8, width_half=6, width_full=4, blocks=1, blocks_half=2, blocks_full=1, stages=3, stage_blocks=2
    )
