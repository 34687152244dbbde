"""How a method turns the decoded JPEG into what a detector and a segmenter are shown.

The seam between Table 3 and whatever restores images: a spec becomes a function of an image.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ced.errors import InputError

if TYPE_CHECKING:
    from ced.restore import Restorer

ORIGINAL, JPEG = "original", "jpeg"
BUILT_IN = (ORIGINAL, JPEG)

Restore = Callable[[np.ndarray], np.ndarray]  # (H, W) or (H, W, 3) uint8 -> the same


@lru_cache(maxsize=8)
def load(folder: str, through: str = "") -> Restore:
    """The restorer in `folder`; "" leaves the JPEG as it is. RGB goes `through` (VisionConfig). Raises FormatError."""
    if not folder:
        return np.asarray
    from ced.restore import Restorer

    return partial(restore, Restorer.load(folder), through)


def check(name: str, folder: str, colours: tuple[str, ...], through: str) -> None:
    """Find out early whether a restorer can take these colours that way. Raises InputError, FormatError."""
    from ced.restore import Restorer

    channels = Restorer.load(folder).channels
    if channels == 3 and "y" in colours:
        raise InputError(f"--methods {name}: {folder} restores RGB; use --colour rgb, or a restorer of luminance")
    if "rgb" in colours and through and (channels == 3) != (through == "rgb"):
        kind, cure = ("RGB", "rgb") if channels == 3 else ("luminance", "ycbcr or luma")
        raise InputError(f"--methods {name}: {folder} restores {kind}; use --through {cure}, or leave it out")


def restore(restorer: "Restorer", through: str, image: np.ndarray) -> np.ndarray:
    """Restore an image. Shape: (H, W) or (H, W, 3) uint8 -> the same.

    `through` says how RGB is restored: "rgb" by a model of RGB; by one of luminance "ycbcr" channel by channel in
    YCbCr, or "luma" in Y alone. "" is rgb or ycbcr, as the model was trained.
    """
    if image.ndim == 2:
        plane: np.ndarray = restorer.restore_planes(image[None])[0]
        return plane
    if restorer.channels == 1 and through != "luma":
        planes = Image.fromarray(image).convert("YCbCr").split()
        restored = [Image.fromarray(restorer.restore_planes(np.asarray(plane)[None])[0]) for plane in planes]
        return np.asarray(Image.merge("YCbCr", restored).convert("RGB"))
    return np.asarray(restorer.restore_image(Image.fromarray(image)))
