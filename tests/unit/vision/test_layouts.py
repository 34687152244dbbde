"""Where images lie in a model's input, and where its boxes and classes are in the image again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.vision import layouts, objects

FITS = ["native", "scaled"]


def test_a_small_image_lies_in_the_top_left_corner_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    laid, taken = layouts.letterbox(rgb, (12, 12))
    assert (laid.shape, taken) == ((12, 12, 3), (5, 7))
    assert np.array_equal(laid[:5, :7], rgb)
    assert (laid[5:] == 128).all() and (laid[:, 7:] == 128).all()


def test_scaled_it_takes_the_canvas_and_keeps_its_shape() -> None:
    laid, taken = layouts.letterbox(np.zeros((5, 10, 3), np.uint8), (20, 20), "scaled")
    assert taken == (10, 20)
    assert (laid[:10] == 0).all() and (laid[10:] == 128).all()


@pytest.mark.parametrize("fit", FITS)
def test_a_large_image_is_scaled_down_either_way(fit: str) -> None:
    laid, taken = layouts.letterbox(np.full((100, 40, 3), 9, np.uint8), (50, 50), fit)
    assert taken == (50, 20)
    assert (laid[:, :20] == 9).all()


def test_without_a_size_the_image_is_the_canvas() -> None:
    rgb = np.zeros((5, 7, 3), np.uint8)
    assert layouts.letterbox(rgb, None) == (rgb, (5, 7))


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(FITS))
def test_what_is_labelled_everywhere_comes_back_everywhere(height: int, width: int, fit: str) -> None:
    _, taken = layouts.letterbox(np.zeros((height, width, 3), np.uint8), (32, 32), fit)
    found = np.full((32, 32), 7, np.uint8)
    found[taken[0] :], found[:, taken[1] :] = 3, 3
    back = layouts.unletterbox(found, taken, (height, width))
    assert back.shape == (height, width)
    assert (back == 7).all()


CLASSES = np.random.default_rng(1).integers(0, 21, (8, 9))
SCORES = np.eye(21)[CLASSES]  # (8, 9, 21)


@pytest.mark.parametrize(
    "answer",
    [
        CLASSES[None],
        CLASSES[None, None].astype(np.int64),
        CLASSES[None, ..., None].astype(np.float32),
        SCORES[None].astype(np.float32),
        SCORES.transpose(2, 0, 1)[None].astype(np.float16),
    ],
)
def test_classes_and_scores_of_every_layout_are_understood(answer: np.ndarray) -> None:
    found = layouts.class_map(answer, (8, 9))
    assert found.dtype == np.uint8
    assert np.array_equal(found, CLASSES)


def test_coarse_answers_are_brought_to_the_canvas() -> None:
    coarse = np.array([[0, 15], [12, 20]])
    nearest = layouts.class_map(coarse[None], (4, 6))
    assert np.array_equal(nearest, np.repeat(np.repeat(coarse, 2, axis=0), 3, axis=1))
    scores = np.eye(21)[coarse].transpose(2, 0, 1)[None]
    assert np.array_equal(layouts.class_map(scores, (4, 6)), nearest)


@pytest.mark.parametrize("shape", [(1, 8, 9, 5), (2, 8, 9), (8,), (1, 150, 8, 9)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="neither classes nor scores of 21"):
        layouts.class_map(np.zeros(shape), (8, 9))


@pytest.mark.parametrize("value", [21, -1])
def test_classes_that_vocs_does_not_have_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="VOC's are 0 to 20"):
        layouts.class_map(np.full((1, 8, 9), value), (8, 9))


SIDE = 64
EVERY = np.arange(20)


def head(**cells: tuple[float, ...]) -> np.ndarray:
    """A head of VOC's 20 classes in which nothing is sure but the given rows."""
    rows = np.zeros((layouts.cells(SIDE), 25), np.float32)
    for name, values in cells.items():
        rows[int(name[1:]), : len(values)] = values
    return rows


def test_a_head_has_a_row_for_each_cell() -> None:
    assert layouts.cells(416) == 3549
    assert layouts.cells(SIDE) == 64 + 16 + 4


def test_the_letterbox_is_bgr_in_the_top_left_corner() -> None:
    rgb = np.zeros((32, 16, 3), np.uint8)
    rgb[..., 0], rgb[..., 2] = 200, 10
    taken, scale = layouts.detector_input(rgb, SIDE)
    assert (taken.shape, taken.dtype, scale) == ((1, 3, SIDE, SIDE), np.float32, 2.0)
    assert (taken[0, :, :64, :32].reshape(3, -1).T == (10, 0, 200)).all()
    assert (taken[0, :, :, 32:] == 114).all()


@given(st.integers(1, 300), st.integers(1, 300))
def test_any_size_fits_and_one_side_is_filled(height: int, width: int) -> None:
    taken, scale = layouts.detector_input(np.zeros((height, width, 3), np.uint8), SIDE)
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
    boxes, scores = layouts.decode_head(rows, SIDE)
    x, y = (column + 0.5) * stride, (line + 0.25) * stride
    assert boxes[row] == pytest.approx([x - stride, y - 1.5 * stride, x + stride, y + 1.5 * stride], abs=1e-4)
    assert scores[row, 0] == pytest.approx(0.4)


def test_detections_are_in_pixels_of_the_image_within_it_the_surest_first() -> None:
    rows = head(
        r64=(0.5, 0.5, 0, 0, 0.9, 0, 0.5),  # class 1, 16x16 at the corner
        r79=(0.5, 0.5, 0, 0, 0.9, 0.9),  # class 0, the last cell of stride 16: half outside of the image below
        r70=(0.5, 0.5, 0, 0, 0.05, 0.05),  # not sure enough
    )
    found = layouts.detections(rows, SIDE, 0.5, EVERY, (112, 200))
    assert found.classes.tolist() == [0, 1]
    assert found.scores == pytest.approx([0.81, 0.45])
    assert found.boxes.tolist() == [[96, 96, 128, 112], [0, 0, 32, 32]]


def test_one_object_is_one_detection_in_each_class() -> None:
    rows = head(r64=(0.5, 0.5, 0, 0, 1, 0.9, 0.6), r65=(-0.4, 0.5, 0, 0, 1, 0.8))  # nearly the same box
    found = layouts.detections(rows, SIDE, 1.0, EVERY, (SIDE, SIDE))
    assert found.classes.tolist() == [0, 1]
    assert found.scores == pytest.approx([0.9, 0.6])


def test_cocos_categories_become_vocs_and_the_others_go() -> None:
    rows = np.zeros((layouts.cells(SIDE), 85), np.float32)
    rows[64, [4, 5 + 2, 5 + 7]] = 1, 0.7, 0.9  # car, truck
    found = layouts.detections(rows, SIDE, 1.0, objects.columns(objects.COCO), (SIDE, SIDE))
    assert [objects.CLASSES[number] for number in found.classes] == ["car"]


def test_nothing_sure_is_nothing_found() -> None:
    found = layouts.detections(head(), SIDE, 1.0, EVERY, (SIDE, SIDE))
    assert found.boxes.shape == (0, 4)
