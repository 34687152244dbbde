"""What the evaluations of Tables 2 and 3 share: images measured part by part on Ray Data, and their rows put together.

A measurer says how one part is measured, in a worker. What is the matter with an image is the answer of its part, and
what is the matter with a method is a row with a reason: neither ends the job, nor does code that ends its process.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced.cluster.parts import Later, Part, Row, run_parts
from ced.core.images import Rejected
from ced.evaluation.paper import Key
from ced.methods import Damaged, Failed, Method, checked
from ced.progress import Progress
from ced.store.attempts import MOST, Attempts
from ced.store.outputs import write_table
from ced.store.session import Session

logger = logging.getLogger("ced")

FILE, PICTURES = "per_image.parquet", "pictures"
ORIGINAL = "original"  # what stands where others have a method's name
BEGUN = ".begun"  # scratch: the attempts at each part
_SEVERAL = {"quality": "QF {}", "colour": "{}"}  # what tells the rows of an image apart
_LISTED, _LENGTH = 3, 120  # images that are named in a message, and characters of each reason


class Measurer(Protocol):
    """What a worker needs to measure the parts of an evaluation; it travels to the workers by pickle."""

    @property
    def folder(self) -> str:
        """Where parts and pictures are written."""

    def measure(self, task: Row, attempts: Attempts) -> Sequence[Future[Any]]:
        """Measure one part, and begin to write its files. Raises Rejected where the image cannot be used.

        `task` has "part", the part's name, "name", the image's, and what else the measurer asks for.
        """


def measure(stage: str, measurer: Measurer, parts: Sequence[Part], unit: str, session: Session) -> Iterator[Row]:
    """Measure the parts that are not there yet: of each its task, and "reason" and "message" of an image that cannot
    be used ("" where it can)."""
    progress = Progress(stage, len(parts), unit)
    yield from run_parts(partial(measure_part, measurer), parts, session, progress, Path(measurer.folder, BEGUN))


def measure_part(measurer: Measurer, task: Row) -> Later:
    """Measure one part in this process; the disk is waited for by calling what is returned."""
    attempts = Attempts(Path(measurer.folder, BEGUN, task["part"]))
    try:
        files = measurer.measure(task, attempts)
    except Rejected as error:
        attempts.end()
        rejected = {"reason": error.reason, "message": error.message}
        return lambda: task | rejected
    attempts.pause()

    def answer() -> Row:
        for file in files:
            file.result()
        attempts.end()
        return task | {"reason": "", "message": ""}

    return answer


def image_ended(what: str) -> Rejected:
    """Why an image is set aside at a step that has ended its process too often."""
    return Rejected("crashed", f"{MOST} times the process ended that {what}")


def restore(method: Method, damaged: Damaged, step: str, attempts: Attempts) -> tuple[float | None, np.ndarray]:
    """What a method makes of an image, and the seconds it took; None where it was only read. Raises Failed, also for
    one that has ended the process at this step again and again."""
    ended = Failed("crashed", f"{MOST} times the process ended in which it restored this image")
    attempts.take(step, lambda: ended)
    method.load()  # loading is not restoring
    started = time.perf_counter()
    restored = checked(method, damaged)
    return time.perf_counter() - started if method.timed else None, restored


def collect(folder: Path, parts: Iterable[Path], schema: pa.Schema) -> pa.Table:
    """Write per_image.parquet, the rows of all parts in their order."""
    table = pa.concat_tables([pq.read_table(part, columns=schema.names) for part in parts])
    write_table(folder / FILE, table)
    return table


def by_method(rows: Iterable[dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """Rows of per_image.parquet, those of each row of the table together, in the order measured."""
    groups: dict[Key, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["quality"], row["colour"], row["method"]), []).append(row)
    return groups


def tell_failures(stage: str, file: Path) -> None:
    """Log which methods failed on which images, from the rows of `file`, and how to have them tried again."""
    columns = ["image_id", "method", "quality", "colour", "reason", "message"]
    rows = pq.read_table(file, columns=columns).to_pylist()
    failed = [row for row in rows if row["reason"]]
    for method in dict.fromkeys(row["method"] for row in failed):
        tried = [row for row in rows if row["method"] == method]
        several = [name for name in _SEVERAL if len({row[name] for row in tried}) > 1]
        images = [row | {"where": _where(row, several)} for row in tried if row["reason"]]
        listed = first_few(images, "where", file.name)
        logger.warning("%s: %s failed %d of %d times: %s", stage, method, len(images), len(tried), listed)
    if failed:
        logger.warning("%s: the same command tries these again once %s is removed", stage, file.parent)


def first_few(rows: Sequence[dict[str, Any]], name: str, file: str) -> str:
    """The first few rows by the column `name`, with their reasons; `file` has the others."""
    listed = "; ".join(f"{row[name]} ({row['reason']}: {row['message'][:_LENGTH]})" for row in rows[:_LISTED])
    return listed + (f"; and {len(rows) - _LISTED} more in {file}" if len(rows) > _LISTED else "")


def _where(row: dict[str, Any], several: Sequence[str]) -> str:
    """An image, with its quality factor and colour where there are several."""
    return " ".join([row["image_id"], *(_SEVERAL[name].format(row[name]) for name in several)])
