"""Drawings of boxes and masks: the right colours at the right pixels."""

import io

import numpy as np
from PIL import Image

from ced.vision import overlays
from ced.vision.objects import CLASSES, SEGMENTS, Detections, Objects

GRAY = np.full((60, 80, 3), 100, np.uint8)
NOTHING = Objects.of([], [], [])
DOG = CLASSES.index("dog")


def test_the_colours_are_vocs() -> None:
    colours = overlays.palette()
    known = {"background": (0, 0, 0), "aeroplane": (128, 0, 0), "dog": (64, 0, 128), "tvmonitor": (0, 64, 128)}
    assert {name: tuple(colours[SEGMENTS.index(name)].tolist()) for name in known} == known
    assert tuple(colours[255].tolist()) == (224, 224, 192)


def test_a_box_is_drawn_on_its_own_pixels() -> None:
    found = Detections.of([[10, 20, 50, 55]], [0.9], [DOG])
    drawn = overlays.boxes(GRAY, found, NOTHING)
    changed = (drawn != GRAY).any(axis=2)
    assert (np.flatnonzero(changed.any(axis=1))[[0, -1]] == (20, 54)).all()
    columns = np.flatnonzero(changed[50])
    assert (columns == [10, 11, 48, 49]).all()
    assert tuple(drawn[50, 10].tolist()) == (64, 0, 128)


def test_the_unsure_are_left_out_and_the_labelled_are_white() -> None:
    unsure = Detections.of([[10, 20, 50, 55]], [0.29], [DOG])
    assert np.array_equal(overlays.boxes(GRAY, unsure, NOTHING), GRAY)
    drawn = overlays.boxes(GRAY, unsure, Objects.of([[2, 3, 9, 8]], [DOG], [False]))
    assert (drawn[3, 2:9] == 255).all() and (drawn[7, 2:9] == 255).all() and (drawn[8] == 100).all()


def test_a_box_of_less_than_a_pixel_is_drawn_too() -> None:
    drawn = overlays.boxes(GRAY, Detections.of([[5.2, 5.2, 5.4, 5.4]], [0.9], [DOG]), NOTHING)
    assert (drawn != GRAY).any()


def test_classes_tint_the_image_and_the_background_does_not() -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:20, 30:40] = SEGMENTS.index("dog")
    drawn = overlays.classes(GRAY, labels)
    assert (drawn[10:20, 30:40] == ((64 + 100) // 2, 50, (128 + 100) // 2)).all()
    assert (drawn[labels == 0] == 100).all()


def test_both_stand_side_by_side_in_the_png() -> None:
    data = overlays.png(GRAY, Detections.of([], [], []), NOTHING, np.zeros((60, 80), np.uint8))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, image.mode) == ((160, 60), "RGB")
        assert (np.asarray(image) == 100).all()
