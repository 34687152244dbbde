"""How rows are divided into tasks, and what a task tells."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from ced.cluster.ray_data import Later, Row, _table, _task, divided
from ced.errors import InputError


@given(st.integers(0, 500), st.integers(1, 64))
def test_every_row_is_in_one_task_and_the_tasks_shrink(rows: int, workers: int) -> None:
    slices = list(divided(rows, workers))
    assert [row for one in slices for row in range(rows)[one]] == list(range(rows))
    sizes = [one.stop - one.start for one in slices]
    assert sizes == sorted(sizes, reverse=True)
    assert all(1 <= size <= 8 for size in sizes)
    if rows >= workers:
        assert len(slices) >= workers


def test_a_mistake_travels_as_a_row_behind_what_was_done() -> None:
    def function(row: Row) -> Row:
        if row["n"] == 1:
            raise InputError("x.jpg: no such file")
        return row

    told = [
        pickle.loads(row) for table in _task(function, _table([{"n": 0}, {"n": 1}])) for row in table["row"].to_pylist()
    ]
    assert [type(one) for one in told] == [InputError]
    assert str(told[0]) == "x.jpg: no such file"


def test_a_function_that_ends_later_is_waited_for_behind_the_next() -> None:
    order: list[str] = []

    def function(row: Row) -> Later:
        order.append(f"begin {row['n']}")
        return lambda: order.append(f"end {row['n']}") or row

    told = [
        pickle.loads(row)
        for table in _task(function, _table([{"n": n} for n in range(3)]))
        for row in table["row"].to_pylist()
    ]
    assert [row["n"] for row in told] == [0, 1, 2]
    assert order == ["begin 0", "begin 1", "end 0", "begin 2", "end 1", "end 2"]
