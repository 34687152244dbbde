"""A small restorer, and photographs of a few pixels."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from ced.config import NetworkConfig
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.restoration import restorer


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained ED, a restorer like any other."""
    torch.manual_seed(0)
    network = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1)
    folder = tmp_path_factory.mktemp("model")
    for name, content in restorer.files("ed", weights.encode(AutoEncoder(network, 1, conditioned=False))).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def photograph() -> Callable[..., Path]:
    """Writes a JPEG whose pixels follow from `number`."""

    def write(path: Path, number: int = 0, side: int = 40, quality: int = 20) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        left, top = number * 7 % 500, number * 3 % 300
        Image.fromarray(data.coffee()).crop((left, top, left + side, top + side)).save(path, "JPEG", quality=quality)
        return path

    return write
