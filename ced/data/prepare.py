"""Stage 1, `prepare`: photographs -> restoration examples (section 4.1).

Takes: the sources of photographs, by name, size and time of change.
Writes: examples/part-*.parquet (`ced.schema.EXAMPLES`), and quarantine/part-*.parquet (`ced.schema.QUARANTINE`) for the
photographs of that part that cannot be used. Counts: photographs = prepared + quarantined, examples.
Is run again for: another setting of `prepare`, other photographs.
Safe to retry: parts that are there are kept, and the bytes do not depend on the workers or on interruptions. What ends
the process that decodes it, or takes it too long, is set aside too.
"""

import collections
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.cluster.parts import Later, Part, Row, run_parts
from ced.config import PrepareConfig, as_dict
from ced.core.examples import Example, binary, examples
from ced.core.images import Rejected, decode
from ced.data import sources as photographs
from ced.data.sources import Photograph
from ced.decoding import guarded
from ced.errors import InputError, ServiceError
from ced.progress import Progress
from ced.store import checked
from ced.store.attempts import Attempts
from ced.store.outputs import Making, Output, make, part_name, parts_in, write_table_later
from ced.store.session import Session

logger = logging.getLogger("ced")

EXAMPLES, QUARANTINE = "examples", "quarantine"
NAMED = 20  # photographs that a page or a terminal names as set aside; the quarantine has all
_BEGUN = ".begun"  # scratch: the attempts at each part
WHY = "quarantined: "  # a count's name begins so, and ends with the reason
_ATTEMPTS = 8  # at a part whose worker dies each time, then the job ends


