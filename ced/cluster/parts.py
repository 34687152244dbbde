"""The loop over parts that every data stage is: list the parts, skip those that are there, run the others on Ray Data.

A stage says what its parts are (`Part`) and what makes one of them (a function of the part's task). The function
writes the part's files itself, whole or not at all, and returns one small row: an answer. So a stage that was
interrupted goes on where it was, and a task that Ray runs again after a worker died does no harm.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ced.cluster import ray_data
from ced.cluster.ray_data import Later, Row
from ced.progress import Progress
from ced.store.session import Session


class Part(NamedTuple):
    """One task of a stage."""

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
    for done in ray_data.run_tasks(partial(_counted, function), missing, session.workers):
        progress.advance(done["units"])
        yield done["answer"]
    if begun:
        shutil.rmtree(begun, ignore_errors=True)


def _counted(function: Callable[[Row], Row | Later], row: Row) -> Row | Later:
    """The answer of one task, beside the units of progress that it stands for."""
    answer = function(row["task"])
    if callable(answer):
        return lambda: {"units": row["units"], "answer": answer()}
    return {"units": row["units"], "answer": answer}
