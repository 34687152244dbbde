"""Binary Parquet columns <-> stacked uint8 planes."""

import numpy as np
import pyarrow as pa

from ced.core.colour import luminance

_CHUNK = 1 << 30  # bytes of one Arrow array: its offsets are 32-bit


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


def luma_of(planes: np.ndarray) -> np.ndarray:
    """Luminance of stacked planes. Shape: (N, 1 or 3, H, W) uint8 -> (N, H, W) uint8."""
    return planes[:, 0] if planes.shape[1] == 1 else luminance(planes.transpose(0, 2, 3, 1))


def _binary(values: np.ndarray, size: int) -> pa.BinaryArray:
    offsets = pa.py_buffer(np.arange(len(values) + 1, dtype=np.int32) * np.int32(size))
    return pa.Array.from_buffers(pa.binary(), len(values), [None, offsets, pa.py_buffer(values)])


def _bytes_of(chunk: pa.BinaryArray, size: int) -> np.ndarray:
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    if chunk.null_count or not (np.diff(offsets) == size).all():
        raise ValueError(f"a binary column whose values are not all of {size} bytes")
    return np.frombuffer(chunk.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
