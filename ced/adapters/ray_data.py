"""Ray Data jobs whose functions write their own Parquet parts and return one small row each.

Nothing large travels through the object store: a row goes in (which photographs, which part), the function
reads, computes and publishes its part, and a row of counts comes out.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from ced.adapters import ray_cluster

Row = dict[str, Any]

_SHARES = 16  # tasks of each worker at least
_ROWS_AT_MOST = 8  # of a task


def run_tasks(function: Callable[[Row], Row], rows: list[Row], workers: int = 0) -> Iterator[Row]:
    """`function` of each row, on the whole cluster, as they finish (in no particular order).

    `workers` limits the tasks at a time; 0 means one per core. An exception in a task ends the job.
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
    dataset = ray.data.from_items(rows, override_num_blocks=_blocks(len(rows), fewer or cores))
    yield from dataset.map(function, concurrency=fewer, num_cpus=1).iter_rows()


def _blocks(rows: int, workers: int) -> int:
    """How many tasks: starting one costs milliseconds, but the last ones should end together."""
    return min(rows, max(_SHARES * workers, math.ceil(rows / _ROWS_AT_MOST)))
