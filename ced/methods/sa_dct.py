"""SA-DCT, a method without training (ced/core/sa_dct.py): the quantization tables alone say how much was lost."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ced.config import SA_DCT
from ced.errors import ConfigError
from ced.methods.method import SELF_ENSEMBLE, Conditions, Damaged, Find, Request


@dataclass(frozen=True)
class SaDctMethod:
    """In colour, each plane of YCbCr is filtered with the noise of its own table, in the neighbourhoods of Y."""

    name: str
    content: str = "sa-dct 1"  # another number where the answer becomes another
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = True

    def load(self) -> None:
        """Nothing is needed."""

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The deblocked image, rounded and clipped to 8 bits. Raises Failed for a stream without tables."""
        from ced.core import sa_dct  # it imports torch

        tables = damaged.tables()
        colour = damaged.image.ndim == 3
        image = np.asarray(Image.fromarray(damaged.image).convert("YCbCr")) if colour else damaged.image[..., None]
        sigmas = [sa_dct.noise(tables[min(number, len(tables) - 1)]) for number in range(image.shape[2])]
        guide = (image[..., 0], sigmas[0])
        planes = [sa_dct.deblocked(image[..., n], sigma, guide=guide) for n, sigma in enumerate(sigmas)]
        restored = np.stack(planes, axis=2).round().clip(0, 255).astype(np.uint8)
        return np.asarray(Image.fromarray(restored, "YCbCr").convert("RGB")) if colour else restored[..., 0]


def _find(request: Request, conditions: Conditions, store: Path) -> SaDctMethod:
    if request.self_ensemble:
        raise ConfigError(f"method {request.name}: {SA_DCT} has no network; leave {SELF_ENSEMBLE}: out")
    return SaDctMethod(request.name)


ENTRIES: dict[str, Find] = {SA_DCT: _find}
