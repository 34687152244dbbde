"""What Table 3 scores, as Pascal VOC defines it: average precision of boxes, intersection over union of pixels.

A box is right at an overlap of at least one half, and difficult objects are left out. The pixels of all images are
counted together, void ones left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ced.vision.objects import CLASSES, SEGMENTS, VOID, Detections, Objects, overlaps

OVERLAP = 0.5
SIZE = len(SEGMENTS)


class Matches(NamedTuple):
    """How a class was found, detection by detection in order of falling score."""

    right: np.ndarray  # (N,) int64: true positives so far
    wrong: np.ndarray  # (N,) int64: false positives so far
    objects: int  # to be found


class Precision(NamedTuple):
    """Average precision of each class; nan where the images have none of it."""

    eleven_point: np.ndarray  # (20,) float64, VOC 2007
    area: np.ndarray  # (20,) float64, VOC 2010 and later


def precision(truths: Sequence[Objects], detections: Sequence[Detections]) -> Precision:
    """AP at 0.5 of the `detections` in images whose objects are `truths`. The order of the images plays no part."""
    curves = [matches(truths, detections, number) for number in range(len(CLASSES))]
    return Precision(np.array([*map(eleven_point, curves)]), np.array([*map(area, curves)]))


def matches(truths: Sequence[Objects], detections: Sequence[Detections], number: int) -> Matches:
    """Match the detections of class `number`, the surest first.

    A detection is right where the object of its class that it overlaps most, by one half or more, was not found
    before; it does not count where that object is difficult; else it is wrong.
    """
    judged = [_judge(truth, detected, number) for truth, detected in zip(truths, detections, strict=True)]
    scores = np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in judged)])
    verdicts = np.concatenate([np.empty(0, np.int64), *(verdicts for _, verdicts in judged)])
    # Of equal scores the wrong ones first: no order of the images can then make the precision look better.
    order = np.lexsort((verdicts, -scores))
    verdicts = verdicts[order]
    verdicts = verdicts[verdicts != _IGNORED]
    objects = sum(int(((truth.classes == number) & ~truth.difficult).sum()) for truth in truths)
    return Matches(np.cumsum(verdicts == _RIGHT), np.cumsum(verdicts == _WRONG), objects)


def eleven_point(matched: Matches) -> float:
    """VOC 2007: the mean, at recalls 0, 0.1, ..., 1, of the best precision at that recall or more."""
    if not matched.objects:
        return float("nan")
    best = _best_from_here(matched)
    # In whole numbers, which are exact.
    reached = [np.flatnonzero(10 * matched.right >= tenth * matched.objects) for tenth in range(11)]
    return float(sum(best[places[0]] if len(places) else 0.0 for places in reached) / 11)


def area(matched: Matches) -> float:
    """VOC 2010 and later: the area under the best precision at each recall or more."""
    if not matched.objects:
        return float("nan")
    steps = np.diff(matched.right, prepend=0)
    return float((steps * _best_from_here(matched)).sum() / matched.objects)


def mean(values: np.ndarray) -> float:
    """The mean of what is there; nan where nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


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


def intersection_over_union(matrix: np.ndarray) -> np.ndarray:
    """Of each class: right / (true or predicted), nan where neither masks nor predictions have it.

    Shape: a confusion matrix, (21, 21) int64 -> (21,) float64.
    """
    right = np.diag(matrix)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - right
    iou: np.ndarray = np.divide(right, either, out=np.full(SIZE, np.nan), where=either > 0)
    return iou


_WRONG, _IGNORED, _RIGHT = 0, 1, 2


def _judge(truth: Objects, detected: Detections, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and verdicts of one image's detections of a class."""
    mine, there = detected.classes == number, truth.classes == number
    scores, difficult = detected.scores[mine], truth.difficult[there]
    verdicts = np.full(len(scores), _WRONG)
    if not there.any():
        return scores, verdicts
    pairs = overlaps(detected.boxes[mine], truth.boxes[there])
    taken = np.zeros(len(difficult), bool)
    for index in np.argsort(-scores, kind="stable"):
        nearest = pairs[index].argmax()
        if pairs[index, nearest] < OVERLAP:
            continue
        if difficult[nearest]:
            verdicts[index] = _IGNORED
        elif not taken[nearest]:
            verdicts[index], taken[nearest] = _RIGHT, True
    return scores, verdicts


def _best_from_here(matched: Matches) -> np.ndarray:
    """The highest precision at each detection or any later one."""
    precisions = matched.right / (matched.right + matched.wrong)
    best: np.ndarray = np.maximum.accumulate(precisions[::-1])[::-1]
    return best
