"""From the name of a model to its network."""

import torch

from ced.config import NetworkConfig
from ced.models import complexity
from ced.models.autoencoder import AutoEncoder
from ced.models.baselines import ARCNN, Galteri
from ced.models.classifier import Classifier
from ced.models.complexity import Size
from ced.models.weights import Network


def build(model: str, network: NetworkConfig, channels: int, classes: int) -> Network:
    """The untrained network of `model`, one of ced.networks.NETWORKS, its weights drawn from torch's random numbers.

    The networks of other authors have a shape of their own: `network` is for C, E and D alone.
    """
    if model == "classifier":
        return Classifier(network, channels, classes)
    if model == "arcnn":
        return ARCNN(channels)
    if model == "galteri-mse":
        return Galteri(channels)
    return AutoEncoder(network, channels, conditioned=model != "ed")


def size_of(model: str, network: NetworkConfig, channels: int, classes: int) -> Size:
    """What the network of `model` costs. Takes no memory and no random numbers."""
    with torch.device("meta"):
        return complexity.describe(build(model, network, channels, classes))
