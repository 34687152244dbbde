"""How an image lies in a model's input, and the model's answer at the image's size again; without the models.

Detectors have the layout of YOLOX. Their input is BGR in 0..255, the image in its top left corner and 114 elsewhere.
The head has a row for each cell of three grids (strides 8, 16 and 32): centre and logarithmic size in units of the
stride, the chance of an object, and the chance of each class given one.

Segmenters take the image in the top left corner of a canvas filled with the middle gray 128 (zero, to the network).
With the fit "native" it keeps its size, and only one that is larger than the canvas is scaled down: so DeepLab was
tested by its authors, and so its masks of undamaged images are best. With "scaled" its longer side takes the whole
canvas: the resampling blurs the borders of JPEG's blocks, and hides much of the damage (docs/log.md).
"""

import numpy as np
from PIL import Image

from ced.vision.objects import SEGMENTS, Detections, clip, suppress_by_class

STRIDES = (8, 16, 32)
SCORE = 0.01  # less sure detections are dropped: they cost time and hardly move the average precision
OVERLAP = 0.5  # more of it with a surer one of the same class: the same object again
FILL = 128  # around the image in a segmenter's input
_DETECTOR_FILL = 114
_BEFORE_CLASSES = 5  # x, y, width, height, object
Size = tuple[int, int]  # height, width


def cells(side: int) -> int:
    """Rows of the head for an input of side x side."""
    return sum((side // stride) ** 2 for stride in STRIDES)


def detector_input(rgb: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """The network's input, and its scale against the image. Shape: (H, W, 3) uint8 -> (1, 3, side, side) float32."""
    height, width = rgb.shape[:2]
    scale = min(side / height, side / width)
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    canvas = np.full((side, side, 3), _DETECTOR_FILL, np.uint8)
    canvas[: size[1], : size[0]] = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
    return np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], np.float32), scale


def decode_head(head: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of the input, and the score of each class. Shape: (N, 5 + C) -> (N, 4), (N, C) float32."""
    grids = [np.indices((side // stride, side // stride))[::-1].reshape(2, -1).T for stride in STRIDES]
    strides = np.concatenate([np.full((len(g), 1), s) for g, s in zip(grids, STRIDES, strict=True)])
    centres = (head[:, :2] + np.concatenate(grids)) * strides
    halves = np.exp(head[:, 2:4].astype(np.float64)) * strides / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    return boxes, head[:, 4:5] * head[:, _BEFORE_CLASSES:]


def detections(head: np.ndarray, side: int, scale: float, columns: np.ndarray, size: Size) -> Detections:
    """What the head says of an image of `size` = (height, width), in its pixels, the surest first.

    `columns` are the indices of VOC's classes among the detector's. Shape: (N, 5 + C) float32.
    """
    boxes, scores = decode_head(head, side)
    scores = scores[:, columns]
    rows, classes = np.nonzero(scores > SCORE)
    boxes, sure = clip(boxes[rows] / np.float32(scale), *size), scores[rows, classes]
    kept = suppress_by_class(boxes, sure, classes, OVERLAP)
    return Detections.of(boxes[kept], sure[kept], classes[kept])


def letterbox(rgb: np.ndarray, size: Size | None, fit: str = "native") -> tuple[np.ndarray, Size]:
    """The canvas, and the part of it that the image takes. Shape: (H, W, 3) uint8 -> (*size, 3) uint8.

    Without a `size` the canvas is the image.
    """
    height, width = rgb.shape[:2]
    if size is None:
        return rgb, (height, width)
    scale = min(size[0] / height, size[1] / width)
    scale = min(scale, 1.0) if fit == "native" else scale
    taken = (max(1, round(height * scale)), max(1, round(width * scale)))
    canvas = np.full((*size, 3), FILL, np.uint8)
    image = Image.fromarray(rgb)
    canvas[: taken[0], : taken[1]] = np.asarray(image.resize(taken[::-1], Image.Resampling.BILINEAR))
    return canvas, taken


def class_map(answer: np.ndarray, canvas: Size) -> np.ndarray:
    """The class of each pixel of the canvas, from classes or from scores of 21 classes at any resolution.

    Shape: (1, h, w), (1, 1, h, w), (1, h, w, 1), (1, 21, h, w) or (1, h, w, 21) -> (H, W) uint8. Raises ValueError.
    """
    plane = answer[0] if answer.ndim in (3, 4) and answer.shape[0] == 1 else answer
    if plane.ndim == 3 and 1 in (plane.shape[0], plane.shape[2]):
        plane = plane.reshape([side for axis, side in enumerate(plane.shape) if (axis, side) not in ((0, 1), (2, 1))])
    if plane.ndim == 2:
        return _resize(_checked(plane), canvas)
    if plane.ndim == 3 and len(SEGMENTS) in (plane.shape[0], plane.shape[2]):
        scores = plane if plane.shape[0] == len(SEGMENTS) else plane.transpose(2, 0, 1)
        whole = np.stack([_resize(score.astype(np.float32), canvas) for score in scores])
        classes: np.ndarray = whole.argmax(0).astype(np.uint8)
        return classes
    raise ValueError(f"an answer of shape {answer.shape}: neither classes nor scores of {len(SEGMENTS)} classes")


def unletterbox(classes: np.ndarray, taken: Size, size: Size) -> np.ndarray:
    """The image's part of the canvas at the image's size. Shape: (H, W) uint8 -> size."""
    return _resize(classes[: taken[0], : taken[1]], size)


def _checked(classes: np.ndarray) -> np.ndarray:
    if classes.size and not 0 <= classes.min() <= classes.max() < len(SEGMENTS):
        raise ValueError(f"classes {classes.min()} to {classes.max()}; VOC's are 0 to {len(SEGMENTS) - 1}")
    return classes.astype(np.uint8)


def _resize(plane: np.ndarray, size: Size) -> np.ndarray:
    """Scores bilinearly, classes to the nearest."""
    if plane.shape == size:
        return plane
    how = Image.Resampling.BILINEAR if plane.dtype == np.float32 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size[::-1], how))
