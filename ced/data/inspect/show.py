"""What is in the outputs of prepare, edges and label: facts, columns, class balance, and examples to look at."""

import contextlib
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import terminal
from ced.core.examples import stack
from ced.core.frequency import CHANNELS, PATCH
from ced.data import edges, label
from ced.data.inspect import contact_sheet
from ced.data.inspect.contact_sheet import Tile
from ced.data.prepare import EXAMPLES, NAMED, QUARANTINE
from ced.errors import FormatError, InputError
from ced.progress import Progress
from ced.store import checked
from ced.store.finished import find
from ced.store.outputs import STAGES, Output

Data = dict[str, Output]  # by stage, one of each at most

LABELS = "labels"  # the table of the stage label

MEANING = {
    "image_id": "the photograph, and which crop of it",
    "source": "the photograph: folder and path in it",
    "flip": "mirrored left to right",
    "quality": "JPEG quality factor",
    "height": "pixels",
    "width": "pixels",
    "target": "the original, C x H x W uint8",
    "input": "decoded from jpeg, C x H x W uint8",
    "jpeg": "the JPEG stream",
    "labels": "class of each coefficient, 16 x H/4 x W/4 uint8",
    "reason": "why it was set aside",
    "message": "more about it",
}
_ROWS = 64  # read at a time
_WIDE = 90  # letters a line
_DRAWN = ("image_id", "flip", "quality", "height", "width", "target", "input")


def choose(folder: Path) -> Data:
    """The data outputs in `folder`. Raises InputError where there is none, or more than one of a stage."""
    chosen: Data = {}
    for output in find([folder]):
        stage = output.manifest.stage
        if stage in chosen:
            raise InputError(f"{folder}: several outputs of {stage} in it; name one of them, such as {output.path}")
        if stage in STAGES:
            chosen[stage] = output
    if not chosen:
        raise InputError(f"{folder}: no output of {', '.join(STAGES)} in it; give a folder that `ced prepare -o` wrote")
    return chosen


