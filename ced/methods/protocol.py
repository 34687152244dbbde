"""The protocol of a method: a damaged image in, a restored one out, or a reason why not."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ced.core import jpeg
from ced.errors import first_line


@dataclass(frozen=True, eq=False)
class Damaged:
    """One JPEG to restore. `name` is the image's identity, the path within its source."""

    name: str
    quality: int  # of the JPEG
    stream: bytes
    image: np.ndarray  # the stream decoded: (H, W) uint8 luminance or (H, W, 3) uint8 RGB

    @classmethod
    def of(cls, name: str, quality: int, original: np.ndarray) -> "Damaged":
        """What is left of an original, (H, W) or (H, W, 3) uint8, at a quality factor."""
        stream = jpeg.encode(original, quality)
        return cls(name, quality, stream, jpeg.decode(stream))


class Failed(Exception):
    """A method that could not restore an image: `reason` is one of a few words, `message` says more in one line."""

    def __init__(self, reason: str, message: str):
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.message)


class Method(Protocol):
    """Anything that restores."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def colour(self) -> str:
        """ "rgb" where it takes colour images alone, "any" where it takes planes of luminance too."""

    @property
    def timed(self) -> bool:
        """Whether the time that `restore` takes is the method's own: not so where results are only read."""

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The restored image, of the shape and type of `damaged.image`. Raises Failed."""


def checked(method: Method, damaged: Damaged) -> np.ndarray:
    """What `method` makes of an image, found to be an image of the same size. Raises Failed for whatever goes wrong."""
    try:
        restored = method.restore(damaged)
    except Failed:
        raise
    except Exception as error:
        raise Failed("error", f"{type(error).__name__}: {first_line(error, 300, otherwise='')}") from error
    if restored.shape != damaged.image.shape or restored.dtype != np.uint8:
        raise Failed("another size", f"{_size(restored)}, not {_size(damaged.image)}")
    return restored


def _size(image: np.ndarray) -> str:
    if image.ndim not in (2, 3) or image.dtype != np.uint8:
        return f"{image.dtype} {image.shape}"
    return f"{image.shape[1]}x{image.shape[0]}{' RGB' if image.ndim == 3 else ''}"
