"""Stage 2: examples -> classes.json, the edges of equal-count classes and the mapping M (section 4.1).

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

from ced.cluster import ray_data
from ced.config import ClassesConfig, as_dict
from ced.core import classes
from ced.core.columns import luma_of, stack
from ced.core.frequency import CHANNELS, MIRROR, by_channel, coefficients
from ced.core.quantiles import Coarse, Fine
from ced.data.prepare import EXAMPLES
from ced.progress import Progress
from ced.store.outputs import Making, Output, make, write_text
from ced.store.session import Session

FILE = "classes.json"
Summary = TypeVar("Summary", Coarse, Fine)
_SUMMARIES = 6  # that each worker makes, where there are few parts: the last ones end together
_PARTS_AT_MOST = 8  # of one summary
_EXAMPLES_AT_ONCE = 512


def run(config: ClassesConfig, prepared: Output, session: Session) -> Output:
    """Find the edges and class means of all target coefficients of the training set, or find them made."""
    produce = partial(_produce, config, prepared, session.workers)
    return make(session.store, "edges", as_dict(config), {"examples": prepared.manifest.content}, produce)


def load(output: Output) -> classes.Classes:
    """The classes of a finished stage. Raises FormatError."""
    path = output.path / FILE
    return classes.Classes.from_json(path.read_text(), str(path))


def _produce(config: ClassesConfig, prepared: Output, workers: int, making: Making) -> None:
    parts = sorted(str(path) for path in (prepared.path / EXAMPLES).glob("part-*.parquet"))
    together = min(max(1, len(parts) // (_SUMMARIES * ray_data.room(workers))), _PARTS_AT_MOST)
    tasks = [{"parts": parts[i : i + together]} for i in range(0, len(parts), together)]
    progress = Progress("edges", 2 * len(parts), "parts")

    def merged(task: Callable[[ray_data.Row], ray_data.Row], total: Summary) -> Summary:
        for row in ray_data.run_tasks(task, tasks, workers):
            total.merge_bytes(row["summary"])
            progress.advance(row["parts"])
        return total

    coarse = merged(coarse_task, Coarse.empty(CHANNELS))
    bins = classes.wanted_bins(coarse, config.count)
    fine = merged(partial(fine_task, bins), Fine.empty(bins))
    result = classes.fit(coarse, fine, config.count)
    making.counts.update(coefficients=int(result.counts.sum()), channels=CHANNELS, classes=config.count)
    write_text(making.folder / FILE, result.to_json())


def coarse_task(row: ray_data.Row) -> ray_data.Row:
    """First pass: the coarse summary of some parts."""
    return _summarise(row, Coarse.empty(CHANNELS))


def fine_task(bins: np.ndarray, row: ray_data.Row) -> ray_data.Row:
    """Second pass: the fine summary of some parts inside `bins`."""
    return _summarise(row, Fine.empty(bins))


def _summarise(row: ray_data.Row, summary: Coarse | Fine) -> ray_data.Row:
    for part in row["parts"]:
        for planes in target_planes(Path(part)):
            luma = luma_of(planes)
            pairs = mirrored(luma)
            q = coefficients(luma[::2] if pairs else luma)
            summary.update(by_channel(q), MIRROR if pairs else None)
    return {"parts": len(row["parts"]), "summary": summary.to_bytes()}


def mirrored(luma: np.ndarray) -> bool:
    """Whether every second plane is its predecessor's horizontal mirror: then the first ones tell all."""
    return len(luma) % 2 == 0 and np.array_equal(luma[::2, :, ::-1], luma[1::2])


def target_planes(part: Path) -> Iterator[np.ndarray]:
    """The targets of a part, some at a time. Shape: (N, C, H, W) uint8 each."""
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(_EXAMPLES_AT_ONCE, columns=["target", "height", "width"], use_threads=False):
            yield targets(pa.table(batch))


def targets(table: Any) -> np.ndarray:
    """The target planes of a table of examples of one size. Shape: (N, C, H, W) uint8."""
    height, width = table["height"][0].as_py(), table["width"][0].as_py()
    channels = len(table["target"][0].as_py()) // (height * width)
    return stack(table["target"], (channels, height, width))
