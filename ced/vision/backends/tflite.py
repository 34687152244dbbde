"""TFLite files, run by LiteRT on one core (Ray runs one task a core)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ced.errors import FormatError, first_line
from ced.vision import letterbox
from ced.vision.backends.packages import needed


class Segmenter:
    """A segmenter with VOC's 21 classes of DeepLab's layout: NHWC, uint8 in 0..255 or float32 in -1..1."""

    def __init__(self, path: Path, fit: str):
        runtime = needed("ai_edge_litert.interpreter", "ai-edge-litert", path)
        try:
            with _silent():
                self._interpreter = runtime.Interpreter(str(path), num_threads=1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise FormatError(f"{path}: not a TFLite model that LiteRT runs ({first_line(error)})") from error
        taken = self._interpreter.get_input_details()[0]
        shape = [int(side) for side in taken["shape"]]
        if len(shape) != 4 or shape[3] != 3 or taken["dtype"] not in (np.uint8, np.float32):
            raise FormatError(f"{path}: takes {taken['dtype'].__name__} {shape}, a segmenter takes one RGB image, NHWC")
        self._input, self._float, self._size = taken["index"], taken["dtype"] == np.float32, (shape[1], shape[2])
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._path, self._fit = path, fit
        self.segment(np.zeros((*self._size, 3), np.uint8))

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """The class of each pixel. Shape: (H, W, 3) uint8 -> (H, W) uint8."""
        laid, taken = letterbox.place(rgb, self._size, self._fit)
        x = (laid / 127.5 - 1).astype(np.float32) if self._float else laid
        self._interpreter.set_tensor(self._input, x[None])
        self._interpreter.invoke()
        try:
            found = letterbox.labels(self._interpreter.get_tensor(self._output), self._size)
        except ValueError as error:
            raise FormatError(f"{self._path}: {error}") from error
        return letterbox.back(found, taken, rgb.shape[:2])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """LiteRT announces its kernels on the standard error of the process, and has no switch for that."""
    former, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(former, 2)
        os.close(former)
        os.close(nothing)
