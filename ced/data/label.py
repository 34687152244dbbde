"""Stage 3, `label`: examples + classes -> the class map of each example's target (section 3.3).

Takes: the outputs of `prepare` and `edges`.
Writes: part-*.parquet (`ced.schema.LABELS`), row by row. The examples are not written again: part k here belongs to
part k of the examples. Counts: examples.
Is run again for: other bytes of examples or of classes.json, other columns.
Safe to retry: parts that are there are kept.
"""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.cluster.parts import Later, Part, Row, run_parts
from ced.core.classes import Classes
from ced.core.examples import binary
from ced.core.frequency import coefficients
from ced.core.images import luma_of
from ced.data import edges
from ced.data.edges import mirrored, targets
from ced.data.prepare import EXAMPLES
from ced.errors import InputError
from ced.progress import Progress
from ced.store import checked
from ced.store.outputs import MANIFEST, Making, Output, make, read_manifest, write_table_later
from ced.store.session import Session

_KEY = ["image_id", "flip", "height", "width"]


def run(prepared: Output, classes: Output, session: Session) -> Output:
    """Label every example."""
    inputs = {"examples": prepared.manifest.content, "classes": classes.manifest.content}
    produce = partial(_produce, prepared, edges.load(classes), session)
    described = {"schema": schema.VERSION, "columns": ",".join(schema.LABELS.names)}
    return make(session.store, "label", described, inputs, produce)


def examples_of(labelled: Output) -> Path:
    """The folder of the examples that were labelled: in the output of prepare beside it, known by its content.

    Raises InputError where it is not there.
    """
    content = labelled.manifest.inputs.get("examples")
    # A folder of the user's own has prepare/ beside label/, a store has prepare/*/ beside label/*/.
    for folder in (labelled.path.parent / "prepare", *sorted(labelled.path.parent.parent.glob("prepare/*"))):
        if (folder / MANIFEST).exists():
            manifest = read_manifest(folder)
            if manifest is not None and manifest.content == content:
                return folder / EXAMPLES
    raise InputError(f"{labelled.path}: the examples that it labels (prepare, content {content}) are not beside it")


def _produce(prepared: Output, classes: Classes, session: Session, making: Making) -> None:
    folder = making.folder
    examples = checked.parts(prepared.path / EXAMPLES)
    parts = [Part({"part": str(part)}, (folder / part.name,)) for part in examples]
    task = partial(label_part, classes, str(folder))
    for answer in run_parts(task, parts, session, Progress("label", len(parts), "parts")):
        making.parts[answer["name"]] = answer["digest"]
    making.counts["examples"] = sum(pq.read_metadata(folder / part.name).num_rows for part in examples)


def label_part(classes: Classes, folder: str, row: Row) -> Later:
    """Write one part of labels. Calling what is returned waits for the file and gives its name and digest."""
    part = checked.part(Path(row["part"]))
    table = pq.read_table(part, columns=[*_KEY, "target"], use_threads=False, memory_map=True)
    column = pa.chunked_array([], pa.binary())
    if table.num_rows:
        luma = luma_of(targets(table))
        pairs = mirrored(luma)  # each image and its flip: the image's coefficients are enough
        q = coefficients(luma[::2] if pairs else luma)
        column = binary(classes.label_mirrored(q) if pairs else classes.label(q))
    digest = write_table_later(Path(folder, part.name), pa.table([*(table[k] for k in _KEY), column], schema.LABELS))
    return lambda: {"name": part.name, "digest": digest.result()}
