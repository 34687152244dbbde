"""Ray tasks that write their own Parquet parts and return one small row each, and what happens when their worker dies.

Nothing large travels through the object store: a row goes in (which photographs, which part), the function
reads, computes and publishes its part, and a row of counts comes out.
"""

import collections
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ced.adapters import ray_cluster
from ced.errors import ServiceError

Row = dict[str, Any]
Later = Callable[[], Row]  # waits for what was begun, and tells
Function = Callable[[Row], Row | Later]

_SHARES = 4  # tasks of each worker that what is left is divided into: the last ones end together
_ROWS_AT_MOST = 8  # of a task
_AHEAD = 2  # tasks at a time for each core: one runs, one waits for its turn where it will run
_LOOK = 1.0  # seconds between two looks at how many cores there are
_DEATHS = 8  # of the workers of one row, then the job gives up


def run_tasks(function: Function, rows: list[Row], workers: int = 0, careful: Function | None = None) -> Iterator[Row]:
    """`function` of each row, on the whole cluster, as they finish (in no particular order).

    A function that returns a `Later` is begun with the next row before the last one is waited for. `workers` limits
    the tasks at a time; 0 means one per core. An exception in a task ends the job. The rows of a task whose worker
    died are tried again one by one, and a row that is alone with its worker's death by `careful`, where there is one.
    Raises ServiceError where that does not help either.
    """
    if not rows:
        return
    ray_cluster.ensure()
    import ray

    cluster = _Cluster(workers)
    waiting = collections.deque(_Task(rows[some]) for some in divided(len(rows), cluster.room()))
    kinds = [ray.put(one) for one in (function, careful or function)]
    start = ray.remote(num_cpus=1, max_retries=0)(_task)
    running: dict[Any, _Task] = {}
    try:
        while waiting or running:
            while waiting and len(running) < cluster.most():
                task = waiting.popleft()
                running[start.remote(kinds[task.deaths > 1], task.rows)] = task
            for done in ray.wait(list(running), num_returns=1)[0]:
                task = running.pop(done)
                told = _result(done)
                if told is None:
                    waiting.extendleft(task.again())
                else:
                    yield from told
    finally:
        for one in running:
            ray.cancel(one)


def room(workers: int = 0) -> int:
    """How many tasks can run at a time."""
    ray_cluster.ensure()
    return _Cluster(workers).room()


def divided(rows: int, workers: int) -> Iterator[slice]:
    """Which rows make a task: many at first, since starting one costs a millisecond, and single ones at the end."""
    start = 0
    while start < rows:
        count = min(max((rows - start) // (_SHARES * workers), 1), _ROWS_AT_MOST)
        yield slice(start, start + count)
        start += count


class _Task(NamedTuple):
    """Some rows, and how many workers have died of them."""

    rows: list[Row]
    deaths: int = 0

    def again(self) -> list["_Task"]:
        """Each row by itself. Raises ServiceError where it had chances enough."""
        if self.deaths >= _DEATHS:
            raise ServiceError(
                f"Ray lost {self.deaths + 1} workers at the same work (memory?); its logs in /tmp/ray/session_latest "
                "say why, and the same command goes on"
            )
        return [_Task([row], self.deaths + 1) for row in self.rows]


class _Cluster:
    """How many tasks there is room for: `workers`, or what the cluster has, which may grow and shrink."""

    def __init__(self, workers: int):
        self._workers, self._cores, self._looked = workers, 0, 0.0

    def room(self) -> int:
        """Tasks that can run at a time."""
        if time.monotonic() - self._looked > _LOOK:
            import ray

            self._cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
            self._looked = time.monotonic()
        return min(self._workers, self._cores) if self._workers > 0 else self._cores

    def most(self) -> int:
        """Tasks that Ray is given at a time."""
        room = self.room()
        return room if 0 < self._workers < self._cores else _AHEAD * room


def _result(done: Any) -> list[Row] | None:
    """What a task told, None where its worker or node died. Raises what the task raised."""
    import ray
    from ray import exceptions

    lost = (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.LocalRayletDiedError)
    try:
        rows: list[Row] = ray.get(done)
    except (*lost, exceptions.OutOfMemoryError, exceptions.ObjectLostError):
        return None
    except exceptions.RayTaskError as error:
        raise error.cause or error from None
    return rows


def _task(function: Function, rows: list[Row]) -> list[Row]:
    begun: list[Row | Later] = []
    told: list[Row] = []
    for row in rows:
        begun.append(function(row))
        if len(begun) > 1:
            told.append(_told(begun.pop(0)))
    return told + [_told(one) for one in begun]


def _told(row: Row | Later) -> Row:
    return row() if callable(row) else row
