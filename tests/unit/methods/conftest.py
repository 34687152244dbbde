"""A small untrained restorer, and a damaged photograph."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from skimage import data

from ced.config import NetworkConfig
from ced.methods import Damaged
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.restoration import restorer


def _write_restorer(folder: Path, channels: int, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1)
    folder.mkdir(parents=True, exist_ok=True)
    model = AutoEncoder(network, channels, conditioned=False)
    with torch.no_grad():  # an untrained one changes nothing
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    for name, content in restorer.files("ed", weights.encode(model)).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def write_restorer() -> Callable[..., Path]:
    return _write_restorer


@pytest.fixture(scope="session")
def gray_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_restorer(tmp_path_factory.mktemp("models") / "gray", 1)


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_restorer(tmp_path_factory.mktemp("models") / "colour", 3)


@pytest.fixture
def gray() -> Damaged:
    return Damaged.of("set/below/man.png", 10, data.camera()[:45, :70])


@pytest.fixture
def colour() -> Damaged:
    return Damaged.of("set/cat.png", 20, data.chelsea()[:45, :70])
