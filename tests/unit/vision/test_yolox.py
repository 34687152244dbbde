"""The YOLOX layout: where things land on the canvas, and where the boxes of a head are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.vision import objects, yolox

SIDE = 64
EVERY = np.arange(20)


def head(**cells: tuple[float, ...]) -> np.ndarray:
    """A head of VOC's 20 classes in which nothing is sure but the given rows."""
    rows = np.zeros((yolox.cells(SIDE), 25), np.float32)
    for name, values in cells.items():
        rows[int(name[1:]), : len(values)] = values
    return rows


def test_a_head_has_a_row_for_each_cell() -> None:
    assert yolox.cells(416) == 3549
    assert yolox.cells(SIDE) == 64 + 16 + 4


def test_the_letterbox_is_bgr_in_the_top_left_corner() -> None:
    rgb = np.zeros((32, 16, 3), np.uint8)
    rgb[..., 0], rgb[..., 2] = 200, 10
    taken, scale = yolox.letterbox(rgb, SIDE)
    assert (taken.shape, taken.dtype, scale) == ((1, 3, SIDE, SIDE), np.float32, 2.0)
    assert (taken[0, :, :64, :32].reshape(3, -1).T == (10, 0, 200)).all()
    assert (taken[0, :, :, 32:] == 114).all()


@given(st.integers(1, 300), st.integers(1, 300))
def test_any_size_fits_and_one_side_is_filled(height: int, width: int) -> None:
    taken, scale = yolox.letterbox(np.zeros((height, width, 3), np.uint8), SIDE)
    assert taken.shape == (1, 3, SIDE, SIDE)
    assert scale == min(SIDE / height, SIDE / width)
    rows, columns = (taken[0, 0] == 0).any(axis=1).sum(), (taken[0, 0] == 0).any(axis=0).sum()
    assert max(rows, columns) in (SIDE, SIDE - 1)  # the rounding is YOLOX's: down


@pytest.mark.parametrize(
    ("row", "stride", "column", "line"),
    [(0, 8, 0, 0), (9, 8, 1, 1), (63, 8, 7, 7), (64, 16, 0, 0), (64 + 6, 16, 2, 1), (80, 32, 0, 0), (83, 32, 1, 1)],
)
def test_each_row_is_a_cell_of_its_stride(row: int, stride: int, column: int, line: int) -> None:
    rows = head(**{f"r{row}": (0.5, 0.25, np.log(2), np.log(3), 0.8, 0.5)})
    boxes, scores = yolox.decode(rows, SIDE)
    x, y = (column + 0.5) * stride, (line + 0.25) * stride
    assert boxes[row] == pytest.approx([x - stride, y - 1.5 * stride, x + stride, y + 1.5 * stride], abs=1e-4)
    assert scores[row, 0] == pytest.approx(0.4)


def test_detections_are_in_pixels_of_the_image_within_it_the_surest_first() -> None:
    rows = head(
        r64=(0.5, 0.5, 0, 0, 0.9, 0, 0.5),  # class 1, 16x16 at the corner
        r79=(0.5, 0.5, 0, 0, 0.9, 0.9),  # class 0, the last cell of stride 16: half outside of the image below
        r70=(0.5, 0.5, 0, 0, 0.05, 0.05),  # not sure enough
    )
    found = yolox.detections(rows, SIDE, 0.5, EVERY, (112, 200))
    assert found.classes.tolist() == [0, 1]
    assert found.scores == pytest.approx([0.81, 0.45])
    assert found.boxes.tolist() == [[96, 96, 128, 112], [0, 0, 32, 32]]


def test_one_object_is_one_detection_in_each_class() -> None:
    rows = head(r64=(0.5, 0.5, 0, 0, 1, 0.9, 0.6), r65=(-0.4, 0.5, 0, 0, 1, 0.8))  # nearly the same box
    found = yolox.detections(rows, SIDE, 1.0, EVERY, (SIDE, SIDE))
    assert found.classes.tolist() == [0, 1]
    assert found.scores == pytest.approx([0.9, 0.6])


def test_cocos_categories_become_vocs_and_the_others_go() -> None:
    rows = np.zeros((yolox.cells(SIDE), 85), np.float32)
    rows[64, [4, 5 + 2, 5 + 7]] = 1, 0.7, 0.9  # car, truck
    found = yolox.detections(rows, SIDE, 1.0, objects.columns(objects.COCO), (SIDE, SIDE))
    assert [objects.CLASSES[number] for number in found.classes] == ["car"]


def test_nothing_sure_is_nothing_found() -> None:
    found = yolox.detections(head(), SIDE, 1.0, EVERY, (SIDE, SIDE))
    assert found.boxes.shape == (0, 4)
