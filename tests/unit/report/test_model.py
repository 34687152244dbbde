import dataclasses

import numpy as np
import pytest

from ced.evaluation.metrics import Row
from ced.report.model import Curve, Picture, Report, display_name

PLANE = np.zeros((16, 24), np.uint8)


def test_a_picture_knows_its_size() -> None:
    picture = Picture("sea", 10, (("original", PLANE), ("jpeg", PLANE)))
    assert (picture.height, picture.width) == (16, 24)
    assert picture.original is PLANE


def test_colour_and_luminance_may_stand_side_by_side() -> None:
    colour = np.zeros((16, 24, 3), np.uint8)
    assert Picture("sea", 10, (("original", colour), ("jpeg", PLANE))).height == 16


@pytest.mark.parametrize(
    ("versions", "complaint"),
    [
        ((), "begin with"),
        ((("original", PLANE),), "begin with"),
        ((("jpeg", PLANE), ("original", PLANE)), "begin with"),
        ((("original", PLANE), ("jpeg", PLANE), ("ed", PLANE), ("ed", PLANE)), "there twice"),
        ((("original", PLANE), ("jpeg", PLANE.astype(float))), "float64"),
        ((("original", PLANE), ("jpeg", PLANE[..., None])), r"\(16, 24, 1\)"),
        ((("original", PLANE), ("jpeg", PLANE[0])), "not uint8 H x W"),
        ((("original", PLANE), ("jpeg", PLANE.T)), "another size"),
        ((("original", PLANE), ("jpeg", PLANE), ("ed", PLANE[:8])), "ed: another size"),
    ],
)
def test_a_picture_refuses_versions_that_do_not_belong_together(versions: tuple, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Picture("sea", 10, versions)


def test_values_cannot_be_changed() -> None:
    row = Row("LIVE1", 10, "y", "ed", 29, {"psnr": 29.4})
    for value, field in ((row, "values"), (Curve("ed", ()), "points"), (Report("r"), "title")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, None)


def test_a_report_may_be_empty() -> None:
    report = Report("Nothing yet")
    assert (report.rows, report.curves, report.pictures, report.facts) == ((), (), (), ())


def test_names_are_the_papers() -> None:
    names = ["original", "jpeg", "ed", "ced-est", "ced-gt", "classifier", "mine", "ed+", "mine+"]
    assert [*map(display_name, names)] == [
        *("Original", "JPEG", "ED", "CED-EST", "CED-GT", "Classifier", "mine", "ED+", "mine+"),
    ]
