"""Stage 2, `edges`: examples -> the edges of equal-count classes and the mapping M (section 4.1).

Takes: the output of `prepare`.
Writes: classes.json (`ced.core.classes.Classes`). Counts: coefficients, channels, classes.
Is run again for: another number of classes, other bytes of examples.
Safe to retry: nothing is kept of an interrupted run.

Two passes over the examples, each one summary per task, merged as they come: exact, in memory that does not
grow with the number of images (`ced.core.quantiles`).
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced.cluster.parts import Part, Row, room, run_parts
from ced.config import ClassesConfig, as_dict
from ced.core import classes
from ced.core.examples import stack
from ced.core.frequency import CHANNELS, MIRROR, by_channel, coefficients
from ced.core.images import luma_of
from ced.core.quantiles import Coarse, Fine
from ced.data.prepare import EXAMPLES
from ced.progress import Progress
from ced.store import checked
from ced.store.outputs import Making, Output, make, write_text
from ced.store.session import Session

FILE = "classes.json"
Summary = TypeVar("Summary", Coarse, Fine)
_SUMMARIES = 6  # that each worker makes, where there are few parts: the last ones end together
_PARTS_AT_MOST = 8  # of one summary
_EXAMPLES_AT_ONCE = 512


def run(config: ClassesConfig, prepared: Output, session: Session) -> Output:
    """Find the edges and class means of all target coefficients of the training set."""
    produce = partial(_produce, config, prepared, session)
    return make(session.store, "edges", as_dict(config), {"examples": prepared.manifest.content}, produce)


def load(output: Output) -> classes.Classes:
    """The classes of a finished stage. Raises FormatError."""
    path = output.path / FILE
    return classes.Classes.from_json(checked.part(path).read_text(), str(path))


def _produce(config: ClassesConfig, prepared: Output, session: Session, making: Making) -> None:
    parts = [str(path) for path in checked.parts(prepared.path / EXAMPLES)]
    together = min(max(1, len(parts) // (_SUMMARIES * room(session.workers))), _PARTS_AT_MOST)
    some = [parts[start : start + together] for start in range(0, len(parts), together)]
    tasks = [Part({"parts": paths}, units=len(paths)) for paths in some]
    progress = Progress("edges", 2 * len(parts), "parts")

    def merged(task: Callable[[Row], Row], total: Summary) -> Summary:
        for answer in run_parts(task, tasks, session, progress):
            total.merge_bytes(answer["summary"])
        return total

    coarse = merged(coarse_task, Coarse.empty(CHANNELS))
    bins = classes.wanted_bins(coarse, config.count)
    fine = merged(partial(fine_task, bins), Fine.empty(bins))
    result = classes.fit(coarse, fine, config.count)
    making.counts.update(coefficients=int(result.counts.sum()), channels=CHANNELS, classes=config.count)
    write_text(making.folder / FILE, result.to_json())


def coarse_task(row: Row) -> Row:
    """First pass: the coarse summary of some parts."""
    return _summarise(row, Coarse.empty(CHANNELS))


def fine_task(bins: np.ndarray, row: Row) -> Row:
    """Second pass: the fine summary of some parts inside `bins`."""
    return _summarise(row, Fine.empty(bins))


def _summarise(row: Row, summary: Coarse | Fine) -> Row:
    for part in row["parts"]:
        for planes in target_planes(Path(part)):
            luma = luma_of(planes)
            pairs = mirrored(luma)
            q = coefficients(luma[::2] if pairs else luma)
            summary.update(by_channel(q), MIRROR if pairs else None)
    return {"summary": summary.to_bytes()}


def mirrored(luma: np.ndarray) -> bool:
    """Whether every second plane is the horizontal mirror of the one before: then every other plane is enough."""
    return len(luma) % 2 == 0 and np.array_equal(luma[::2, :, ::-1], luma[1::2])


def target_planes(part: Path) -> Iterator[np.ndarray]:
    """The targets of a part, some at a time. Shape: (N, C, H, W) uint8 each."""
    with pq.ParquetFile(checked.part(part)) as file:
        for batch in file.iter_batches(_EXAMPLES_AT_ONCE, columns=["target", "height", "width"], use_threads=False):
            yield targets(pa.table(batch))


def targets(table: Any) -> np.ndarray:
    """The target planes of a table of examples of one size. Shape: (N, C, H, W) uint8."""
    height, width = table["height"][0].as_py(), table["width"][0].as_py()
    channels = len(table["target"][0].as_py()) // (height * width)
    return stack(table["target"], (channels, height, width))