def balance(data: Data) -> np.ndarray | None:
    """How many coefficients of each channel are of each class: as labelled, else as the edges were found.

    Shape: (16, K) int64; None where the outputs know of no classes.
    """
    of_edges = edges.load(data["edges"]).counts if "edges" in data else None
    if "label" not in data:
        return of_edges
    counts = np.zeros((CHANNELS, 256), np.int64)
    parts = _parts(data["label"], LABELS)
    progress = Progress("class balance", len(parts), "parts")
    for part in parts:
        for table in _batches(part, ("labels", "height", "width")):
            with _reading(part):
                height, width = table["height"][0].as_py(), table["width"][0].as_py()
                labels = stack(table["labels"], (CHANNELS, height // PATCH, width // PATCH))
            counts += [np.bincount(labels[:, channel].ravel(), minlength=256) for channel in range(CHANNELS)]
        progress.advance()
    highest = int(np.flatnonzero(counts.any(axis=0)).max(initial=0)) + 1
    return counts[:, : max(highest, 0 if of_edges is None else of_edges.shape[1])]


def text(data: Data, counts: np.ndarray | None) -> str:
    """Everything about the outputs in words and figures; `counts` is their `balance`."""
    blocks: list[list[str]] = []
    for output in data.values():
        blocks += [_facts(output, data), *_columns(output), *_set_aside(output)]
    if counts is not None:
        blocks.append(_shares(counts))
    return "\n\n".join("\n".join(block) for block in blocks)


def sheet(data: Data, count: int, counts: np.ndarray | None) -> bytes | None:
    """A PNG of `count` examples, with class maps where they are labelled; None where there are no examples."""
    output = data.get("label") or data.get("prepare")
    drawn = tiles(data, count)
    if output is None or not drawn:
        return None
    manifest = output.manifest
    title = f"{manifest.stage} {manifest.fingerprint}: {len(drawn)} of {manifest.counts.get('examples', 0):,} examples"
    return contact_sheet.sheet(title, drawn, 1 if counts is None else counts.shape[1])


def tiles(data: Data, count: int) -> list[Tile]:
    """`count` examples, or all where there are fewer, spread evenly from the first row to the last."""
    parts = _examples(data)
    starts = np.cumsum([0, *(_footer(part).num_rows for part in parts)])
    picked = np.linspace(0, max(starts[-1] - 1, 0), min(count, starts[-1])).round().astype(np.int64)
    drawn: list[Tile] = []
    for part, start, stop in zip(parts, starts[:-1], starts[1:], strict=True):
        rows = picked[(picked >= start) & (picked < stop)] - start
        if len(rows):
            drawn += _tiles(part, _labels_of(data, part), rows)
    return drawn


def _facts(output: Output, data: Data) -> list[str]:
    manifest = output.manifest
    stage_of = {other.manifest.content: f" ({stage} {other.manifest.fingerprint})" for stage, other in data.items()}
    made_from = [f"{name} {digest}{stage_of.get(digest, '')}" for name, digest in manifest.inputs.items()]
    settings = ", ".join(f"{name}={value}" for name, value in manifest.config.items())
    lines = textwrap.wrap(settings, _WIDE, break_long_words=False)
    pairs = [("stage", manifest.stage), ("fingerprint", manifest.fingerprint), ("folder", str(output.path))]
    pairs += [("made from" if n == 0 else "", line) for n, line in enumerate(made_from)]
    pairs += [("configuration" if n == 0 else "", line) for n, line in enumerate(lines)]
    pairs += [("counts", ", ".join(f"{number:,} {name}" for name, number in manifest.counts.items()))]
    pairs += [("parts", f"{len(manifest.parts)}, made in {manifest.seconds:.1f} s")]
    return terminal.facts(pairs)


def _columns(output: Output) -> Iterator[list[str]]:
    """Of each table of the output: name, type, meaning and bytes of its columns."""
    for name in (EXAMPLES, QUARANTINE, LABELS):
        footers = [_footer(part) for part in _parts(output, name)]
        if not footers:
            continue
        groups = [footer.row_group(n) for footer in footers for n in range(footer.num_row_groups)]
        chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
        rows = []
        for field in footers[0].schema.to_arrow_schema():
            own = [chunk for chunk in chunks if chunk.path_in_schema == field.name]
            sizes = [sum(chunk.total_compressed_size for chunk in own), sum(c.total_uncompressed_size for c in own)]
            rows.append((field.name, str(field.type), MEANING.get(field.name, ""), *map(terminal.size, sizes)))
        lines = terminal.grid(("column", "type", "what it is", "compressed", "plain"), rows, (3, 4))
        yield [f"{name}: {sum(footer.num_rows for footer in footers):,} rows", *lines]


def _set_aside(output: Output) -> Iterator[list[str]]:
    """The first photographs that were set aside, and why: a line each."""
    names = ("source", "reason", "message")
    parts = _parts(output, QUARANTINE)
    rows = (row for part in parts for batch in _batches(part, names) for row in batch.to_pylist())
    first = [tuple(" ".join(row[name].split()) for name in names) for row in itertools.islice(rows, NAMED)]
    if first:
        count = sum(_footer(part).num_rows for part in parts)
        more = [f"and {count - len(first):,} more in {output.path / QUARANTINE}"] if count > len(first) else []
        yield [*terminal.grid(("set aside", "reason", "message"), first, ()), *more]


def _shares(counts: np.ndarray) -> list[str]:
    """The smallest and the largest class of each channel."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = []
    for channel, row in enumerate(shares):
        least, most = int(row.argmin()), int(row.argmax())
        cells = (f"{row[least]:.3%}", str(least), f"{row[most]:.3%}", str(most))
        rows.append((f"{channel // PATCH}, {channel % PATCH}", *cells))
    heading = ("u, v", "least", "class", "most", "class")
    even = f"classes: {counts.shape[1]} a channel, {1 / counts.shape[1]:.3%} each if all were equal"
    return [f"{even}; of {counts[0].sum():,} coefficients a channel", *terminal.grid(heading, rows, (1, 2, 3, 4))]


def _parts(output: Output, name: str) -> list[Path]:
    """The Parquet parts of a table; labels lie in their output's folder itself."""
    stage, folder = ("label", "") if name == LABELS else ("prepare", f"{name}/")
    if output.manifest.stage != stage:
        return []
    return [output.path / part for part in sorted(output.manifest.parts) if part.startswith(folder)]


def _examples(data: Data) -> list[Path]:
    """The parts of the examples; of labels alone those that they belong to, where these lie beside them."""
    if "prepare" in data:
        return _parts(data["prepare"], EXAMPLES)
    if "label" not in data:
        return []
    try:
        folder = label.examples_of(data["label"])
    except InputError:
        return []
    return [folder / part.name for part in _parts(data["label"], LABELS)]


def _labels_of(data: Data, part: Path) -> Path | None:
    """The labels of a part of examples, None where the outputs have none for it."""
    if "label" not in data:
        return None
    made_from = data["label"].manifest.inputs.get("examples")
    same = "prepare" not in data or data["prepare"].manifest.content == made_from
    return data["label"].path / part.name if same else None


def _tiles(part: Path, labels: Path | None, rows: np.ndarray) -> Iterator[Tile]:
    """The examples of a part in `rows`, ascending."""
    of_labels = _rows(labels, ("labels",), rows) if labels else ({} for _ in rows)
    for row, beside in zip(_rows(part, _DRAWN, rows), of_labels, strict=True):
        with _reading(part):
            height, width = row["height"], row["width"]
            planes = [np.frombuffer(row[name], np.uint8).reshape(-1, height, width) for name in ("target", "input")]
            original, degraded = (p[0] if len(p) == 1 else p.transpose(1, 2, 0) for p in planes)
            classes = np.frombuffer(beside["labels"], np.uint8) if beside else None
            if classes is not None:
                classes = classes.reshape(CHANNELS, height // PATCH, -1)
            yield Tile(row["image_id"], row["quality"], row["flip"], original, degraded, classes)


def _rows(part: Path, columns: Sequence[str], rows: np.ndarray) -> Iterator[dict[str, Any]]:
    start = 0
    for batch in _batches(part, columns):
        inside = rows[(rows >= start) & (rows < start + batch.num_rows)] - start
        yield from batch.take(inside).to_pylist()
        start += batch.num_rows


def _batches(part: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    with _reading(part), pq.ParquetFile(checked.part(part)) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(_ROWS, columns=there):
            yield pa.Table.from_batches([batch])


def _footer(part: Path) -> Any:
    with _reading(part):
        return pq.read_metadata(part)


@contextlib.contextmanager
def _reading(part: Path) -> Iterator[None]:
    """Raises FormatError, naming the part, for whatever a damaged part makes the readers raise."""
    try:
        yield
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise FormatError(f"{part}: cannot be read; `ced data verify` tells what is wrong with its folder") from error
