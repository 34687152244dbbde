"""Are outputs still what their manifests say? Each part by its SHA-256, and the counts by the rows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ced.data.inspect import tally
from ced.data.prepare import EXAMPLES, QUARANTINE
from ced.progress import Progress
from ced.store.finished import STAGES, visible
from ced.store.outputs import MANIFEST, Output, sha256

_THREADS = 4  # hashing waits for the disk as much as for a core

# What a finding asks for, the mildest first.
_FILE, _PART, _FOLDER = range(3)


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

    @property
    def asks(self) -> int:
        """What the worst of the findings asks for."""
        return max(finding.asks for finding in self.findings)


def verify(outputs: Sequence[Output]) -> list[Checked]:
    """Look at every part of `outputs`, and at outputs made from each other whether they agree."""
    digests = _digests(outputs)
    return [_check(output, digests, outputs) for output in outputs]


def cure(damaged: Sequence[Checked]) -> str:
    """What to delete, and what to do then."""
    clauses = [_clause(one) for one in damaged]
    if any(one.asks > _FILE for one in damaged):
        clauses.append("then run the same command again: only what is missing is made again")
    return "; ".join(clauses)


def _clause(one: Checked) -> str:
    folder = one.output.path
    if one.asks == _FILE:
        return f"delete the files named above in {folder}"
    return f"delete the parts named above and {folder / MANIFEST}" if one.asks == _PART else f"remove {folder}"


def _digests(outputs: Sequence[Output]) -> dict[Path, str]:
    """SHA-256 of each part that is there; "" where the disk does not give it."""
    paths = [o.path / name for o in outputs for name in visible(o.path) if name in o.manifest.parts]
    progress = Progress("verify", len(paths), "files")
    digests = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, digest in zip(paths, pool.map(_digest, paths), strict=True):
            digests[path] = digest
            progress.advance()
    return digests


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:
        return ""


def _check(output: Output, digests: dict[Path, str], outputs: Sequence[Output]) -> Checked:
    findings, whole = [], []
    for name, stated in sorted(output.manifest.parts.items()):
        found = digests.get(output.path / name)
        if found == stated:
            whole.append(name)
        else:
            what = "missing" if found is None else "altered" if found else "cannot be read"
            findings.append(_damaged(output, name, what))
    extra = sorted(set(visible(output.path)) - set(output.manifest.parts))
    findings += [Finding(name, "extra", _FILE) for name in extra]
    footers = tally.footers(output.path, whole)
    findings += [Finding(name, what, _FOLDER) for name, what in tally.strangers(footers)]
    if len(whole) == len(output.manifest.parts):
        findings += [Finding("counts", what) for what in tally.within(output, footers)]
    findings += [Finding("counts", what, _FOLDER) for what in tally.between(output, outputs)]
    there = (output.path / name for name in output.manifest.parts if digests.get(output.path / name))
    size = sum(path.stat().st_size for path in there)
    return Checked(output, size, tuple(findings))


def _damaged(output: Output, name: str, what: str) -> Finding:
    """Only data stages go on from the parts that are there."""
    if output.manifest.stage not in STAGES:
        return Finding(name, what, _FOLDER)
    folder, _, part = name.partition("/")
    if folder == QUARANTINE:  # a part of examples that is there counts as finished, its quarantine with it
        what += f" (delete {EXAMPLES}/{part} as well, they are made together)"
    return Finding(name, what)
