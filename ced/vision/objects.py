"""Pascal VOC's classes, and what is known of one of its images."""

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
    places = {name: place for place, name in enumerate(categories)}
    found = [places.get(name, places.get(_OTHER_NAMES.get(name, ""))) for name in CLASSES]
    missing = [name for name, place in zip(CLASSES, found, strict=True) if place is None]
    if missing:
        raise ValueError(f"no category for {', '.join(missing)}")
    return np.array(found, np.int64)


class Objects(NamedTuple):
    """The labelled objects of an image."""

    boxes: np.ndarray  # (N, 4) float32: x1, y1, x2, y2, 0-based and half open: the width is x2 - x1
    classes: np.ndarray  # (N,) uint8: places in CLASSES
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
