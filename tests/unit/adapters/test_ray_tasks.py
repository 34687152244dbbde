"""How rows are divided into tasks, and what becomes of those whose worker died."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.adapters.ray_tasks import _Task, divided
from ced.errors import ServiceError


@given(st.integers(0, 500), st.integers(1, 64))
def test_every_row_is_in_one_task_and_the_tasks_shrink(rows: int, workers: int) -> None:
    slices = list(divided(rows, workers))
    assert [row for one in slices for row in range(rows)[one]] == list(range(rows))
    sizes = [one.stop - one.start for one in slices]
    assert sizes == sorted(sizes, reverse=True)
    assert all(1 <= size <= 8 for size in sizes)
    if rows >= workers:
        assert len(slices) >= workers


def test_the_rows_of_a_dead_worker_are_tried_one_by_one() -> None:
    task = _Task([{"part": 1}, {"part": 2}])
    assert task.again() == [_Task([{"part": 1}], 1), _Task([{"part": 2}], 1)]


def test_a_row_that_workers_keep_dying_of_ends_the_job_in_one_line() -> None:
    task, deaths = _Task([{"part": 1}]), 0
    with pytest.raises(ServiceError, match=r"Ray lost 9 workers at the same work") as caught:
        while True:
            (task,) = task.again()
            deaths += 1
    assert deaths == 8
    assert "\n" not in str(caught.value)
