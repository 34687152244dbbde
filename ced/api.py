"""Restoration from Python: `from ced import Restorer`.

This `Restorer` is for whoever uses ced: any photograph in, a Pillow image out. It asks a `Family` which network a
photograph gets; one such network is the `Restorer` of ced.restoration.restorer, which is for whoever works on ced.
"""

import os
import weakref
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from ced.core import images, jpeg
from ced.core.encoding import Writing
from ced.core.images import MAX_BYTES, Rejected
from ced.data import sources
from ced.decoding import Decoded, Decoder
from ced.errors import InputError
from ced.restoration.family import FAITHFUL, RELEASED, Family
from ced.restoration.files import restore_file

Photograph: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray"


class Restorer:
    """Restores photographs, one after the other; threads may share it, and it can be pickled.

        restorer = Restorer.released()
        restorer.restore("photo.jpg").save("photo.png")

    Files are decoded in a process of its own, which a hostile one cannot leave, and which ends with the restorer. A
    fork of this process starts another.
    """

    def __init__(self, family: Family):
        self.family = family
        self._decoder = Decoder()
        weakref.finalize(self, self._decoder.close)

    @classmethod
    def released(cls, *, faithful: bool = False, all_qualities: bool = False, device: str = "cpu") -> Self:
        """What comes with ced: sharp (CED-GT), or `faithful`, smooth and nearest to the pixels (ED).

        JPEGs of a quality factor above 70 (faithful: 90) stay as they are, since they would become worse;
        `all_qualities` restores them too.
        """
        family = Family.load(FAITHFUL if faithful else RELEASED)
        return cls((family.everything() if all_qualities else family).on(device))

    @classmethod
    def load(cls, model: str | os.PathLike[str], *, device: str = "cpu") -> Self:
        """The restorer in a folder that ced made, such as `models/ced-gt/restorer`. Raises CedError."""
        return cls(Family.load(Path(model)).on(device))

    def restore(self, photograph: Photograph, *, quality: int | None = None, damaged: bool = False) -> Image.Image:
        """The restored photograph, of the same size, upright; as it was, where it is better left alone.

        `photograph` is
        - a file: its path or address (s3://...), its bytes, or what `open(path, "rb")` gives;
        - a Pillow image;
        - an array of shape (H, W), gray, or (H, W, 3), RGB, of uint8.

        The result is of mode L where the photograph is gray, else RGB, with an alpha channel where something shines
        through; a file that is left alone comes in the mode that it has. `info` has the colour profile, "icc_profile".

        `quality`, the JPEG quality factor (1 to 100), chooses the network for an array or an image, whose pixels do not
        say it; a file says it itself, and so does an image that Pillow read of a JPEG. `damaged`: a JPEG that ends too
        early is restored as far as it goes.

        Raises `ced.CedError` where there is nothing to restore (no such file, another shape or type), `ced.Rejected`
        where a file is no image, damaged or beyond ced's limits: `reason` is a word for it, the text says more.
        """
        if isinstance(photograph, np.ndarray):
            return Image.fromarray(self._restored(_checked(photograph), quality))
        if isinstance(photograph, Image.Image):
            return self._restored_image(photograph, quality)
        restored = restore_file(_read(photograph), self.family, self._decoder, Writing(damaged=damaged))
        return images.open_upright(restored.data)

    def _restored_image(self, image: Image.Image, quality: int | None) -> Image.Image:
        chroma = jpeg.chroma_quality_of_opened(image) if quality is None else None
        known = jpeg.quality_of_opened(image) if quality is None else quality
        plain = images.plain(ImageOps.exif_transpose(image))
        restored = Image.fromarray(self._restored(plain.pixels, known, chroma))
        if plain.alpha is not None:
            restored.putalpha(Image.fromarray(plain.alpha))
        if plain.icc_profile:
            restored.info["icc_profile"] = plain.icc_profile
        return restored

    def _restored(self, pixels: np.ndarray, quality: int | None, chroma_quality: int | None = None) -> np.ndarray:
        if quality is not None and not 1 <= quality <= 100:
            raise InputError(f"quality {quality}: use a JPEG quality factor, 1 to 100, or None where it is not known")
        photograph = Decoded(pixels, quality, chroma_quality=chroma_quality)
        return self.family.choose(photograph).pixels(photograph)

    def __reduce__(self) -> tuple[type[Self], tuple[Family]]:
        return type(self), (self.family,)


def _read(file: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    """The bytes of a file. Raises InputError, Rejected."""
    if isinstance(file, str | os.PathLike):
        found = [] if os.path.isdir(file) else sources.find((os.fspath(file),))
        if len(found) != 1:
            raise InputError(f"{os.fspath(file)}: is no single photograph; name one, or use `ced restore` for many")
        return sources.read(found[0])
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    if not callable(getattr(file, "read", None)):
        raise InputError(f"a {type(file).__name__} is no photograph; give a path, bytes, an open file, image or array")
    data = file.read(MAX_BYTES + 1)
    if not isinstance(data, bytes):
        raise InputError('the file is open as text; open it with mode "rb"')
    if len(data) > MAX_BYTES:
        raise Rejected("too large", f"more than {MAX_BYTES} bytes")
    return data


def _checked(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise InputError(f"array of {pixels.dtype}, shape {pixels.shape}; give (H, W) or (H, W, 3) of uint8")
    return pixels
