"""Ray Data jobs whose functions write their own Parquet parts and return one small row each.

Nothing large travels through the object store: a row goes in (which photographs, which part), the function
reads, computes and publishes its part, and a row of counts comes out.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from ced.cluster import connection
from ced.errors import CedError

Row = dict[str, Any]
Later = Callable[[], Row]  # waits for what was begun, and tells

_SHARES = 4  # tasks of each worker that what is left is divided into: the last ones end together
_ROWS_AT_MOST = 8  # of a task


def run_tasks(function: Callable[[Row], Row | Later], rows: list[Row], workers: int = 0) -> Iterator[Row]:
    """`function` of each row, on the whole cluster, as they finish (in no particular order).

    A function that returns a `Later` is begun with the next row before the last one is waited for. `workers` limits
    the tasks at a time; 0 means one per core. An exception in a task ends the job; a CedError is raised as it is. A
    task whose worker or node died is run again, however often that is.
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
    told = ray.data.from_arrow(blocks).map_batches(
        partial(_task, function), batch_size=None, batch_format="pyarrow", concurrency=fewer, num_cpus=1
    )
    for row in told.iter_rows():
        one = pickle.loads(row["row"])
        if isinstance(one, CedError):
            raise one
        yield one


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
    try:
        yield from _rows(function, block)
    except CedError as error:  # travels as a row: Ray would add lines of its own to its message
        yield _table([error])


def _rows(function: Callable[[Row], Row | Later], block: pa.Table) -> Iterator[pa.Table]:
    begun: list[Row | Later] = []
    for row in block["row"].to_pylist():
        begun.append(function(pickle.loads(row)))
        if len(begun) > 1:
            yield _table([_told(begun.pop(0))])
    yield _table([_told(one) for one in begun])


def _told(row: Row | Later) -> Row:
    return row() if callable(row) else row


def _table(rows: Sequence[Row | CedError]) -> pa.Table:
    """Rows of any types as one binary column."""
    return pa.table({"row": pa.array([pickle.dumps(row) for row in rows], pa.binary())})
