"""Detectors and segmenters that others have trained, each from a file or from torchvision.

A spec is the path of an ONNX detector of the YOLOX layout, of an ONNX or TFLite segmenter, or `torchvision:NAME`.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from ced.errors import InputError
from ced.store.outputs import sha256
from ced.vision.backends import onnx, tflite, zoo
from ced.vision.objects import Detections

_ZOO = "torchvision:"


class Detector(Protocol):
    """Finds objects."""

    def detect(self, rgb: np.ndarray) -> Detections:
        """Boxes in pixels of the image. Shape: (H, W, 3) uint8."""


class Segmenter(Protocol):
    """Tells the class of each pixel."""

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """Places in ced.vision.objects.SEGMENTS. Shape: (H, W, 3) uint8 -> (H, W) uint8."""


def load_detector(spec: str) -> Detector:
    """Raises InputError where there is no such model or its package is missing, FormatError for another layout."""
    if spec.startswith(_ZOO):
        return zoo.Detector(spec.removeprefix(_ZOO))
    return onnx.Detector(_file(spec, "--detector", (".onnx",)))


def load_segmenter(spec: str, fit: str = "native") -> Segmenter:
    """`fit` (ced.vision.letterbox): how images lie in the input of a file's model; torchvision's scale as trained.

    Raises InputError where there is no such model or its package is missing, FormatError for another layout.
    """
    if spec.startswith(_ZOO):
        return zoo.Segmenter(spec.removeprefix(_ZOO))
    path = _file(spec, "--segmenter", (".tflite", ".onnx"))
    return tflite.Segmenter(path, fit) if path.suffix == ".tflite" else onnx.Segmenter(path, fit)


def title(spec: str) -> str:
    """What a model is called in tables."""
    return spec if spec.startswith(_ZOO) else Path(spec).name


def content(spec: str) -> str:
    """A digest of the model: of its file, or of the name and version of its weights."""
    return zoo.version(spec.removeprefix(_ZOO)) if spec.startswith(_ZOO) else sha256(Path(spec))


def _file(spec: str, option: str, suffixes: tuple[str, ...]) -> Path:
    path = Path(spec)
    if path.suffix not in suffixes:
        raise InputError(f"{option} {spec}: name a file that ends in {' or '.join(suffixes)}, or torchvision:NAME")
    if not path.is_file():
        raise InputError(f"{option} {spec}: no such file")
    return path
