"""Detectors of the YOLOX layout, without the network: image -> input, raw head -> boxes.

The input is BGR in 0..255, the image in its top left corner and 114 elsewhere. The head has a row for each cell of
three grids (strides 8, 16 and 32): centre and logarithmic size in units of the stride, the chance of an object, and
the chance of each class given one.
"""

import numpy as np
from PIL import Image

from ced.vision.boxes import clip, suppress_by_class
from ced.vision.objects import Detections

STRIDES = (8, 16, 32)
FILL = 114
SCORE = 0.01  # less sure ones are dropped: they cost time and hardly move the average precision
OVERLAP = 0.5  # more of it with a surer one of the same class: the same object again
_BEFORE_CLASSES = 5  # x, y, width, height, object


def cells(side: int) -> int:
    """Rows of the head for an input of side x side."""
    return sum((side // stride) ** 2 for stride in STRIDES)


def letterbox(rgb: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """The network's input, and its scale against the image. Shape: (H, W, 3) uint8 -> (1, 3, side, side) float32."""
    height, width = rgb.shape[:2]
    scale = min(side / height, side / width)
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    canvas = np.full((side, side, 3), FILL, np.uint8)
    canvas[: size[1], : size[0]] = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
    return np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], np.float32), scale


def decode(head: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of the input, and the score of each class. Shape: (N, 5 + C) -> (N, 4), (N, C) float32."""
    grids = [np.indices((side // stride, side // stride))[::-1].reshape(2, -1).T for stride in STRIDES]
    strides = np.concatenate([np.full((len(g), 1), s) for g, s in zip(grids, STRIDES, strict=True)])
    centres = (head[:, :2] + np.concatenate(grids)) * strides
    halves = np.exp(head[:, 2:4].astype(np.float64)) * strides / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    return boxes, head[:, 4:5] * head[:, _BEFORE_CLASSES:]


def detections(head: np.ndarray, side: int, scale: float, columns: np.ndarray, size: tuple[int, int]) -> Detections:
    """What the head says of an image of `size` = (height, width), in its pixels, the surest first.

    `columns` are the places of VOC's classes among the detector's. Shape: (N, 5 + C) float32.
    """
    boxes, scores = decode(head, side)
    scores = scores[:, columns]
    rows, classes = np.nonzero(scores > SCORE)
    boxes, sure = clip(boxes[rows] / np.float32(scale), *size), scores[rows, classes]
    kept = suppress_by_class(boxes, sure, classes, OVERLAP)
    return Detections.of(boxes[kept], sure[kept], classes[kept])
