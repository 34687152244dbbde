"""Files published whole or not at all, and the manifests that say a stage's output is finished.

A stage writes its parts into its folder one by one, each under a temporary name first, and its manifest
last. A folder with a manifest is finished; one without is continued: the parts already there are kept.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ced.config import fingerprint
from ced.errors import FormatError, OutputError
from ced.store import files

logger = logging.getLogger("ced")

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"  # the note of an output that is being made
ELSEWHERE = "elsewhere.json"  # a part: what the output has put beside it in the store, path there -> SHA-256
STAGES = ("prepare", "edges", "label")  # those that make data, in their order: they go on from the parts that are there
_FORMAT = "ced-manifest"
_VERSION = 1
_DIGEST = "digest"  # of the manifest itself; older ones have none
_THREADS = 4  # hashing waits for the disk as much as for a core


@dataclass(frozen=True)
class Store:
    """One folder for everything: each stage's output in a folder named by its fingerprint.

    `flat`: a folder of the user's own, with one output of each stage; one of another configuration there is refused.
    """

    root: Path
    flat: bool = False

    def of(self, stage: str, fingerprint: str) -> Path:
        """The folder of the output of `stage` with that fingerprint."""
        return self.root / stage if self.flat else self.root / stage / fingerprint


@dataclass(frozen=True)
class Manifest:
    """What a finished output is: its stage, what it was made by and from, counts, and the digest of each part."""

    stage: str
    fingerprint: str
    config: dict[str, Any]
    inputs: dict[str, str]  # name -> content digest
    counts: dict[str, int]
    parts: dict[str, str]  # path within the folder -> SHA-256
    seconds: float = 0.0

    @property
    def content(self) -> str:
        """A digest of the parts alone: the same bytes give the same, however they were made."""
        return fingerprint(self.parts)


@dataclass(frozen=True)
class Output:
    """A finished stage output."""

    path: Path
    manifest: Manifest
    reused: bool


def visible(folder: Path) -> list[str]:
    """The names of an output's files, sorted; hidden ones are scratch, and the manifest is not one of its parts."""
    names = []
    for root, folders, below in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [Path(root, name).relative_to(folder).as_posix() for name in below if not name.startswith(".")]
    return sorted(name for name in names if name != MANIFEST)


def part_name(number: int) -> str:
    """The file name of part `number` of a table."""
    return f"part-{number:05d}.parquet"


def parts_in(folder: Path) -> list[Path]:
    """The parts of a table in its folder, in order; none where there is no folder."""
    return sorted(folder.glob("part-*.parquet"))


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Publish a file whole, its folder made where it is not there. Raises OutputError."""
    files.make_folder(path.parent)
    files.write(path, data)


def write_text(path: Path, text: str) -> None:
    """Publish a text file whole, as UTF-8."""
    write_bytes(path, text.encode())


def write_table(path: Path, table: pa.Table) -> str:
    """Publish a Parquet file whole; its SHA-256. The same table gives the same bytes."""
    data = _encode(table)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def write_table_later(path: Path, table: pa.Table, packed: bool = True) -> Future[str]:
    """`write_table` in a thread of this process, where the waiting for the disk holds up nobody.

    Files appear in the order of the calls. Their names are settled with the output that they belong to (`make`).
    What is small as it is need not be `packed`.
    """
    return _writer(os.getpid()).submit(_write_part, path, _encode(table, packed))


def _encode(table: pa.Table, packed: bool = True) -> memoryview:
    plain = {"target", "jpeg"}  # photographs and streams hardly shrink: compressing them took longer than writing them
    codecs = {name: "zstd" if packed and name not in plain else "none" for name in table.column_names}
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=codecs, use_dictionary=False, write_statistics=False)
    return memoryview(sink.getvalue())


def _write_part(path: Path, data: memoryview) -> str:
    files.make_folder(path.parent)
    files.write(path, data, settled=False)
    return hashlib.sha256(data).hexdigest()


@functools.cache
def _writer(process: int) -> ThreadPoolExecutor:
    """One thread for all files of a process; `process` is there for forks."""
    return ThreadPoolExecutor(1, "writer")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished output, None where there is none. Raises FormatError."""
    path = folder / MANIFEST
    try:
        stored = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise FormatError(f"{path}: not JSON; remove {folder} to have it made again") from error
    if not isinstance(stored, dict) or stored.pop("format", None) != _FORMAT or stored.pop("version", None) != _VERSION:
        raise FormatError(f"{path}: not a manifest of this version of ced; remove {folder} to have it made again")
    digest = stored.pop(_DIGEST, None)
    if digest is not None and digest != fingerprint(stored):
        raise FormatError(f"{path}: altered since it was written; remove {folder} to have it made again")
    try:
        return Manifest(**stored)
    except TypeError as error:
        raise FormatError(f"{path}: fields missing; remove {folder} to have it made again") from error


