"""Stage 3: examples + classes -> labelled/*.parquet, the class map of each target beside its example."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.adapters import ray_data
from ced.adapters.storage import Making, Output, Place, make, write_table_later
from ced.core.classes import Classes
from ced.core.columns import binary, luma_of
from ced.core.frequency import coefficients
from ced.stages import edges
from ced.stages.edges import mirrored, targets
from ced.stages.prepare import EXAMPLES
from ced.stages.progress import Progress


def run(prepared: Output, classes: Output, place: Place, workers: int = 0) -> Output:
    """Label every example, or find them labelled."""
    inputs = {"examples": prepared.manifest.content, "classes": classes.manifest.content}
    produce = partial(_produce, prepared, edges.load(classes), workers)
    return make(place, "label", {"schema": schema.VERSION}, inputs, produce)


def _produce(prepared: Output, classes: Classes, workers: int, making: Making) -> None:
    parts = sorted((prepared.path / EXAMPLES).glob("part-*.parquet"))
    missing = [part for part in parts if not (making.folder / part.name).exists()]
    progress = Progress("label", len(parts), "parts")
    progress.skip(len(parts) - len(missing))
    task = partial(label_part, classes, str(making.folder))
    for done in ray_data.run_tasks(task, [{"part": str(part)} for part in missing], workers):
        making.parts[done["name"]] = done["digest"]
        progress.advance()
    making.counts["examples"] = sum(pq.read_metadata(making.folder / part.name).num_rows for part in parts)


def label_part(classes: Classes, folder: str, row: ray_data.Row) -> ray_data.Later:
    """Write one labelled part; waited for by calling what is returned."""
    part = Path(row["part"])
    table = pq.read_table(part, use_threads=False, memory_map=True)
    column = binary(label_maps(classes, table)) if table.num_rows else pa.array([], pa.binary())
    table = table.append_column(schema.LABELLED.field("labels"), column).cast(schema.LABELLED)
    digest = write_table_later(Path(folder, part.name), table)
    return lambda: {"name": part.name, "digest": digest.result()}


def label_maps(classes: Classes, table: pa.Table) -> np.ndarray:
    """The class maps y of a table's targets. Shape: (N, 16, H/4, W/4) uint8."""
    luma = luma_of(targets(table))
    if mirrored(luma):
        return classes.label_mirrored(coefficients(luma[::2]))
    return classes.label(coefficients(luma))
