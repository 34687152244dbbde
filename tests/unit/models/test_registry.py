import pytest
import torch

from ced.config import NetworkConfig
from ced.models import complexity, registry
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.classifier import Classifier
from ced.networks import NETWORKS, methods

KINDS = {"classifier": Classifier, "arcnn": ARCNN, "galteri-mse": Galteri}


@pytest.mark.parametrize("model", NETWORKS.names)
def test_every_model_has_its_network(tiny: NetworkConfig, model: str) -> None:
    network = registry.build(model, tiny, channels=3, classes=5)
    assert type(network) is KINDS.get(model, AutoEncoder) and network.channels == 3
    if isinstance(network, AutoEncoder):
        assert network.conditioned is (model in ("ced-est", "ced-gt")) and network.network == tiny
    if isinstance(network, Classifier):
        assert network.classes == 5 and network.network == tiny


def test_every_method_but_jpeg_is_a_model() -> None:
    assert set(methods()) - {"jpeg"} == set(NETWORKS.names) - {"classifier"}


@pytest.mark.parametrize("model", NETWORKS.names)
def test_the_size_is_that_of_the_network(tiny: NetworkConfig, model: str) -> None:
    before = torch.random.get_rng_state()
    found = registry.size_of(model, tiny, 1, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found == complexity.describe(registry.build(model, tiny, 1, 7))


@pytest.mark.parametrize(
    ("model", "parameters", "multiply_adds"),
    [
        # AR-CNN: its weights, once a pixel. Galteri: half of the sides, a quarter of the pixels, between the strides.
        ("arcnn", 64 * 82 + 32 * (49 * 64 + 1) + 16 * 33 + 401, 81 * 64 + 49 * 64 * 32 + 32 * 16 + 25 * 16),
        ("galteri-mse", 640 + 32 * 36928 + 30 * 128 + 577, 576 + 36864 * (1 + 30) / 4 + 36864 + 576),
    ],
)
def test_the_published_networks_cost_what_a_count_by_hand_says(
    model: str, parameters: int, multiply_adds: float
) -> None:
    found = registry.size_of(model, NetworkConfig(), 1, 7)
    assert found.parameters == parameters
    assert found.multiply_adds_per_megapixel == pytest.approx(1e6 * multiply_adds, rel=1e-3)  # the padded edge