def is_table(name: str) -> bool:
    """Whether a part is one of a table of any size: whoever reads it looks at it (`ced.store.checked`)."""
    return Path(name).match("part-*.parquet")


def check_part(folder: Path, manifest: Manifest, name: str) -> None:
    """Hold one part of a finished output against its manifest. Raises FormatError, with what makes it again."""
    path, stated = folder / name, manifest.parts.get(name)
    if stated is None:
        raise FormatError(f"{path}: not one of the parts that {folder / MANIFEST} names; delete it")
    try:
        what = "" if sha256(path) == stated else "altered since it was made"
    except OSError as error:
        what = "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    if what:
        raise FormatError(f"{path}: {what}; {_cure(folder, manifest, name)}")


def check_small(folder: Path, manifest: Manifest) -> None:
    """Every part of a finished output is there, and all but those of tables are what its manifest states. Raises
    FormatError for the first that is not."""
    names = [*_gone(folder, manifest), *(name for name in manifest.parts if not is_table(name))]
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda name: check_part(folder, manifest, name), names):
            pass


_AGAIN = "run the command again that made it"


def _cure(folder: Path, manifest: Manifest, name: str) -> str:
    """What has a part made again; the manifest stays, by which the others are looked at then."""
    what = f"delete it and {_AGAIN}" if manifest.stage in STAGES else f"remove {folder} and {_AGAIN}"
    return what if (folder / name).exists() else _AGAIN


def _together(name: str, manifest: Manifest) -> list[str]:
    """The parts that are made in one go with `name`: examples, and the quarantine of the same photographs."""
    base = Path(name).name
    return [other for other in manifest.parts if Path(other).name == base] if is_table(name) else [name]


def _gone(folder: Path, manifest: Manifest) -> list[str]:
    return [name for name in sorted(manifest.parts) if not (folder / name).exists()]


