"""The loop over parts that every data stage is: list the parts, skip those that are there, run the others on Ray Data.

A stage says what its parts are (`Part`) and what makes one of them (a function of the part's task). The function
reads, computes and publishes the part's files itself, whole or not at all, and returns one small row: an answer.
Nothing large travels through Ray's object store. A stage that was interrupted goes on where it was, and a task that
Ray runs again after a worker died does no harm.
"""

import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ced.cluster import connection
from ced.errors import CedError, of_the_machine
from ced.progress import Progress
from ced.store.session import Session

Row = dict[str, Any]
Later = Callable[[], Row]  # waits for the files that a task began to write, and gives its answer

_SHARES = 4  # tasks of each worker that what is left is divided into: the last ones end together
_ROWS_AT_MOST = 8  # of a task


class Part(NamedTuple):
    """One part of a stage's output."""

    task: Row  # what the stage's function takes
    files: tuple[Path, ...] = ()  # the part is done where all of them are there; without any it is always run
    units: int = 1  # of the stage's progress


def run_parts(
    function: Callable[[Row], Row | Later],
    parts: Iterable[Part],
    session: Session,
    progress: Progress,
    begun: Path | None = None,
) -> Iterator[Row]:
    """Run `function` for each part that is not there yet, and yield its answers as they come, in no particular order.

    A function may return a `Later`: then the next part is begun before this one's files are waited for. Parts that are
    there yield no answer. `begun` is the folder in which the stage's tasks keep their `Attempts`; it is emptied before,
    since a task that was stopped with an earlier job was not to blame, and removed afterwards. A CedError that a task
    raises ends the job.
    """
    missing = []
    for part in parts:
        if part.files and all(file.exists() for file in part.files):
            progress.skip(part.units)
        else:
            missing.append({"units": part.units, "task": part.task})
    if begun:
        shutil.rmtree(begun, ignore_errors=True)
    for done in run_tasks(partial(_counted, function), missing, session.workers):
        progress.advance(done["units"])
        yield done["answer"]
    if begun:
        shutil.rmtree(begun, ignore_errors=True)


def _counted(function: Callable[[Row], Row | Later], row: Row) -> Later:
    """The answer of one task, beside the units of progress that it stands for."""
    answer = function(row["task"])
    return lambda: {"units": row["units"], "answer": _answer(answer)}


def run_tasks(function: Callable[[Row], Row | Later], rows: list[Row], workers: int = 0) -> Iterator[Row]:
    """`function` of each row, on the whole cluster, as they finish (in no particular order).

    `workers` limits the tasks at a time; 0 means one per core. An exception in a task ends the job; a CedError is
    raised as it is. A task whose worker or node died is run again, however often that is.
    """
    if not rows:
        return
    connection.ensure()
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A job of one function has nothing to share its cores with; reserving left one of two idle half of the time.
    context.op_resource_reservation_enabled = False
    fewer = workers if 0 < workers < _cores() else None  # a limit, even one above the cores, keeps cores waiting
    blocks = [_table(rows[some]) for some in divided(len(rows), room(workers))]
    answers = ray.data.from_arrow(blocks).map_batches(
        partial(_task, function), batch_size=None, batch_format="pyarrow", concurrency=fewer, num_cpus=1
    )
    for row in answers.iter_rows():
        answer = pickle.loads(row["row"])
        if isinstance(answer, CedError):
            raise answer
        yield answer


def room(workers: int = 0) -> int:
    """How many tasks can run at a time."""
    connection.ensure()
    return min(workers, _cores()) if workers > 0 else _cores()


def divided(rows: int, workers: int) -> Iterator[slice]:
    """Which rows make a task: many at first, since starting one costs milliseconds, and single ones at the end."""
    start = 0
    while start < rows:
        count = min(max((rows - start) // (_SHARES * workers), 1), _ROWS_AT_MOST)
        yield slice(start, start + count)
        start += count


def _cores() -> int:
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _task(function: Callable[[Row], Row | Later], block: pa.Table) -> Iterator[pa.Table]:
    """The work of one Ray task: some rows, one after the other; each is waited for once the next one is begun."""
    waiting: list[Row | Later] = []
    try:
        for row in block["row"].to_pylist():
            waiting.append(function(pickle.loads(row)))
            if len(waiting) > 1:
                yield _table([_answer(waiting.pop(0))])
        yield _table([_answer(result) for result in waiting])
    except CedError as error:  # travels as a row: Ray would add lines of its own to its message
        yield _table([error])
    except OSError as error:
        line = of_the_machine(error)
        if line is None:
            raise
        yield _table([line])


def _answer(result: Row | Later) -> Row:
    return result() if callable(result) else result


def _table(rows: Sequence[Row | CedError]) -> pa.Table:
    """Rows of any types as one binary column."""
    return pa.table({"row": pa.array([pickle.dumps(row) for row in rows], pa.binary())})
