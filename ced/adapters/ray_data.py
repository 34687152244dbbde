"""Ray Data jobs whose functions write their own Parquet parts and return one small row each.

Nothing large travels through the object store: a row goes in (which photographs, which part), the function
reads, computes and publishes its part, and a row of counts comes out.
"""

import pickle
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa

from ced.adapters import ray_cluster
from ced.adapters.ray_tasks import Later, Row, divided

__all__ = ["Later", "Row", "run_tasks"]


def run_tasks(function: Callable[[Row], Row | Later], rows: list[Row], workers: int = 0) -> Iterator[Row]:
    """`function` of each row, on the whole cluster, as they finish (in no particular order).

    A function that returns a `Later` is begun with the next row before the last one is waited for. `workers` limits
    the tasks at a time; 0 means one per core. An exception in a task ends the job.
    """
    if not rows:
        return
    ray_cluster.ensure()
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A job of one function has nothing to share its cores with; reserving left one of two idle half of the time.
    context.op_resource_reservation_enabled = False
    cores = int(ray.cluster_resources().get("CPU", 1))
    fewer = workers if 0 < workers < cores else None  # a limit, even one above the cores, keeps cores waiting
    blocks = [_table(rows[some]) for some in divided(len(rows), fewer or cores)]
    told = ray.data.from_arrow(blocks).map_batches(
        partial(_task, function), batch_size=None, batch_format="pyarrow", concurrency=fewer, num_cpus=1
    )
    for row in told.iter_rows():
        yield pickle.loads(row["row"])


def _task(function: Callable[[Row], Row | Later], block: pa.Table) -> Iterator[pa.Table]:
    begun: list[Row | Later] = []
    for row in block["row"].to_pylist():
        begun.append(function(pickle.loads(row)))
        if len(begun) > 1:
            yield _table([_told(begun.pop(0))])
    yield _table([_told(one) for one in begun])


def _told(row: Row | Later) -> Row:
    return row() if callable(row) else row


def _table(rows: list[Row]) -> pa.Table:
    """Rows of any types as one binary column."""
    return pa.table({"row": pa.array([pickle.dumps(row) for row in rows], pa.binary())})
