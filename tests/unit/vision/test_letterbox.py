"""Images on a segmenter's canvas and its answers back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.vision import letterbox


def test_a_small_image_lies_in_the_top_left_corner_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    laid, taken = letterbox.place(rgb, (12, 12))
    assert (laid.shape, taken) == ((12, 12, 3), (5, 7))
    assert np.array_equal(laid[:5, :7], rgb)
    assert (laid[5:] == 128).all() and (laid[:, 7:] == 128).all()


def test_scaled_it_takes_the_canvas_and_keeps_its_shape() -> None:
    laid, taken = letterbox.place(np.zeros((5, 10, 3), np.uint8), (20, 20), "scaled")
    assert taken == (10, 20)
    assert (laid[:10] == 0).all() and (laid[10:] == 128).all()


@pytest.mark.parametrize("fit", letterbox.FITS)
def test_a_large_image_is_scaled_down_either_way(fit: str) -> None:
    laid, taken = letterbox.place(np.full((100, 40, 3), 9, np.uint8), (50, 50), fit)
    assert taken == (50, 20)
    assert (laid[:, :20] == 9).all()


def test_without_a_size_the_image_is_the_canvas() -> None:
    rgb = np.zeros((5, 7, 3), np.uint8)
    assert letterbox.place(rgb, None) == (rgb, (5, 7))


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(letterbox.FITS))
def test_what_is_labelled_everywhere_comes_back_everywhere(height: int, width: int, fit: str) -> None:
    _, taken = letterbox.place(np.zeros((height, width, 3), np.uint8), (32, 32), fit)
    found = np.full((32, 32), 7, np.uint8)
    found[taken[0] :], found[:, taken[1] :] = 3, 3
    back = letterbox.back(found, taken, (height, width))
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
    found = letterbox.labels(answer, (8, 9))
    assert found.dtype == np.uint8
    assert np.array_equal(found, CLASSES)


def test_coarse_answers_are_brought_to_the_canvas() -> None:
    coarse = np.array([[0, 15], [12, 20]])
    nearest = letterbox.labels(coarse[None], (4, 6))
    assert np.array_equal(nearest, np.repeat(np.repeat(coarse, 2, axis=0), 3, axis=1))
    scores = np.eye(21)[coarse].transpose(2, 0, 1)[None]
    assert np.array_equal(letterbox.labels(scores, (4, 6)), nearest)


@pytest.mark.parametrize("shape", [(1, 8, 9, 5), (2, 8, 9), (8,), (1, 150, 8, 9)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="neither classes nor scores of 21"):
        letterbox.labels(np.zeros(shape), (8, 9))


@pytest.mark.parametrize("value", [21, -1])
def test_classes_that_vocs_does_not_have_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="VOC's are 0 to 20"):
        letterbox.labels(np.full((1, 8, 9), value), (8, 9))
