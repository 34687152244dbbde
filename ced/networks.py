"""The networks by name, and what is known of each without torch. A new network is a file in ced/models and a line here.

NETWORKS.names                 every network, for the command line and the checks of the configuration
NETWORKS.get("ced-gt")         its Architecture: display name, what it is trained on, where its class is
ced.models.base.build(...)     the network itself
"""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from ced.registry import Registry

AUTOENCODERS = ("ed", "ced-est", "ced-gt")  # the paper's own


@dataclass(frozen=True)
class Architecture:
    """A network as the rest of ced sees it: a name in tables, a class, and what it is trained on."""

    display_name: str
    network: str | type[Any]  # a subclass of ced.models.base.Network: the class, or where it is, as "module:Class"
    objective: Literal["target", "classes"] = "target"  # the original image (equation 6), or its classes (equation 5)
    # What the decoder is conditioned on while it trains: nothing, C's estimates q-hat, or the target's own q. At test
    # time it is always q-hat.
    q: Literal["", "estimate", "truth"] = ""
    # Of another work, to compare with. It has a shape of its own, for which the section `network` does not count, and
    # stands before ours in tables.
    baseline: bool = False

    def load(self) -> type[Any]:
        """The class of the network; with it comes torch."""
        if isinstance(self.network, type):
            return self.network
        module, _, name = self.network.partition(":")
        network: type[Any] = getattr(importlib.import_module(module), name)
        return network

    @property
    def section(self) -> Literal["classifier", "autoencoder"]:
        """The section of the configuration that it is trained by."""
        return "classifier" if self.objective == "classes" else "autoencoder"

    @property
    def conditioned(self) -> bool:
        """Whether it takes q, and so restores together with a classifier."""
        return self.q != ""

    @property
    def needs_classes(self) -> bool:
        """Whether it is trained with the classes of frequencies."""
        return self.conditioned or self.objective == "classes"


NETWORKS: Registry[Architecture] = Registry("model", {})
NETWORKS.add("classifier", Architecture("Classifier", "ced.models.classifier:Classifier", objective="classes"))
NETWORKS.add("ed", Architecture("ED", "ced.models.autoencoder:AutoEncoder"))
NETWORKS.add("ced-est", Architecture("CED-EST", "ced.models.autoencoder:AutoEncoder", q="estimate"))
NETWORKS.add("ced-gt", Architecture("CED-GT", "ced.models.autoencoder:AutoEncoder", q="truth"))
NETWORKS.add("arcnn", Architecture("AR-CNN", "ced.models.baselines:ARCNN", baseline=True))
NETWORKS.add("galteri-mse", Architecture("Galteri-MSE", "ced.models.baselines:Galteri", baseline=True))


def restoring() -> tuple[str, ...]:
    """The networks that restore images, in the order of Table 2: the baselines, then ours."""
    names = [name for name in NETWORKS.names if NETWORKS.get(name).objective == "target"]
    return tuple(sorted(names, key=lambda name: not NETWORKS.get(name).baseline))


def methods() -> tuple[str, ...]:
    """The methods of evaluation that a bare name stands for, in the order of Table 2: JPEG and `restoring`."""
    return ("jpeg", *restoring())
