"""ONNX files, run by onnxruntime on one core (Ray runs one task a core)."""

from pathlib import Path
from typing import Any

import numpy as np

from ced.errors import FormatError, first_line
from ced.vision import letterbox, objects, yolox
from ced.vision.backends.packages import needed

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, what torchvision's exports expect
_OTHER_COLUMNS = 5  # of a YOLOX head: x, y, width, height, object
_CATEGORIES = {len(objects.COCO): objects.COCO, len(objects.CLASSES): objects.CLASSES}


class Detector:
    """A detector of the YOLOX layout (ced.vision.yolox) with COCO's 80 classes or VOC's 20."""

    def __init__(self, path: Path):
        self._session = _open(path)
        self._side = _side(self._session, path)
        head = self._run(np.zeros((1, 3, self._side, self._side), np.float32))
        cells = yolox.cells(self._side)
        categories = _CATEGORIES.get(head.shape[-1] - _OTHER_COLUMNS) if head.shape[:-1] == (1, cells) else None
        if categories is None:
            raise FormatError(
                f"{path}: answers {list(head.shape)}, a YOLOX head is [1, {cells}, 85] (COCO) or 25 (VOC)"
            )
        self._columns = objects.columns(categories)

    def detect(self, rgb: np.ndarray) -> objects.Detections:
        """Boxes in pixels of the image, the surest first. Shape: (H, W, 3) uint8."""
        taken, scale = yolox.letterbox(rgb, self._side)
        head = self._run(taken)[0]
        return yolox.detections(head, self._side, scale, self._columns, (rgb.shape[0], rgb.shape[1]))

    def _run(self, taken: np.ndarray) -> np.ndarray:
        head: np.ndarray = self._session.run(None, {self._session.get_inputs()[0].name: taken})[0]
        return head


class Segmenter:
    """A segmenter with VOC's 21 classes: input NCHW or NHWC, uint8 in 0..255 or float32 normalised as ImageNet."""

    def __init__(self, path: Path, fit: str):
        self._session = _open(path)
        self._fit = fit
        taken = self._session.get_inputs()[0]
        shape = [side if isinstance(side, int) else None for side in taken.shape]
        if len(shape) != 4 or 3 not in (shape[1], shape[3]) or taken.type not in ("tensor(uint8)", "tensor(float)"):
            raise FormatError(f"{path}: takes {taken.type} {taken.shape}, a segmenter takes one RGB image")
        self._name, self._float, self._planes_first = taken.name, taken.type == "tensor(float)", shape[1] == 3
        height, width = shape[2:] if self._planes_first else shape[1:3]
        self._size = (height, width) if height and width else None
        self._path = path
        self.segment(np.zeros((self._size or (64, 64)) + (3,), np.uint8))

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """The class of each pixel. Shape: (H, W, 3) uint8 -> (H, W) uint8."""
        laid, taken = letterbox.place(rgb, self._size, self._fit)
        x = laid if not self._float else ((laid / 255 - _MEAN) / _DEVIATION).astype(np.float32)
        x = x.transpose(2, 0, 1) if self._planes_first else x
        answer = self._session.run(None, {self._name: np.ascontiguousarray(x[None])})[0]
        try:
            found = letterbox.labels(answer, laid.shape[:2])
        except ValueError as error:
            raise FormatError(f"{self._path}: {error}") from error
        return letterbox.back(found, taken, rgb.shape[:2])


def _open(path: Path) -> Any:
    runtime = needed("onnxruntime", "onnxruntime", path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FormatError(f"{path}: not an ONNX model that onnxruntime runs ({first_line(error)})") from error


def _side(session: Any, path: Path) -> int:
    taken = session.get_inputs()[0]
    shape = taken.shape
    square = len(shape) == 4 and shape[1] == 3 and isinstance(shape[2], int) and shape[2] == shape[3]
    if not square or shape[2] % yolox.STRIDES[-1] or taken.type != "tensor(float)":
        raise FormatError(f"{path}: takes {taken.type} {shape}; a YOLOX detector takes tensor(float) [1, 3, 416, 416]")
    return int(shape[2])
