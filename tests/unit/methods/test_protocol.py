"""Whatever a method does wrong becomes one kind of failure, with a reason."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from ced.core import jpeg
from ced.methods import Damaged, Failed, checked


@dataclass(frozen=True)
class Anything:
    """A method that does what it is told."""

    do: Callable[[Damaged], np.ndarray]
    name: str = "anything"
    colour: str = "any"
    timed: bool = True

    def restore(self, damaged: Damaged) -> np.ndarray:
        return self.do(damaged)


def raising(error: Exception) -> Anything:
    def do(damaged: Damaged) -> np.ndarray:
        raise error

    return Anything(do)


def test_a_damaged_image_is_its_decoded_stream(gray: Damaged, colour: Damaged) -> None:
    assert np.array_equal(jpeg.decode(gray.stream), gray.image)
    assert (gray.image.shape, colour.image.shape) == ((45, 70), (45, 70, 3))


def test_what_is_right_passes(gray: Damaged) -> None:
    assert checked(Anything(lambda damaged: damaged.image), gray) is gray.image


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((45, 69), np.uint8), "69x45, not 70x45"),
        (np.zeros((45, 70, 3), np.uint8), "70x45 RGB, not 70x45"),
        (np.zeros((45, 70)), "float64"),
    ],
)
def test_another_size_or_type_is_a_failure(gray: Damaged, wrong: np.ndarray, message: str) -> None:
    with pytest.raises(Failed, match=message) as caught:
        checked(Anything(lambda damaged: wrong), gray)
    assert caught.value.reason == "another size"


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (Failed("timeout", "late"), "timeout", "late"),
        (RuntimeError("first\nsecond"), "error", "RuntimeError: first"),
        (MemoryError(), "error", "MemoryError: "),
        (AssertionError("x" * 1000), "error", "AssertionError: " + "x" * 300),
    ],
)
def test_an_exception_is_a_failure_of_one_line(gray: Damaged, error: Exception, reason: str, message: str) -> None:
    with pytest.raises(Failed) as caught:
        checked(raising(error), gray)
    assert (caught.value.reason, caught.value.message) == (reason, message)


def test_stopping_is_no_failure_of_the_method(gray: Damaged) -> None:
    def stop(damaged: Damaged) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checked(Anything(stop), gray)


def test_failures_travel_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(Failed("no file", "a.png")))
    assert (copy.reason, copy.message, str(copy)) == ("no file", "a.png", "no file: a.png")
