"""Stage 1: photographs -> examples/*.parquet, and quarantine/*.parquet for what cannot be used (section 4.1)."""

import collections
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.cluster import ray_data
from ced.cluster.ray_data import Later, Row
from ced.config import PrepareConfig, as_dict
from ced.core.columns import binary
from ced.core.examples import Example, examples
from ced.core.images import Rejected, decode
from ced.data import sources as photographs
from ced.data.sources import Photograph
from ced.errors import InputError, ServiceError
from ced.isolation import Crashed, alone
from ced.progress import Progress
from ced.store import files
from ced.store.outputs import Making, Output, make, write_table_later
from ced.store.session import Session

logger = logging.getLogger("ced")

EXAMPLES, QUARANTINE = "examples", "quarantine"
NAMED = 20  # photographs that were set aside, where they are told of; the quarantine has all
_WHY = "quarantined: "
_ATTEMPTS = 8  # at a part whose worker dies each time, then the job ends


def run(config: PrepareConfig, sources: tuple[str, ...], session: Session) -> Output:
    """Make the examples of all photographs in `sources`, or find them made.

    Photographs = prepared + quarantined, always. Raises InputError where not one can be used.
    """
    found = photographs.find(sources, config.pattern, session.store.root / "archives")
    crops = _crops_each(config, len(found))
    described = {**as_dict(config), "crops_each": crops, "schema": schema.VERSION}
    produce = partial(_produce, config, crops, found, session.workers)
    output = make(session.store, "prepare", described, {"photographs": photographs.content(found)}, produce)
    _tell(output)
    return output