class Making:
    """An output being made: `folder` to write into, `counts` to fill in, `parts` where digests are known already."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.counts: dict[str, int] = {}
        self.parts: dict[str, str] = {}  # path within the folder -> SHA-256


def make(
    store: Store, stage: str, config: dict[str, Any], inputs: dict[str, str], produce: Callable[[Making], None]
) -> Output:
    """The output of `stage`: the finished one where it is there, else what `produce` makes. A part that is gone is made
    again.

    `config` and `inputs` (content digests) together decide the fingerprint. Raises OutputError where the folder
    holds the output of another configuration, cannot be written, or is being written by another process, and
    FormatError where a part was altered.
    """
    wanted = fingerprint(stage, config, inputs)
    folder = store.of(stage, wanted)
    finished = _finished(folder, wanted, config, inputs)
    if finished is not None and not _gone(folder, finished.manifest):
        return finished
    with locked(folder):
        finished = _finished(folder, wanted, config, inputs)  # another process may have been faster
        if finished is not None:
            gone = _gone(folder, finished.manifest)
            if not gone:
                return finished
            _begin_again(finished, gone)
        _claim(folder, wanted)
        started = time.monotonic()
        making = Making(folder)
        produce(making)
        for path in folder.rglob(".*.tmp"):  # what killed processes left under temporary names
            path.unlink(missing_ok=True)
        seconds = round(time.monotonic() - started, 3)
        names = [name for name in visible(folder) if (folder / name).is_file()]
        parts = {name: making.parts.get(name) or sha256(folder / name) for name in names}
        manifest = Manifest(stage, wanted, config, inputs, making.counts, parts, seconds)
        stored = vars(manifest) | {_DIGEST: fingerprint(vars(manifest))}
        stored = {"format": _FORMAT, "version": _VERSION, **stored}
        for below in sorted({folder, *((folder / name).parent for name in names)}, reverse=True):
            files.settle(below)  # the manifest speaks of parts whose names are on the disk
        write_text(folder / MANIFEST, json.dumps(stored, indent=1) + "\n")
    counts = ", ".join(f"{n:,} {name}" for name, n in manifest.counts.items())
    logger.info("%s: done in %.1f s%s", stage, seconds, f" ({counts})" if counts else "")
    return Output(folder, manifest, reused=False)


def _finished(folder: Path, wanted: str, config: dict[str, Any], inputs: dict[str, str]) -> Output | None:
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    if manifest.fingerprint != wanted:
        differences = _differences("", manifest.config, config)
        differences += [f"other {name}" for name in inputs if manifest.inputs.get(name) != inputs[name]]
        listed = f" ({'; '.join(differences)})" if differences else ""
        raise OutputError(
            f"{folder} holds the {manifest.stage} output of another configuration{listed}; choose another folder"
        )
    if not _gone(folder, manifest):
        check_small(folder, manifest)
        logger.info("%s: already done (%s)", manifest.stage, wanted)
    return Output(folder, manifest, reused=True)


def _begin_again(output: Output, gone: list[str]) -> None:
    """Let a finished output of which parts are gone be an unfinished one. The manifest goes last: until then the same
    is found again."""
    manifest = output.manifest
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    logger.warning("%s: %s%s is missing and made again", manifest.stage, output.path / gone[0], more)
    several = gone if manifest.stage in STAGES else manifest.parts
    again = {other for name in several for other in _together(name, manifest)}
    for name in manifest.parts.keys() - again:
        check_part(output.path, manifest, name)  # the next manifest states them as they are
    for name in again:
        (output.path / name).unlink(missing_ok=True)
    (output.path / MANIFEST).unlink()


def _differences(prefix: str, there: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Each setting that both have with other values, under its dotted name."""
    differences: list[str] = []
    for key in wanted:
        mine, theirs = wanted[key], there.get(key, wanted[key])
        if isinstance(mine, dict) and isinstance(theirs, dict):
            differences += _differences(f"{prefix}{key}.", theirs, mine)
        elif mine != theirs:
            differences.append(f"{prefix}{key}={theirs}, not {mine}")
    return differences


def _claim(folder: Path, wanted: str) -> None:
    """Note what an unfinished folder is for, so that a run with another configuration does not mix into it. Where
    nothing came of the former one, the folder is free.

    What has no note is not ours: nothing is written among it, and none of it taken for a finished part."""
    note = folder / UNFINISHED
    foreign = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if foreign and not note.exists():
        raise OutputError(f"{folder} holds something else already ({foreign[0]}); choose another folder")
    if foreign and note.exists() and note.read_text() != wanted:
        cure = "remove it, or name another folder"
        raise OutputError(f"{folder} holds an unfinished output of another configuration; {cure}")
    write_text(note, wanted)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time works on a folder. The lock goes with the process, also when it is killed."""
    files.make_folder(folder)
    try:
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - held until the block ends
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{folder} is being written by another run; wait for it or stop it") from error
        except OSError as error:
            raise OutputError(f"{folder}: cannot be locked ({error.strerror}); name another folder") from error
        yield
