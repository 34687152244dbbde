"""The degradation: baseline JPEG at a quality factor (section 4.1), and its decoding."""

import io

import numpy as np
from PIL import Image


def encode(plane: np.ndarray, quality: int) -> bytes:
    """The JPEG stream of an image at IJG quality factor `quality` (1..100).

    Shape: (H, W) uint8 is coded as a one-channel image, (H, W, 3) uint8 as colour with 4:2:0 chroma.
    """
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def decode(stream: bytes) -> np.ndarray:
    """The image of a JPEG stream. Shape: (H, W) uint8 for one channel, else (H, W, 3) uint8 RGB."""
    with Image.open(io.BytesIO(stream), formats=["JPEG"]) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def decode_own(stream: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """`decode` of what `encode` made of an image of `shape`: without looking for its size first."""
    mode = "L" if len(shape) == 2 else "RGB"
    return np.asarray(Image.frombytes(mode, (shape[1], shape[0]), stream, "jpeg", mode, ""))
