"""VOC's classes, and where they are among the categories of other data sets."""

import numpy as np
import pytest

from ced.vision import objects


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
