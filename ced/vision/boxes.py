"""Boxes (x1, y1, x2, y2), 0-based and half open: overlap, and one box for each object."""

import numpy as np


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

    Shape: (N, 4), (N,) -> (K,) int64, places in order of falling score.
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
    for one in np.unique(classes):
        places = np.flatnonzero(classes == one)
        kept.append(places[suppress(boxes[places], scores[places], overlap)])
    found = np.concatenate(kept)
    return found[np.lexsort((found, -scores[found]))]


def _area(boxes: np.ndarray) -> np.ndarray:
    area: np.ndarray = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)
    return area
