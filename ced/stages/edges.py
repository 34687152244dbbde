"""Stage 2: examples -> classes.json, the edges of equal-count classes and the mapping M (section 4.1).

Two passes over the examples, each one summary per task, merged as they come: exact, in memory that does not
grow with the number of images (`ced.core.quantiles`).
"""

from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ced.adapters import ray_data
from ced.adapters.storage import Making, Output, Place, make, write_text
from ced.config import ClassesConfig, as_dict
from ced.core import classes
from ced.core.columns import luma_of, stack
from ced.core.frequency import CHANNELS, coefficients
from ced.core.quantiles import Coarse, Fine
from ced.stages.prepare import EXAMPLES
from ced.stages.progress import Progress

FILE = "classes.json"
_PARTS_PER_TASK = 8


def run(config: ClassesConfig, prepared: Output, place: Place, workers: int = 0) -> Output:
    """Find the edges and class means of all target coefficients of the training set, or find them made."""
    produce = partial(_produce, config, prepared, workers)
    return make(place, "edges", as_dict(config), {"examples": prepared.manifest.content}, produce)


def load(output: Output) -> classes.Classes:
    """The classes of a finished stage. Raises FormatError."""
    path = output.path / FILE
    return classes.Classes.from_json(path.read_text(), str(path))


def _produce(config: ClassesConfig, prepared: Output, workers: int, making: Making) -> None:
    parts = sorted(str(path) for path in (prepared.path / EXAMPLES).glob("part-*.parquet"))
    tasks = [{"parts": parts[i : i + _PARTS_PER_TASK]} for i in range(0, len(parts), _PARTS_PER_TASK)]
    progress = Progress("edges", 2 * len(parts), "parts")

    def merged(task: Callable[[ray_data.Row], ray_data.Row], kind: Any) -> Any:
        total = None
        for row in ray_data.run_tasks(task, tasks, workers):
            summary = kind.from_bytes(row["summary"])
            total = summary if total is None else total.merge(summary)
            progress.advance(row["parts"])
        return total

    coarse: Coarse = merged(coarse_task, Coarse)
    bins = classes.wanted_bins(coarse, config.count)
    fine: Fine = merged(partial(fine_task, bins), Fine)
    result = classes.fit(coarse, fine, config.count)
    making.counts.update(coefficients=int(result.counts.sum()), channels=CHANNELS, classes=config.count)
    write_text(making.folder / FILE, result.to_json())


def coarse_task(row: ray_data.Row) -> ray_data.Row:
    """First pass: the coarse summary of some parts."""
    return _summary(row, Coarse.of)


def fine_task(bins: np.ndarray, row: ray_data.Row) -> ray_data.Row:
    """Second pass: the fine summary of some parts inside `bins`."""
    return _summary(row, partial(Fine.of, bins=bins))


def _summary(row: ray_data.Row, of: Callable[[np.ndarray], Any]) -> ray_data.Row:
    summaries = (of(target_coefficients(Path(part))) for part in row["parts"])
    total = reduce(lambda a, b: a.merge(b), summaries)
    return {"parts": len(row["parts"]), "summary": total.to_bytes()}


def target_coefficients(part: Path) -> np.ndarray:
    """All coefficients of a part's targets by channel. Shape: (16, N) float32."""
    table = pq.read_table(part, columns=["target", "height", "width"])
    if not table.num_rows:
        return np.empty((CHANNELS, 0), np.float32)
    q = coefficients(luma_of(targets(table)))
    return np.ascontiguousarray(q.transpose(1, 0, 2, 3)).reshape(CHANNELS, -1)


def targets(table: Any) -> np.ndarray:
    """The target planes of a table of examples of one size. Shape: (N, C, H, W) uint8."""
    height, width = table["height"][0].as_py(), table["width"][0].as_py()
    channels = len(table["target"][0].as_py()) // (height * width)
    return stack(table["target"], (channels, height, width))
