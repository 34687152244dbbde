"""Are outputs still what their manifests say? Each part by its SHA-256, the counts by the rows, and outputs that were
made from each other by whether they fit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.data import edges
from ced.data.prepare import EXAMPLES, QUARANTINE, WHY
from ced.errors import FormatError
from ced.progress import Progress
from ced.store.outputs import ELSEWHERE, MANIFEST, STAGES, Output, sha256, visible

_THREADS = 4  # hashing waits for the disk as much as for a core

# What a finding asks for, the mildest first.
_FILE, _PART, _FOLDER = range(3)

Footers = Mapping[str, Any]  # name of a Parquet part -> its metadata, None where it is not Parquet


@dataclass(frozen=True)
class Finding:
    """What is wrong with one part, or with the counts, and how much has to be made again."""

    name: str
    what: str
    asks: int = _PART

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@dataclass(frozen=True)
class Checked:
    """An output that was looked at: the bytes of the parts that are there, and what is wrong with them."""

    output: Output
    size: int  # bytes
    findings: tuple[Finding, ...]


def verify(outputs: Sequence[Output]) -> list[Checked]:
    """Look at every part of `outputs`, and at outputs made from each other whether they agree."""
    paths = [o.path / name for o in outputs for name in visible(o.path) if name in o.manifest.parts]
    progress = Progress("verify", len(paths), "files")
    digests = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, digest in zip(paths, pool.map(_digest, paths), strict=True):
            digests[path] = digest
            progress.advance()
    return [_check(output, digests, outputs) for output in outputs]


def cure(damaged: Sequence[Checked]) -> str:
    """What to delete, and what to do then."""
    clauses, again = [], False
    for checked in damaged:
        folder, asks = checked.output.path, max(finding.asks for finding in checked.findings)
        again = again or asks > _FILE
        if asks == _FILE:
            clauses.append(f"delete the files named above in {folder}")
        elif asks == _PART:
            clauses.append(f"delete the parts named above and {folder / MANIFEST}")
        else:
            clauses.append(f"remove {folder}")
    if again:
        clauses.append("then run the same command again: only what is missing is made again")
    return "; ".join(clauses)


def _digest(path: Path) -> str:
    """The SHA-256 of a part; "" where the disk does not give it."""
    try:
        return sha256(path)
    except OSError:
        return ""


def _check(output: Output, digests: Mapping[Path, str], outputs: Sequence[Output]) -> Checked:
    """Hold one output against its manifest, and against the others that it was made from."""
    folder, parts = output.path, output.manifest.parts
    findings, whole = [], []
    for name, stated in sorted(parts.items()):
        digest = digests.get(folder / name)
        if digest == stated:
            whole.append(name)
        else:
            what = "missing" if digest is None else "altered" if digest else "cannot be read"
            findings.append(_damaged(output, name, what))
    findings += [Finding(name, what, _FOLDER) for name, what in _elsewhere(output)] if ELSEWHERE in whole else []
    findings += [Finding(name, "extra", _FILE) for name in visible(folder) if name not in parts]
    footers = {name: _footer(folder / name) for name in whole if name.endswith(".parquet")}
    findings += [Finding(name, what, _FOLDER) for name, what in _other_versions(footers)]
    if len(whole) == len(parts):
        findings += [Finding("counts", what) for what in _wrong_counts(output, footers)]
    if output.manifest.stage == "label":
        findings += [Finding("counts", what, _FOLDER) for what in _other_examples(output, outputs)]
    size = sum((folder / name).stat().st_size for name in parts if digests.get(folder / name))
    return Checked(output, size, tuple(findings))


def _damaged(output: Output, name: str, what: str) -> Finding:
    """Only data stages go on from the parts that are there."""
    if output.manifest.stage not in STAGES:
        return Finding(name, what, _FOLDER)
    folder, _, part = name.partition("/")
    if folder == QUARANTINE:  # a part of examples that is there counts as finished, its quarantine with it
        what += f" (delete {EXAMPLES}/{part} as well, they are made together)"
    return Finding(name, what)


def _elsewhere(output: Output) -> Iterator[tuple[str, str]]:
    """What is wrong with the files that an output has put beside it in the store."""
    root, stated = output.path.parents[1], json.loads((output.path / ELSEWHERE).read_text())
    with ThreadPoolExecutor(_THREADS) as pool:
        for name, digest in zip(stated, pool.map(lambda name: _digest(root / name), stated), strict=True):
            if digest != stated[name]:
                yield name, "altered" if digest else "cannot be read" if (root / name).exists() else "missing"


def _footer(path: Path) -> Any:
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None


def _other_versions(footers: Footers) -> Iterator[tuple[str, str]]:
    """Parquet parts that this version does not read, and why."""
    for name, footer in footers.items():
        if footer is None:
            yield name, "not Parquet"
            continue
        stated = (footer.metadata or {}).get(b"ced.schema", b"").decode(errors="replace")
        if stated != schema.VERSION:
            yield name, f"schema version {stated or 'unknown'}, this ced reads {schema.VERSION}"


def _wrong_counts(output: Output, footers: Footers) -> Iterator[str]:
    """The counts of an output, all of whose parts are there, that are not those of its rows."""
    counts, stage = output.manifest.counts, output.manifest.stage

    def rows(folder: str) -> int:
        return sum(footer.num_rows for name, footer in footers.items() if footer and name.startswith(folder))

    counted: list[tuple[str, str, int]] = []  # name of a count, what it is held against, the number of that
    if stage == "prepare":
        photographs, prepared, aside = (counts.get(name, 0) for name in ("photographs", "prepared", "quarantined"))
        if photographs != prepared + aside:
            yield f"{photographs:,} photographs, but {prepared:,} prepared and {aside:,} quarantined"
        reasons = sum(n for name, n in counts.items() if name.startswith(WHY))
        counted.append(("quarantined", "the reasons add up to", reasons))
        counted.append(("quarantined", "the rows of the quarantine are", rows(f"{QUARANTINE}/")))
        counted.append(("examples", "the rows are", rows(f"{EXAMPLES}/")))
    elif stage == "edges":
        try:
            table = edges.load(output)
        except (FormatError, OSError) as error:
            yield str(error)
            return
        numbers = {"coefficients": int(table.counts.sum()), "channels": len(table.counts), "classes": table.count}
        counted += [(name, "those of classes.json are", number) for name, number in numbers.items()]
    elif stage == "label":
        counted.append(("examples", "the rows are", rows("")))
    for name, clause, number in counted:
        if counts.get(name, 0) != number:
            yield f"{counts.get(name, 0):,} {name}, but {clause} {number:,}"


def _other_examples(output: Output, outputs: Sequence[Output]) -> Iterator[str]:
    """What does not fit between labels and the output of prepare they were made from, where it is there."""
    made_from, stated = output.manifest.inputs.get("examples"), output.manifest.counts.get("examples", 0)
    for other in (other for other in outputs if other.manifest.stage == "prepare"):
        examples = other.manifest.counts.get("examples", 0)
        if other.manifest.content != made_from:
            if other.path.parent == output.path.parent:  # side by side: `ced prepare -o`
                yield f"made from other examples than those of {other.path}"
        elif examples != stated:
            yield f"{stated:,} examples, but prepare {other.manifest.fingerprint} states {examples:,}"
