"""Do the counts of an output add up, with its rows and with the outputs that it was made from?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.data import edges
from ced.data.prepare import EXAMPLES, QUARANTINE
from ced.errors import FormatError
from ced.store.outputs import Output

_SUFFIX = ".parquet"

Footers = Mapping[str, Any]  # name of a Parquet part -> its metadata, None where it has none


def footers(folder: Path, names: Iterable[str]) -> Footers:
    """The metadata of the Parquet parts among `names`, None where a part is not Parquet at all."""
    return {name: _footer(folder / name) for name in names if name.endswith(_SUFFIX)}


def _footer(path: Path) -> Any:
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None


def strangers(found: Footers) -> Iterator[tuple[str, str]]:
    """Parquet parts that this version does not read, and why."""
    for name, footer in found.items():
        stated = _version(footer)
        if footer is None:
            yield name, "not Parquet"
        elif stated != schema.VERSION:
            yield name, f"schema version {stated or 'unknown'}, this ced reads {schema.VERSION}"


def _version(footer: Any) -> str:
    stored: bytes = ((footer and footer.metadata) or {}).get(b"ced.schema", b"")
    return stored.decode(errors="replace")


def within(output: Output, found: Footers) -> list[str]:
    """What does not add up inside one output whose parts are all there."""
    checks = {"prepare": _prepare, "edges": _edges, "label": _label}
    check = checks.get(output.manifest.stage)
    return list(check(output, found)) if check else []


def between(output: Output, outputs: Sequence[Output]) -> list[str]:
    """What does not fit between labelled examples and the output of prepare they were made from, where it is there."""
    if output.manifest.stage != "label":
        return []
    made_from, stated = output.manifest.inputs.get("examples"), output.manifest.counts.get("examples", 0)
    findings = []
    for other in (other for other in outputs if other.manifest.stage == "prepare"):
        examples = other.manifest.counts.get("examples", 0)
        if other.manifest.content != made_from:
            if other.path.parent == output.path.parent:  # side by side: `ced prepare -o`
                findings.append(f"made from other examples than those of {other.path}")
        elif examples != stated:
            findings.append(f"{stated:,} examples, but prepare {other.manifest.fingerprint} states {examples:,}")
    return findings


def _prepare(output: Output, found: Footers) -> Iterator[str]:
    counts = output.manifest.counts
    photographs, prepared, quarantined = (counts.get(name, 0) for name in ("photographs", "prepared", "quarantined"))
    if photographs != prepared + quarantined:
        yield f"{photographs:,} photographs, but {prepared:,} prepared and {quarantined:,} quarantined"
    reasons = sum(n for name, n in counts.items() if name.startswith("quarantined: "))
    yield from _differ("quarantined", quarantined, "the reasons add up to", reasons)
    yield from _differ("quarantined", quarantined, "the rows of the quarantine are", _rows(found, f"{QUARANTINE}/"))
    yield from _differ("examples", counts.get("examples", 0), "the rows are", _rows(found, f"{EXAMPLES}/"))


def _label(output: Output, found: Footers) -> Iterator[str]:
    yield from _differ("examples", output.manifest.counts.get("examples", 0), "the rows are", _rows(found, ""))


def _edges(output: Output, found: Footers) -> Iterator[str]:
    try:
        table = edges.load(output)
    except (FormatError, OSError) as error:
        yield str(error)
        return
    counted = {"coefficients": int(table.counts.sum()), "channels": len(table.counts), "classes": table.count}
    for name, number in counted.items():
        yield from _differ(name, output.manifest.counts.get(name, 0), "those of classes.json are", number)


def _rows(found: Footers, prefix: str) -> int:
    return sum(footer.num_rows for name, footer in found.items() if footer is not None and name.startswith(prefix))


def _differ(name: str, stated: int, clause: str, counted: int) -> Iterator[str]:
    if stated != counted:
        yield f"{stated:,} {name}, but {clause} {counted:,}"
