"""Confusion and IoU against scikit-learn, a slow loop, and what must hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, jaccard_score

from ced.vision import segmentation
from ced.vision.objects import VOID

VALUES = st.sampled_from([0, 1, 2, 15, 20, VOID])
MASKS = arrays(np.uint8, (6, 7), elements=VALUES)
LABELS = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 15, 20]))


@given(MASKS, LABELS)
def test_confusion_and_iou_are_scikit_learns(truth: np.ndarray, predicted: np.ndarray) -> None:
    kept = truth != VOID
    found = segmentation.confusion(truth, predicted)
    assert found.dtype == np.int64
    if not kept.any():
        assert not found.any()
        return
    assert np.array_equal(found, confusion_matrix(truth[kept], predicted[kept], labels=range(21)))
    there = sorted({*truth[kept].tolist(), *predicted[kept].tolist()})
    expected = jaccard_score(truth[kept], predicted[kept], labels=there, average=None)
    ours = segmentation.agreement(found)
    assert ours.iou[there] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(np.delete(ours.iou, there)).all()
    assert ours.mean == pytest.approx(expected.mean(), abs=1e-12)


@given(MASKS, LABELS)
def test_each_pixel_is_counted_once(truth: np.ndarray, predicted: np.ndarray) -> None:
    expected = np.zeros((21, 21), np.int64)
    for row, column in zip(truth.ravel(), predicted.ravel(), strict=True):
        if row != VOID:
            expected[row, column] += 1
    assert np.array_equal(segmentation.confusion(truth, predicted), expected)


@given(st.lists(st.tuples(MASKS, LABELS), min_size=1, max_size=4))
def test_the_sum_over_images_is_that_of_all_pixels(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    one_by_one = sum(segmentation.confusion(*pair) for pair in pairs)
    truths, labels = (np.concatenate(some) for some in zip(*pairs, strict=True))
    assert np.array_equal(one_by_one, segmentation.confusion(truths, labels))


@given(MASKS)
def test_a_perfect_segmentation_has_an_iou_of_one_whatever_it_says_of_void(truth: np.ndarray) -> None:
    predicted = np.where(truth == VOID, 7, truth).astype(np.uint8)
    ours = segmentation.agreement(segmentation.confusion(truth, predicted))
    assert (ours.mean == 1) if (truth != VOID).any() else math.isnan(ours.mean)


def test_a_worked_example() -> None:
    truth = np.array([[0, 0, 15, 15], [VOID, 0, 15, VOID]], np.uint8)
    predicted = np.array([[0, 15, 15, 15], [3, 0, 0, 15]], np.uint8)
    ours = segmentation.agreement(segmentation.confusion(truth, predicted))
    assert (ours.iou[0], ours.iou[15], ours.mean) == (2 / 4, 2 / 4, 0.5)
    assert np.isnan(ours.iou[3])  # said of a void pixel alone


@pytest.mark.parametrize(("truth", "predicted"), [(21, 0), (0, 21), (0, VOID)])
def test_classes_that_are_none_are_refused(truth: int, predicted: int) -> None:
    with pytest.raises(ValueError, match="masks hold 0 to 20, and 255 for void"):
        segmentation.confusion(np.full((2, 2), truth, np.uint8), np.full((2, 2), predicted, np.uint8))


def test_masks_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="different size"):
        segmentation.confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
