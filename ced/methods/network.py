"""The damaged image itself, and the networks of this project."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ced.methods.protocol import Damaged, Failed

if TYPE_CHECKING:
    from ced.restore import Restorer


@dataclass(frozen=True)
class Jpeg:
    """What every other method has to be better than."""

    name: str = "jpeg"
    colour: str = "any"
    timed: bool = True

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The decoded JPEG."""
        return damaged.image


@dataclass(frozen=True)
class PerQuality:
    """A network for each quality factor."""

    name: str
    networks: "dict[int, Network]"
    timed: bool = True

    @property
    def colour(self) -> str:
        return "rgb" if any(network.colour == "rgb" for network in self.networks.values()) else "any"

    def restore(self, damaged: Damaged) -> np.ndarray:
        """What the network for the JPEG's quality factor makes of it. Raises Failed where there is none."""
        if damaged.quality not in self.networks:
            raise Failed("no network", f"none is for quality factor {damaged.quality}")
        return self.networks[damaged.quality].restore(damaged)


@dataclass(frozen=True)
class Network:
    """A restorer of `ced`. A luminance model restores the luma of a colour image and leaves its chroma."""

    name: str
    restorer: "Restorer"
    timed: bool = True

    @property
    def colour(self) -> str:
        return "any" if self.restorer.channels == 1 else "rgb"

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The network's output, rounded and clipped to 8 bits."""
        from PIL import Image

        if damaged.image.ndim == 2 and self.restorer.channels == 1:
            plane: np.ndarray = self.restorer.restore_planes(damaged.image[None])[0]
            return plane
        return np.asarray(self.restorer.restore_image(Image.fromarray(damaged.image)))
