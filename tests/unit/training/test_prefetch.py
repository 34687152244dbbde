import threading
import time
from collections.abc import Iterator

import pytest

from ced.training.prefetch import ahead


def counting(made: list[int], until: int = 1000) -> Iterator[int]:
    for number in range(until):
        made.append(number)
        yield number


def test_every_item_comes_in_order() -> None:
    with ahead(counting([], 100), 3) as items:
        assert list(items) == list(range(100))


@pytest.mark.parametrize("depth", [1, 4])
def test_no_more_than_depth_are_made_ahead(depth: int) -> None:
    made: list[int] = []
    with ahead(counting(made), depth) as items:
        for expected in range(3):
            assert next(items) == expected
            time.sleep(0.05)
            assert len(made) <= expected + 1 + depth + 1  # those in the queue, and one that waits for a place
    assert len(made) >= depth  # made before they were asked for


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise KeyError("the second")

    with ahead(failing(), 5) as items:
        time.sleep(0.05)
        assert next(items) == 1
        with pytest.raises(KeyError, match="the second"):
            next(items)


def test_the_thread_ends_with_the_block_and_closes_what_it_read() -> None:
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), ahead(endless(), 1) as items:
        next(items)
        raise ZeroDivisionError
    assert threading.active_count() == before
    assert closed and closed[0] != threading.current_thread().name
