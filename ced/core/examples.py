"""One photograph -> restoration examples: (target, input, JPEG stream) triples (section 4.1); and their planes as
binary columns of Parquet."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from ced.config import PrepareConfig
from ced.core import jpeg
from ced.core.images import Rejected, luminance

_CHUNK = 1 << 30  # bytes of one Arrow array: its offsets are 32-bit


class Example(NamedTuple):
    """A degraded image and what it was. Planes are (C, H, W) uint8."""

    image_id: str
    flip: bool
    quality: int
    target: np.ndarray
    input: np.ndarray
    jpeg: bytes


def examples(photograph: Image.Image, image_id: str, config: PrepareConfig, crops: int) -> Iterator[Example]:
    """The examples of one photograph, in mode RGB, named `image_id`.

    Mode "resize" gives the whole image at size x size; "crops" gives `crops` random crops named
    `image_id#0`, `#1`, ..., decided by the seed and the identity alone. Each comes with its flip where
    `config.flip`, and at a quality factor of its own where there are several. Raises Rejected where the
    photograph is smaller than a crop.
    """
    if config.mode == "resize":
        squares = iter([(image_id, photograph.resize((config.size, config.size), Image.Resampling.BICUBIC))])
    else:
        squares = _crops(photograph, image_id, config, crops)
    for name, square in squares:
        image = luminance(np.asarray(square)) if config.colour == "y" else np.asarray(square)
        yield _example(name, False, image, config)
        if config.flip:
            yield _example(name, True, np.ascontiguousarray(image[:, ::-1]), config)


def _crops(
    photograph: Image.Image, image_id: str, config: PrepareConfig, crops: int
) -> Iterator[tuple[str, Image.Image]]:
    width, height = photograph.size
    if min(height, width) < config.size:
        raise Rejected("too small", f"{width}x{height} pixels, a crop takes {config.size}x{config.size}")
    for index in range(crops):
        name = f"{image_id}#{index}"
        box = _random_box(height, width, config, _generator(config.seed, name))
        yield name, photograph.resize((config.size, config.size), Image.Resampling.BICUBIC, box=box)


def _random_box(
    height: int, width: int, config: PrepareConfig, generator: np.random.Generator
) -> tuple[int, int, int, int]:
    """Where a crop lies in the photograph: scale log-uniform between smallest_scale and 1, place uniform."""
    least = max(config.smallest_scale, config.size / min(height, width))
    scale = 2 ** generator.uniform(np.log2(least), 0.0)
    side = min(round(config.size / scale), height, width)
    top = int(generator.integers(0, height - side + 1))
    left = int(generator.integers(0, width - side + 1))
    return left, top, left + side, top + side


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def _example(name: str, flip: bool, image: np.ndarray, config: PrepareConfig) -> Example:
    quality = _quality(name, flip, config)
    stream = jpeg.encode(image, quality)
    return Example(name, flip, quality, _planes(image), _planes(jpeg.decode_own(stream, image.shape)), stream)


def _quality(name: str, flip: bool, config: PrepareConfig) -> int:
    choices = config.qualities
    if len(choices) == 1:
        return choices[0]
    return choices[int(_generator(config.seed, f"{name}/quality/{flip:d}").integers(len(choices)))]


def _planes(image: np.ndarray) -> np.ndarray:
    return image[None] if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))


def stack(column: pa.ChunkedArray, shape: tuple[int, ...]) -> np.ndarray:
    """The values of a binary column as one array. Shape: (rows, *shape) uint8. Raises ValueError.

    Every value must hold exactly the bytes of `shape`.
    """
    size = int(np.prod(shape))
    chunks = [_bytes_of(chunk, size) for chunk in column.chunks if len(chunk)]
    flat = np.concatenate(chunks) if chunks else np.empty(0, np.uint8)
    return flat.reshape(-1, *shape)


def binary(values: np.ndarray) -> pa.ChunkedArray:
    """The inverse of `stack`, without a copy. Shape: (rows, ...) uint8."""
    size = values.nbytes // max(len(values), 1)
    rows = max(1, _CHUNK // max(size, 1))
    pieces = [values[start : start + rows] for start in range(0, len(values), rows)]
    return pa.chunked_array([_binary(np.ascontiguousarray(piece), size) for piece in pieces], pa.binary())


def _binary(values: np.ndarray, size: int) -> pa.BinaryArray:
    offsets = pa.py_buffer(np.arange(len(values) + 1, dtype=np.int32) * np.int32(size))
    return pa.Array.from_buffers(pa.binary(), len(values), [None, offsets, pa.py_buffer(values)])


def _bytes_of(chunk: pa.BinaryArray, size: int) -> np.ndarray:
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    if chunk.null_count or not (np.diff(offsets) == size).all():
        raise ValueError(f"a binary column whose values are not all of {size} bytes")
    return np.frombuffer(chunk.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
