"""VOC's classes and boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.vision import objects
from ced.vision.objects import clip, overlaps, suppress, suppress_by_class


def test_the_lists_have_the_lengths_of_their_data_sets() -> None:
    assert (len(objects.CLASSES), len(objects.SEGMENTS), len(objects.COCO)) == (20, 21, 80)
    assert len(set(objects.COCO)) == 80
    assert list(objects.CLASSES) == sorted(objects.CLASSES)  # VOC numbers its classes by the alphabet


def test_each_class_is_found_among_cocos_under_its_other_name() -> None:
    names = [objects.COCO[place] for place in objects.columns(objects.COCO)]
    differ = {ours: theirs for ours, theirs in zip(objects.CLASSES, names, strict=True) if ours != theirs}
    assert differ == {
        "aeroplane": "airplane",
        "diningtable": "dining table",
        "motorbike": "motorcycle",
        "pottedplant": "potted plant",
        "sofa": "couch",
        "tvmonitor": "tv",
    }


def test_vocs_own_classes_stay_where_they_are() -> None:
    assert objects.columns(objects.CLASSES).tolist() == list(range(20))
    assert objects.columns(objects.SEGMENTS).tolist() == list(range(1, 21))


def test_categories_without_one_are_named() -> None:
    with pytest.raises(ValueError, match="no category for cow, tvmonitor"):
        objects.columns(tuple(name for name in objects.COCO if name not in ("cow", "tv")))


def test_no_objects_have_the_shapes_of_none() -> None:
    nothing = objects.Objects.of([], [], [])
    assert (nothing.boxes.shape, nothing.classes.shape, nothing.difficult.shape) == ((0, 4), (0,), (0,))
    found = objects.Detections.of([[1, 2, 3, 4]], [0.5], [7])
    assert (found.boxes.dtype, found.scores.dtype, found.classes.dtype) == (np.float32, np.float32, np.uint8)


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
