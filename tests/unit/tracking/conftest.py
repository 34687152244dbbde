"""A restorer small enough to log in a moment."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ced.config import NetworkConfig
from ced.core.classes import Classes
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.restoration import restorer

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1, stages=1)


@pytest.fixture(scope="session")
def restorer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CED-GT restorer with random weights, and one file more than a restorer has."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    classifier, autoencoder = Classifier(NETWORK, 1, 7), AutoEncoder(NETWORK, 1, conditioned=True)
    torch.nn.init.normal_(autoencoder.decoder.last.bias, 0.1, 0.01)
    edges = np.tile(np.linspace(-20, 20, 6, dtype=np.float32), (16, 1))
    means = np.tile(np.linspace(-30, 30, 7, dtype=np.float32), (16, 1))
    table = Classes(edges, means, np.full((16, 7), 100)).to_json()
    folder = tmp_path_factory.mktemp("restorer")
    contents = restorer.files("ced-gt", weights.encode(autoencoder), weights.encode(classifier), table)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text("{}")
    return folder
