"""Ray Data jobs whose functions write their own Parquet parts and return one small row each.

Nothing large travels through the object store: a row goes in (which photographs, which part), the function
reads, computes and publishes its part, and a row of counts comes out.
"""

from collections.abc import Callable, Iterator
from typing import Any

from ced.adapters import ray_cluster

Row = dict[str, Any]


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
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    limit = min(workers, len(rows)) or None
    yield from dataset.map(function, concurrency=limit, num_cpus=1).iter_rows()
