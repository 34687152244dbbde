"""BM3D (Dabov, Foi, Katkovnik and Egiazarian 2007) by its authors' package, as a method: NAME=bm3d:FACTOR.

It is made for white noise. How much of it a JPEG is taken to have follows from its table, as for SA-DCT; FACTOR
multiplies that. The package's licence is not for commercial use, so no extra of ced installs it.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ced.config import fingerprint
from ced.errors import ConfigError
from ced.methods.method import Conditions, Damaged, Find, Request
from ced.restoration.restorer import planewise


@dataclass(frozen=True)
class Bm3dMethod:
    """Luminance, and the full-range luma of a colour image, whose chroma stays as it is."""

    name: str
    factor: float
    content: str
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = True

    def load(self) -> None:
        """Import the package."""
        import bm3d  # noqa: F401

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The filtered image, rounded and clipped to 8 bits. Raises Failed for a stream without tables."""
        import bm3d

        from ced.core import sa_dct  # it imports torch

        tables = damaged.tables()
        profile = bm3d.BM3DProfile()
        profile.num_threads = 1  # with several its answers differ
        deviation = self.factor * sa_dct.noise(tables[0])

        def filtered(plane: np.ndarray) -> np.ndarray:
            answer = bm3d.bm3d(plane.astype(np.float64), deviation, profile)
            rounded: np.ndarray = np.clip(np.round(answer), 0, 255).astype(np.uint8)
            return rounded

        return planewise(filtered, damaged.image, "luma")


def _find(request: Request, conditions: Conditions, store: Path) -> Bm3dMethod:
    try:
        factor = float(request.target)
    except ValueError:
        factor = 0.0
    if not 0 < factor < 100:
        raise ConfigError(f"method {request.name}: bm3d:{request.target}: give a factor of the noise, as bm3d:1")
    try:
        installed = version("bm3d")
    except PackageNotFoundError:
        raise ConfigError(f"method {request.name}: package bm3d is not here; pip install bm3d") from None
    return Bm3dMethod(request.name, factor, fingerprint("bm3d", installed, factor))


ENTRIES: dict[str, Find] = {"bm3d": _find}
