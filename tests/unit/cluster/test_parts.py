"""The loop over parts: which are run, what is counted, what is left."""

import logging
from pathlib import Path

import pytest

from ced.cluster.parts import Part, run_parts
from ced.cluster.ray_data import Row
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