def _crops_each(config: PrepareConfig, count: int) -> int:
    """Crops per photograph, within the limit over all of them."""
    if not config.crops_at_most:
        return config.crops
    return max(1, min(config.crops, config.crops_at_most // count))


def _produce(config: PrepareConfig, crops: int, found: list[Photograph], workers: int, making: Making) -> None:
    size = config.photographs_per_part
    parts = [found[start : start + size] for start in range(0, len(found), size)]
    progress = Progress("prepare", len(found), "photographs")
    rows = []
    for number, part in enumerate(parts):
        if (making.folder / EXAMPLES / part_name(number)).exists():
            progress.skip(len(part))
        else:
            rows.append({"part": number, "photographs": part})
    for mark in (making.folder / EXAMPLES).glob(_mark("*")):  # of tasks that were stopped with an earlier job
        mark.unlink()
    task = partial(prepare_part, config, crops, str(making.folder))
    for done in ray_data.run_tasks(task, rows, workers):
        making.parts.update(done["digests"])
        progress.advance(done["photographs"])
    making.counts.update(_count(making.folder, len(found)))
    if not making.counts["prepared"]:
        raise _none_of_use(making)


def _none_of_use(making: Making) -> InputError:
    """The refusal where all photographs were set aside. The same command tries again: what was wrong may be mended."""
    folder = making.folder / QUARANTINE
    one = pq.read_table(min(folder.glob("part-*.parquet"))).slice(0, 1).to_pylist()[0]
    for part in (making.folder / EXAMPLES).glob("part-*.parquet"):
        part.unlink()
    why = f"({reasons(making.counts)}), such as {one['source']}: {one['message']}"
    return InputError(f"none of the {making.counts['photographs']} photographs can be used {why}; see {folder}")


def prepare_part(config: PrepareConfig, crops: int, folder: str, row: Row) -> Later:
    """Write one part, waited for by calling what is returned: the quarantine first, the examples last, so that a part
    of examples is a finished part. One that is there, made by a worker that died later, is left as it is.

    Ray runs a task again whose worker died. A mark beside the part tells that one had begun: then each photograph is
    decoded in a process of its own, and one that ends it is set aside. Raises ServiceError where that does not help."""
    name, count = part_name(row["part"]), len(row["photographs"])
    mark = Path(folder, EXAMPLES, _mark(name))
    if Path(folder, EXAMPLES, name).exists():
        mark.unlink(missing_ok=True)
        return lambda: {"photographs": count, "digests": {}}
    make = _guarded if _begun(mark) else _made
    kept: list[tuple[str, Example]] = []
    rejected: list[dict[str, object]] = []
    for photograph in row["photographs"]:
        try:
            data = photographs.read(photograph, config.max_bytes)
            kept += [(photograph.name, example) for example in make(data, photograph.name, config, crops)]
        except Rejected as error:
            rejected.append({"source": photograph.name, "reason": error.reason, "message": error.message})
    tables = {EXAMPLES: _table(kept)}
    if rejected:
        tables = {QUARANTINE: pa.Table.from_pylist(rejected, schema.QUARANTINE)} | tables
    else:
        Path(folder, QUARANTINE, name).unlink(missing_ok=True)  # of a former try, where reading failed for a while
    digests = {f"{of}/{name}": write_table_later(Path(folder, of, name), table) for of, table in tables.items()}

    def told() -> Row:
        written = {path: digest.result() for path, digest in digests.items()}
        mark.unlink(missing_ok=True)
        return {"photographs": count, "digests": written}

    return told


def _mark(name: str) -> str:
    return f".{name}.begun"


def _begun(mark: Path) -> int:
    """How often the part was begun before. It is now, once more. Raises ServiceError after too many times."""
    files.make_folder(mark.parent)
    with mark.open("ab") as file:
        before = file.tell()
        file.write(b".")
    if before >= _ATTEMPTS:
        raise ServiceError(
            f"Ray lost {before} workers at the same photographs (memory?); its logs in /tmp/ray/session_latest say "
            "why, and the same command goes on"
        )
    return before


def _made(data: bytes, name: str, config: PrepareConfig, crops: int) -> list[Example]:
    """The examples of the photograph in `data`. Raises Rejected."""
    return list(examples(decode(data, config.max_pixels), name, config, crops))


def _guarded(data: bytes, name: str, config: PrepareConfig, crops: int) -> list[Example]:
    """`_made`, by a process that may die of it: twice, since the first time it may have been for want of memory."""
    work = partial(_made, data, name, config, crops)
    try:
        try:
            return alone(work)
        except Crashed:
            return alone(work)
    except Crashed as error:
        raise Rejected("crashed", f"decoding it ended the process ({error.how})") from error


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


def part_name(number: int) -> str:
    """The file name of part `number`."""
    return f"part-{number:05d}.parquet"


def _count(folder: Path, total: int) -> dict[str, int]:
    """The counts, read back from what was written."""
    rows = sum(pq.read_metadata(path).num_rows for path in (folder / EXAMPLES).glob("part-*.parquet"))
    found: collections.Counter[str] = collections.Counter()
    for path in sorted((folder / QUARANTINE).glob("part-*.parquet")):
        found.update(pq.read_table(path, columns=["reason"])["reason"].to_pylist())
    set_aside = sum(found.values())
    counts = {"photographs": total, "prepared": total - set_aside, "quarantined": set_aside, "examples": rows}
    return counts | {f"{_WHY}{reason}": n for reason, n in sorted(found.items())}


def _tell(output: Output) -> None:
    counts = output.manifest.counts
    if counts["quarantined"]:
        logger.warning(
            "prepare: %d of %d photographs set aside (%s); see %s",
            counts["quarantined"],
            counts["photographs"],
            reasons(counts),
            output.path / QUARANTINE,
        )


def reasons(counts: dict[str, int]) -> str:
    """Why photographs were set aside, in words: "2 truncated, 1 small"; of an output's counts."""
    return ", ".join(f"{n:,} {name.removeprefix(_WHY)}" for name, n in counts.items() if name.startswith(_WHY))


def quarantined(output: Output) -> list[dict[str, str]]:
    """The quarantine table: source, path, reason and message of each photograph set aside."""
    tables = [pq.read_table(path) for path in sorted((output.path / QUARANTINE).glob("part-*.parquet"))]
    rows: list[dict[str, str]] = pa.concat_tables(tables).to_pylist() if tables else []
    return rows
