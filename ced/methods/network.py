"""The damaged image itself, and the networks of this project."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ced.methods.protocol import Damaged, Failed, Method

if TYPE_CHECKING:
    from ced.restoration.restorer import Restorer


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
    """A network for each colour ("y" or "rgb") and quality factor."""

    name: str
    networks: dict[tuple[str, int], Method]
    timed: bool = True

    @property
    def colour(self) -> str:
        of_planes = [network for (colour, _), network in self.networks.items() if colour == "y"]
        return "rgb" if any(one.colour == "rgb" for one in of_planes or self.networks.values()) else "any"

    def restore(self, damaged: Damaged) -> np.ndarray:
        """What the network for such a JPEG makes of it. Raises Failed where there is none."""
        such = ("y" if damaged.image.ndim == 2 else "rgb", damaged.quality)
        if such not in self.networks:
            raise Failed("no network", f"none is for {such[0]} at quality factor {damaged.quality}")
        return self.networks[such].restore(damaged)


@dataclass(frozen=True)
class Network:
    """A restorer of `ced`. A luminance model takes a colour image `through` its luma or all of its YCbCr."""

    name: str
    restorer: "Restorer"
    through: str = "luma"
    timed: bool = True

    @property
    def colour(self) -> str:
        return "any" if self.restorer.channels == 1 else "rgb"

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The network's output, rounded and clipped to 8 bits."""
        if self.restorer.channels == 1:
            return planewise(lambda plane: self.restorer.restore_planes(plane[None])[0], damaged.image, self.through)
        from PIL import Image

        return np.asarray(self.restorer.restore_image(Image.fromarray(damaged.image)))


def planewise(restore: Callable[[np.ndarray], np.ndarray], image: np.ndarray, through: str) -> np.ndarray:
    """What a function of planes makes of an image. Shape: (H, W) or (H, W, 3) uint8 -> the same.

    Of a colour image it is given the full-range luma, the plane that its JPEG stream coded; "luma" leaves the chroma
    as it is, "ycbcr" gives it each of the two as well.
    """
    if image.ndim == 2:
        return restore(image)
    from PIL import Image

    planes = Image.fromarray(image).convert("YCbCr").split()
    restored = [
        plane if number and through == "luma" else Image.fromarray(np.ascontiguousarray(restore(np.asarray(plane))))
        for number, plane in enumerate(planes)
    ]
    return np.asarray(Image.merge("YCbCr", restored).convert("RGB"))
