"""Damaged files beside their originals, as phones and messengers leave them: DIR/damaged and DIR/original, equal names.

Suffixes may differ, and both may have folders in them.
"""

from pathlib import Path, PurePosixPath

import numpy as np

from ced.core import jpeg
from ced.core.images import Rejected, opened, to_rgb
from ced.data import sources
from ced.data.sources import Photograph
from ced.errors import InputError
from ced.methods import Damaged

DAMAGED, ORIGINALS = "damaged", "original"  # folders
_LISTED = 3  # files that a message names
_ORIENTATION = 0x0112  # of EXIF: 1 where the pixels lie as they are shown


def find(folder: str, cache: Path | None = None) -> list[tuple[Photograph, Photograph]]:
    """The original and the damaged file of each pair, in the order of the originals. Raises InputError where a file
    has no partner, or two of a folder have one name."""
    sides = []
    for name in (ORIGINALS, DAMAGED):
        if not Path(folder, name).is_dir():
            raise InputError(f"--pairs {folder}: no folder {name} in it; give one with {DAMAGED} and {ORIGINALS}")
        named: dict[str, Photograph] = {}
        for photograph in sources.find((str(Path(folder, name)),), cache=cache):
            stem = str(PurePosixPath(photograph.name.partition("/")[2]).with_suffix(""))
            if stem in named:
                raise InputError(
                    f"--pairs {folder}: {named[stem].name} and {photograph.name}: which one is it? Keep one"
                )
            named[stem] = photograph
        sides.append(named)
    originals, damaged = sides
    alone = [photograph.name for named, other in ((originals, damaged), (damaged, originals))
             for stem, photograph in named.items() if stem not in other]  # fmt: skip
    if alone:
        more = f" and {len(alone) - _LISTED} more" if len(alone) > _LISTED else ""
        raise InputError(
            f"--pairs {folder}: {', '.join(alone[:_LISTED])}{more}: no partner of the same name; add or remove"
        )
    return [(photograph, damaged[stem]) for stem, photograph in originals.items()]


def read(photograph: Photograph, original: np.ndarray) -> Damaged:
    """A damaged file as it is, in RGB, with the quality factor that its tables are nearest to. Shape of the original:
    (H, W, 3) uint8. Raises Rejected for what is no JPEG, turned by EXIF, or of another size."""
    stream = sources.read(photograph)
    with opened(stream) as image:
        quality = jpeg.quality_of_opened(image) if image.format in jpeg.NAMES else None
        if quality is None:
            raise Rejected("not a JPEG", f"{photograph.name} is {image.format}; methods restore JPEG files")
        if image.getexif().get(_ORIENTATION, 1) != 1:
            raise Rejected("turned", f"{photograph.name} is turned by its EXIF; save it as it is shown, without loss")
        pixels = np.asarray(to_rgb(image))
    if pixels.shape != original.shape:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (pixels.shape, original.shape)]
        raise Rejected("another size", f"{photograph.name} has {sizes[0]} pixels, its original {sizes[1]}")
    return Damaged(photograph.name, quality, stream, pixels)
