"""The loop over parts: which are run, what is counted, what is left; how rows are divided into Ray's tasks."""

import logging
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.cluster.parts import Later, Part, Row, _table, _task, divided, run_parts
from ced.errors import InputError
from ced.progress import Progress
from ced.store.attempts import Attempts
from ced.store.outputs import Store
from ced.store.session import Session


@pytest.mark.usefixtures("tasks_here")
def test_parts_that_are_there_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ced")
    (tmp_path / "1-a").touch()
    (tmp_path / "1-b").touch()
    (tmp_path / "2-a").touch()  # half of a part
    listed = [Part({"n": n}, (tmp_path / f"{n}-a", tmp_path / f"{n}-b"), units=10) for n in range(3)]
    progress = Progress("stage", 30, "units")
    answers = list(
        run_parts(lambda row: lambda: {"squared": row["n"] ** 2}, listed, Session(Store(tmp_path)), progress)
    )
    assert answers == [{"squared": 0}, {"squared": 4}]
    assert (progress.done, progress.before) == (30, 20)  # skipped, and the first, whose time is the workers' start


@pytest.mark.usefixtures("tasks_here")
def test_a_part_without_files_is_always_run(tmp_path: Path) -> None:
    listed = [Part({"n": n}) for n in range(2)]
    assert list(run_parts(lambda row: row, listed, Session(Store(tmp_path)), Progress("", 2, ""))) == [
        {"n": 0},
        {"n": 1},
    ]


def test_the_sessions_workers_run_the_tasks(tasks_here: list[int], tmp_path: Path) -> None:
    list(run_parts(lambda row: row, [Part({})], Session(Store(tmp_path), workers=3), Progress("", 1, "")))
    assert tasks_here == [3]


@pytest.mark.usefixtures("tasks_here")
def test_attempts_of_an_earlier_job_do_not_count_and_none_are_left(tmp_path: Path) -> None:
    begun = tmp_path / ".begun"
    Attempts(begun / "0")

    def function(row: Row) -> Row:
        return {"before": Attempts(begun / "0").before}

    loop = run_parts(function, [Part({}), Part({})], Session(Store(tmp_path)), Progress("", 2, ""), begun)
    assert [answer["before"] for answer in loop] == [0, 1]
    assert not begun.exists()


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
