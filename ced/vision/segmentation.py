"""Mean intersection over union as Pascal VOC defines it: over all pixels of all images, void ones left out."""

from typing import NamedTuple

import numpy as np

from ced.vision.objects import SEGMENTS, VOID

SIZE = len(SEGMENTS)


class Agreement(NamedTuple):
    """IoU of each of the 21 classes (nan where neither masks nor predictions have it), and the mean of the others."""

    iou: np.ndarray  # (21,) float64
    mean: float


def confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """How many pixels of each true class (rows) were taken for each class (columns), void ones not counted.

    Shape: both (H, W) uint8 -> (21, 21) int64; a sum over images is the confusion of all. Raises ValueError.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"masks of different size: {truth.shape} and {predicted.shape}")
    counted = truth != VOID
    rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for what, values in (("true", rows), ("predicted", columns)):
        if values.size and not 0 <= values.min() <= values.max() < SIZE:
            raise ValueError(f"a {what} class of {values.max()}: masks hold 0 to {SIZE - 1}, and {VOID} for void")
    return np.bincount(SIZE * rows + columns, minlength=SIZE * SIZE).reshape(SIZE, SIZE)


def agreement(matrix: np.ndarray) -> Agreement:
    """IoU of a confusion matrix: right / (true or predicted). Shape: (21, 21) int64."""
    right = np.diag(matrix)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - right
    iou = np.divide(right, either, out=np.full(SIZE, np.nan), where=either > 0)
    there = iou[~np.isnan(iou)]
    return Agreement(iou, float(there.mean()) if len(there) else float("nan"))
