"""Overlap and non-maximum suppression, against pixels and against a slow obvious loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ced.vision.boxes import clip, overlaps, suppress, suppress_by_class

SIDE = 24


@st.composite
def whole_boxes(draw: st.DrawFn, most: int = 8) -> np.ndarray:
    """Boxes of whole pixels within SIDE x SIDE."""
    corner, size = st.integers(0, SIDE - 1), st.integers(1, SIDE)
    drawn = draw(st.lists(st.tuples(corner, corner, size, size), max_size=most))
    boxes = [(x, y, min(x + w, SIDE), min(y + h, SIDE)) for x, y, w, h in drawn]
    return np.array(boxes, np.float32).reshape(-1, 4)


def painted(box: np.ndarray) -> np.ndarray:
    canvas = np.zeros((SIDE, SIDE), bool)
    x1, y1, x2, y2 = box.astype(int)
    canvas[y1:y2, x1:x2] = True
    return canvas


@given(whole_boxes(), whole_boxes())
def test_overlap_is_that_of_the_painted_pixels(some: np.ndarray, others: np.ndarray) -> None:
    found = overlaps(some, others)
    assert found.shape == (len(some), len(others))
    for i, a in enumerate(some):
        for j, b in enumerate(others):
            expected = (painted(a) & painted(b)).sum() / (painted(a) | painted(b)).sum()
            assert found[i, j] == expected


def test_an_empty_box_overlaps_nothing_and_touching_is_no_overlap() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    assert overlaps(box, np.array([[5, 5, 5, 9], [9, 9, 2, 2], [10, 0, 20, 10]])).tolist() == [[0, 0, 0]]


def test_boxes_are_cut_at_the_image() -> None:
    assert clip(np.array([[-3.0, 2, 50, 9]]), 8, 40).tolist() == [[0, 2, 40, 8]]


def slow(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    kept: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda n: (-scores[n], n)):
        if all(overlaps(boxes[[place]], boxes[[k]])[0, 0] <= overlap for k in kept):
            kept.append(place)
    return kept


@given(whole_boxes(), st.sampled_from([0.3, 0.5, 0.7]), st.randoms(use_true_random=False))
def test_suppression_keeps_what_the_loop_keeps(boxes: np.ndarray, overlap: float, random: object) -> None:
    scores = np.array([random.randint(0, 3) / 3 for _ in boxes], np.float32)  # type: ignore[attr-defined]
    assert suppress(boxes, scores, overlap).tolist() == slow(boxes, scores, overlap)


@given(whole_boxes(), st.randoms(use_true_random=False))
def test_classes_do_not_suppress_each_other(boxes: np.ndarray, random: object) -> None:
    scores = np.array([random.random() for _ in boxes], np.float32)  # type: ignore[attr-defined]
    classes = np.array([random.randint(0, 2) for _ in boxes], np.int64)  # type: ignore[attr-defined]
    kept = suppress_by_class(boxes, scores, classes, 0.5)
    for one in range(3):
        places = np.flatnonzero(classes == one)
        expected = {int(places[n]) for n in slow(boxes[places], scores[places], 0.5)}
        assert {int(place) for place in kept if classes[place] == one} == expected
    assert (np.diff(scores[kept]) <= 0).all()
