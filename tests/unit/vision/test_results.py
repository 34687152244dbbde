"""From per_image.parquet to the rows of Table 3."""

import numpy as np
import pyarrow as pa
import pytest

from ced import schema
from ced.vision import results


def row(image: str, method: str, right: bool, colour: str = "rgb") -> dict:
    """An image with a dog, a difficult dog and a cat; the dog is found, or taken for a cat."""
    confusion = np.zeros((21, 21), np.int64)
    confusion[0, 0], confusion[12, 12 if right else 8] = 90, 10
    return {
        "dataset": "voc",
        "image_id": image,
        "method": method,
        "quality": 0 if method == "original" else 10,
        "colour": colour,
        "height": 10,
        "width": 10,
        "boxes": [[0, 0, 4, 4]],
        "scores": [0.9],
        "classes": ["dog" if right else "cat"],
        "true_boxes": [[0, 0, 4, 4], [5, 5, 9, 9], [0, 6, 3, 9]],
        "true_classes": ["dog", "dog", "cat"],
        "true_difficult": [False, True, False],
        "confusion": confusion.tobytes(),
        "reason": "",
        "message": "",
    }


def failed(image: str, method: str) -> dict:
    nothing: dict = {"boxes": [], "scores": [], "classes": [], "confusion": None}
    return {**row(image, method, True), **nothing, "reason": "no file", "message": "b.* is not there"}


ROWS = [row("a", "original", True), row("a", "jpeg", True), row("b", "original", True), row("b", "jpeg", False)]
TABLE = pa.Table.from_pylist(ROWS, schema.VISION)


def test_rows_are_over_all_images_of_a_method() -> None:
    original, jpeg = results.summarise(TABLE)
    assert (original.method, original.quality, original.images) == ("original", 0, 2)
    assert (original.value("map"), original.value("map_area")) == (0.5, 0.5)  # dogs found, cats not
    assert original.value("miou") == 1
    assert (jpeg.classes["ap"]["dog"], jpeg.classes["ap_area"]["dog"]) == (pytest.approx(6 / 11), 0.5)
    assert (jpeg.classes["iou"]["background"], jpeg.classes["iou"]["dog"], jpeg.classes["iou"]["cat"]) == (1, 0.5, 0)
    assert jpeg.value("miou") == 0.5
    assert np.isnan(jpeg.classes["ap"]["cow"]) and np.isnan(jpeg.classes["iou"]["cow"])


def test_failures_are_counted_and_not_taken_for_blindness() -> None:
    table = pa.Table.from_pylist([row("a", "mine", True), failed("b", "mine"), failed("a", "none")], schema.VISION)
    mine, none = results.summarise(table)
    assert (mine.images, mine.failures, mine.value("map"), mine.value("miou")) == (1, 1, 0.5, 1)
    assert (none.images, none.failures) == (0, 1)
    assert np.isnan([none.value(name) for name in ("map", "map_area", "miou")]).all()


def test_the_order_of_the_images_plays_no_part() -> None:
    backwards = results.summarise(TABLE.take([2, 3, 0, 1]))
    assert repr(backwards) == repr(results.summarise(TABLE))


def test_colours_are_rows_of_their_own() -> None:
    mixed = pa.Table.from_pylist([*ROWS, row("a", "jpeg", False, "y")], schema.VISION)
    assert [(one.colour, one.method, one.images) for one in results.summarise(mixed)] == [
        ("rgb", "original", 2),
        ("rgb", "jpeg", 2),
        ("y", "jpeg", 1),
    ]


def test_mlflow_is_told_every_figure() -> None:
    told = results.figures_of(results.summarise(TABLE))
    assert told["original/q0/rgb/miou"] == 1 and told["jpeg/q10/rgb/map_area"] == 0.25
    assert len(told) == 2 * 3
