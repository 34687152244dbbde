"""Pascal VOC's classes, what is known of one of its images, and boxes.

Boxes are (x1, y1, x2, y2) in pixels, 0-based and half open: the width is x2 - x1.
"""

from typing import NamedTuple, Self

import numpy as np

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
SEGMENTS = ("background", *CLASSES)  # the values of a segmentation mask
VOID = 255  # a mask's value for borders and whatever is not labelled

COCO = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)  # the 80 classes of COCO's detection task, in the order of its category numbers

_OTHER_NAMES = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}


def columns(categories: tuple[str, ...]) -> np.ndarray:
    """Where each VOC class is among a detector's categories, under VOC's name or COCO's. Shape: (20,) int64.

    Raises ValueError where a class is missing.
    """
    indices = {name: index for index, name in enumerate(categories)}
    columns = [indices.get(name, indices.get(_OTHER_NAMES.get(name, ""))) for name in CLASSES]
    missing = [name for name, index in zip(CLASSES, columns, strict=True) if index is None]
    if missing:
        raise ValueError(f"no category for {', '.join(missing)}")
    return np.array(columns, np.int64)


class Objects(NamedTuple):
    """The labelled objects of an image."""

    boxes: np.ndarray  # (N, 4) float32: x1, y1, x2, y2
    classes: np.ndarray  # (N,) uint8: indices in CLASSES
    difficult: np.ndarray  # (N,) bool: neither finding nor missing it counts

    @classmethod
    def of(cls, boxes: object, classes: object, difficult: object) -> Self:
        """From plain lists."""
        return cls(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray(classes, np.uint8).reshape(-1),
            np.asarray(difficult, bool).reshape(-1),
        )


class Detections(NamedTuple):
    """What a detector found in an image."""

    boxes: np.ndarray  # (N, 4) float32, as in Objects
    scores: np.ndarray  # (N,) float32
    classes: np.ndarray  # (N,) uint8

    @classmethod
    def of(cls, boxes: object, scores: object, classes: object) -> Self:
        """From plain lists."""
        return cls(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray(scores, np.float32).reshape(-1),
            np.asarray(classes, np.uint8).reshape(-1),
        )


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs; 0 where a box is empty. Shape: (N, 4), (M, 4) -> (N, M) float64."""
    a, b = some.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    union = _area(a) + _area(b) - shared
    share: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return share


def clip(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The parts of the boxes inside an image. Shape: (N, 4) -> the same."""
    inside: np.ndarray = np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))
    return inside


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Non-maximum suppression: the best box, then the best that overlaps no kept one by more than `overlap`, ...

    Shape: (N, 4), (N,) -> (K,) int64, indices in order of falling score.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlaps(boxes[best : best + 1], boxes[left])[0] <= overlap]
    return np.array(kept, np.int64)


def suppress_by_class(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """`suppress` within each class. Shape: (N, 4), (N,), (N,) -> (K,) int64, in order of falling score."""
    kept = [np.empty(0, np.int64)]
    for number in np.unique(classes):
        indices = np.flatnonzero(classes == number)
        kept.append(indices[suppress(boxes[indices], scores[indices], overlap)])
    together = np.concatenate(kept)
    return together[np.lexsort((together, -scores[together]))]


def _area(boxes: np.ndarray) -> np.ndarray:
    area: np.ndarray = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)
    return area
