"""Mean average precision as Pascal VOC defines it: overlap of at least one half, difficult objects left out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ced.vision.boxes import overlaps
from ced.vision.objects import CLASSES, Detections, Objects

OVERLAP = 0.5


class Curve(NamedTuple):
    """How a class was found, detection by detection in order of falling score."""

    right: np.ndarray  # (N,) int64: true positives so far
    wrong: np.ndarray  # (N,) int64: false positives so far
    objects: int  # to be found


class Precision(NamedTuple):
    """Average precision of each class (nan where the images have none of it), and the means over the others."""

    eleven_point: np.ndarray  # (20,) float64, VOC 2007
    area: np.ndarray  # (20,) float64, VOC 2010 and later
    mean_eleven_point: float
    mean_area: float


def precision(truths: Sequence[Objects], found: Sequence[Detections]) -> Precision:
    """AP at 0.5 of what was `found` in images whose objects are `truths`. The order of the images plays no part."""
    curves = [curve(truths, found, number) for number in range(len(CLASSES))]
    eleven = np.array([eleven_point(one) for one in curves])
    areas = np.array([area(one) for one in curves])
    return Precision(eleven, areas, mean(eleven), mean(areas))


def curve(truths: Sequence[Objects], found: Sequence[Detections], number: int) -> Curve:
    """Match the detections of class `number`, the surest first.

    A detection is right where the object of its class that it overlaps most, by one half or more, was not found
    before; it does not count where that object is difficult; else it is wrong.
    """
    judged = [_judge(truth, one, number) for truth, one in zip(truths, found, strict=True)]
    scores = np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in judged)])
    verdicts = np.concatenate([np.empty(0, np.int64), *(verdicts for _, verdicts in judged)])
    # Of equal scores the wrong ones first: no order of the images can then make the curve look better.
    order = np.lexsort((verdicts, -scores))
    verdicts = verdicts[order]
    verdicts = verdicts[verdicts != _IGNORED]
    objects = sum(int(((truth.classes == number) & ~truth.difficult).sum()) for truth in truths)
    return Curve(np.cumsum(verdicts == _RIGHT), np.cumsum(verdicts == _WRONG), objects)


def eleven_point(one: Curve) -> float:
    """VOC 2007: the mean, at recalls 0, 0.1, ..., 1, of the best precision at that recall or more."""
    if not one.objects:
        return float("nan")
    best = _best_from_here(one)
    reached = [np.flatnonzero(10 * one.right >= tenth * one.objects) for tenth in range(11)]  # in whole numbers: exact
    return float(sum(best[places[0]] if len(places) else 0.0 for places in reached) / 11)


def area(one: Curve) -> float:
    """VOC 2010 and later: the area under the best precision at each recall or more."""
    if not one.objects:
        return float("nan")
    steps = np.diff(one.right, prepend=0)
    return float((steps * _best_from_here(one)).sum() / one.objects)


def mean(values: np.ndarray) -> float:
    """The mean of what is there; nan where nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


_WRONG, _IGNORED, _RIGHT = 0, 1, 2


def _judge(truth: Objects, found: Detections, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and verdicts of one image's detections of a class."""
    mine, there = found.classes == number, truth.classes == number
    scores, difficult = found.scores[mine], truth.difficult[there]
    verdicts = np.full(len(scores), _WRONG)
    if not there.any():
        return scores, verdicts
    pairs = overlaps(found.boxes[mine], truth.boxes[there])
    taken = np.zeros(len(difficult), bool)
    for place in np.argsort(-scores, kind="stable"):
        nearest = pairs[place].argmax()
        if pairs[place, nearest] < OVERLAP:
            continue
        if difficult[nearest]:
            verdicts[place] = _IGNORED
        elif not taken[nearest]:
            verdicts[place], taken[nearest] = _RIGHT, True
    return scores, verdicts


def _best_from_here(one: Curve) -> np.ndarray:
    """The highest precision at each detection or any later one."""
    precisions = one.right / (one.right + one.wrong)
    best: np.ndarray = np.maximum.accumulate(precisions[::-1])[::-1]
    return best