def run(config: PrepareConfig, sources: tuple[str, ...], session: Session) -> Output:
    """Make the examples of all photographs in `sources`. Raises InputError where not one can be used."""
    listed = photographs.find(sources, config.pattern, session.store.root / "archives")
    crops = config.crops  # of each photograph, within the limit over all of them
    if config.crops_at_most:
        crops = max(1, min(crops, config.crops_at_most // len(listed)))
    described = {**as_dict(config), "crops_each": crops, "schema": schema.VERSION}
    produce = partial(_produce, config, crops, listed, session)
    output = make(session.store, "prepare", described, {"photographs": photographs.content(listed)}, produce)
    counts = output.manifest.counts
    if counts["quarantined"]:
        aside = f"{counts['quarantined']} of {counts['photographs']} photographs set aside ({reasons(counts)})"
        logger.warning("prepare: %s; see %s", aside, output.path / QUARANTINE)
    return output


def _produce(config: PrepareConfig, crops: int, listed: list[Photograph], session: Session, making: Making) -> None:
    parts = []
    for number, start in enumerate(range(0, len(listed), config.photographs_per_part)):
        some = listed[start : start + config.photographs_per_part]
        file = making.folder / EXAMPLES / part_name(number)
        parts.append(Part({"part": number, "photographs": some}, (file,), len(some)))
    task = partial(prepare_part, config, crops, str(making.folder))
    progress = Progress("prepare", len(listed), "photographs")
    for digests in run_parts(task, parts, session, progress, making.folder / _BEGUN):
        making.parts.update(digests)
    making.counts.update(_count(making.folder, len(listed)))
    if not making.counts["prepared"]:
        raise _nothing_usable(making)


def _nothing_usable(making: Making) -> InputError:
    """The refusal where all photographs were set aside. The same command tries again: what was wrong may be mended."""
    folder = making.folder / QUARANTINE
    row = pq.read_table(parts_in(folder)[0]).slice(0, 1).to_pylist()[0]
    for part in parts_in(making.folder / EXAMPLES):
        part.unlink()
    why = f"({reasons(making.counts)}), such as {row['source']}: {row['message']}"
    return InputError(f"none of the {making.counts['photographs']} photographs can be used {why}; see {folder}")


def prepare_part(config: PrepareConfig, crops: int, folder: str, row: Row) -> Later:
    """Write one part: the quarantine first, the examples last, so that a part of examples is a finished part. Calling
    what is returned waits for the files and gives their digests.

    Ray runs a task again whose worker died, or ended since a photograph took it too long. If the part was begun before,
    each photograph is decoded in a process of its own, and the one that was to blame is set aside. Raises ServiceError
    where that does not help.
    """
    name = part_name(row["part"])
    attempts = Attempts(Path(folder, _BEGUN, str(row["part"])))
    if Path(folder, EXAMPLES, name).exists():  # by a worker that died later
        attempts.end()
        return lambda: {}
    if attempts.before >= _ATTEMPTS:
        raise ServiceError(
            f"Ray lost {attempts.before} workers at the same photographs (memory?); its logs in "
            "/tmp/ray/session_latest say why, and the same command goes on"
        )
    again = attempts.before > 0
    kept: list[tuple[str, Example]] = []
    rejected: list[dict[str, object]] = []
    for photograph in row["photographs"]:
        try:
            data = photographs.read(photograph, config.max_bytes)
            some = guarded(partial(_decode, data, photograph.name, config, crops), again)
            kept += [(photograph.name, example) for example in some]
        except Rejected as error:
            rejected.append({"source": photograph.name, "reason": error.reason, "message": error.message})
    tables = {EXAMPLES: _table(kept)}
    if rejected:
        tables = {QUARANTINE: pa.Table.from_pylist(rejected, schema.QUARANTINE)} | tables
    else:
        Path(folder, QUARANTINE, name).unlink(missing_ok=True)  # of a former try, where reading failed for a while
    written = {f"{kind}/{name}": write_table_later(Path(folder, kind, name), table) for kind, table in tables.items()}

    def wait() -> Row:
        digests = {path: digest.result() for path, digest in written.items()}
        attempts.end()
        return digests

    return wait


def _decode(data: bytes, name: str, config: PrepareConfig, crops: int) -> list[Example]:
    """The examples of the photograph in `data`. Raises Rejected."""
    return list(examples(decode(data, config.max_pixels), name, config, crops))


def _table(kept: list[tuple[str, Example]]) -> pa.Table:
    if not kept:
        return schema.EXAMPLES.empty_table()
    rows = [example for _, example in kept]
    _, height, width = rows[0].target.shape
    columns = {
        "image_id": [row.image_id for row in rows],
        "source": [source for source, _ in kept],
        "flip": [row.flip for row in rows],
        "quality": [row.quality for row in rows],
        "height": np.full(len(rows), height),
        "width": np.full(len(rows), width),
        "target": binary(np.stack([row.target for row in rows])),
        "input": binary(np.stack([row.input for row in rows])),
        "jpeg": [row.jpeg for row in rows],
    }
    return pa.table(columns, schema.EXAMPLES)


def _count(folder: Path, photographs: int) -> dict[str, int]:
    """The counts, read back from what was written."""
    rows = sum(pq.read_metadata(path).num_rows for path in parts_in(folder / EXAMPLES))
    why: collections.Counter[str] = collections.Counter()
    for path in parts_in(folder / QUARANTINE):
        why.update(pq.read_table(path, columns=["reason"])["reason"].to_pylist())
    aside = sum(why.values())
    counts = {"photographs": photographs, "prepared": photographs - aside, "quarantined": aside, "examples": rows}
    return counts | {f"{WHY}{reason}": n for reason, n in sorted(why.items())}


def reasons(counts: dict[str, int]) -> str:
    """Why photographs were set aside, in words: "2 truncated, 1 small"; of an output's counts."""
    return ", ".join(f"{n:,} {name.removeprefix(WHY)}" for name, n in counts.items() if name.startswith(WHY))


def quarantined(output: Output) -> list[dict[str, str]]:
    """The quarantine table: source, reason and message of each photograph set aside."""
    tables = [pq.read_table(checked.part(path)) for path in checked.parts(output.path / QUARANTINE)]
    rows: list[dict[str, str]] = pa.concat_tables(tables).to_pylist() if tables else []
    return rows
