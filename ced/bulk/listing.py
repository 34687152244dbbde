"""What there is to restore, and what of it is in the output folder already: found before anything is written."""

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from ced.bulk.names import Names
from ced.bulk.places import Place, place
from ced.bulk.record import FOLDER, Record
from ced.core.encoding import FORMATS
from ced.data import sources
from ced.data.sources import Photograph, redacted
from ced.data.sources.photograph import is_uri, suffixed
from ced.data.sources.selection import ARCHIVES, CLOSED_ARCHIVES, ZIP
from ced.errors import InputError, OutputError

_THREADS = 4  # hashing waits for the disk as much as for a core
_AT_ONCE = 1_000  # files that are looked at in one go
_COLUMNS = ["name", "below", "stamp", "size", "member", "folder", "index", "kind"]
_ARCHIVES = f"{FOLDER}/.archives"  # what is in them, for the next run, and for all machines that share the folder


class Photographs:
    """Photographs by the million, in a third of the memory of a list, for whoever goes through all of them."""

    def __init__(self, photographs: Iterable[Photograph]):
        waiting = iter(photographs)
        self._tables: list[pa.Table] = []
        while some := list(islice(waiting, _AT_ONCE)):
            names, paths, stamps, sizes, members, indices, kinds = zip(*some, strict=True)
            places = [path.rfind("/") + 1 for path in paths]
            folders = [os.fsencode(path[:place]) for path, place in zip(paths, places, strict=True)]
            below = [os.fsencode(path[place:]) for path, place in zip(paths, places, strict=True)]
            repeated = [pa.array(values).dictionary_encode() for values in (folders, indices, kinds)]
            columns = [*map(pa.array, (names, below, stamps, sizes, members)), *repeated]
            self._tables.append(pa.table(columns, _COLUMNS))

    def __len__(self) -> int:
        return sum(table.num_rows for table in self._tables)

    def __iter__(self) -> Iterator[Photograph]:
        for table in self._tables:
            columns = (column.to_pylist() for column in table.columns)
            for name, below, stamp, size, member, folder, index, kind in zip(*columns, strict=True):
                yield Photograph(name, os.fsdecode(folder + below), stamp, size, member, index, kind)


class Listing(NamedTuple):
    """The photographs, and what is in the output folder."""

    out: str  # an absolute path, or an address
    photographs: Photographs
    names: Names
    record: Record
    # By source, the outputs that are there, and their SHA-256; "" for a foreign one. Nothing for what is there as the
    # record has it last: that is in `as_recorded`, a byte for each photograph.
    there: dict[str, dict[str, str]]
    as_recorded: bytearray


def find(inputs: Sequence[str], out: str, written_as: str, overwrite: bool) -> Listing:
    """What there is to do, found before anything is written. Raises InputError and OutputError."""
    out = out.rstrip("/") if is_uri(out) else str(Path(out).resolve())
    _check_folder(out)
    outputs = place(out, surveyed=True)
    done = Record(outputs)
    found = _inputs(inputs, out, done)
    known = done.named()
    names = Names(found, FORMATS[written_as].suffix, len(inputs) == 1, known)
    there: dict[str, dict[str, str]] = {}
    as_recorded, foreign = bytearray(), []
    for photograph, present in _looked_at(found, names, outputs, done, known):
        foreign += [name for name, digest in present.items() if not digest]
        last = done.newest(photograph.name) if present else None
        as_recorded.append(last is not None and present == {last.output: last.output_digest})
        if present and not as_recorded[-1]:
            there[photograph.name] = present
    if foreign and not overwrite:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise OutputError(
            f"{redacted(out)}/{foreign[0]}{more}: there already, and not as this command wrote it; name another "
            "folder, or replace it with --overwrite"
        )
    return Listing(out, found, names, done, there, as_recorded)


def _check_folder(out: str) -> None:
    """Raises OutputError for a file, and for the name of an archive: what is in one cannot be replaced, nor written by
    several processes at a time, and goes on nowhere when they are killed."""
    if not is_uri(out) and Path(out).is_dir():
        return
    packed = next((suffix for suffix in (*ARCHIVES, *CLOSED_ARCHIVES) if suffixed(out, (suffix,))), "")
    if packed:
        name = posixpath.basename(redacted(out))
        folder = name[: -len(packed)] or "restored"
        pack = f"zip -r {name} {folder}" if packed in ZIP else f"tar -caf {name} -C {folder} ."
        raise OutputError(f"{redacted(out)}: restored files go into a folder; give -o {folder}, then pack it: {pack}")
    if not is_uri(out) and Path(out).exists():
        raise OutputError(f"{out}: is a file; give a folder")


def _inputs(inputs: Sequence[str], out: str, done: Record) -> Photographs:
    """The photographs of all inputs without those in the output folder. Raises InputError and OutputError."""
    here = _plain(out)
    tops = [_plain(top if is_uri(top) else str(Path(top).resolve())) for top in inputs]
    if here in tops:
        raise OutputError(f"{redacted(out)}: holds the inputs; name another folder, such as {redacted(out)}/restored")
    below = any(here.startswith(f"{top}/") for top in tops) and not any(top.startswith(f"{here}/") for top in tops)
    written = done.outputs()
    cache = None if is_uri(out) else Path(out, _ARCHIVES)

    def is_kept(photograph: Photograph) -> bool:
        path = _plain(photograph.path)
        inside = path.removeprefix(f"{here}/")
        return inside == path or not (below or inside in written)

    kept = Photographs(filter(is_kept, sources.each(tuple(inputs), cache=cache)))
    if not kept:
        raise InputError(f"{redacted(inputs[0])}: nothing in it but what was restored; give a folder of photographs")
    return kept


def _plain(path: str) -> str:
    """A path or address as it is compared: without query, user and escapes."""
    if not is_uri(path):
        return path
    parts = urlsplit(path)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{unquote(parts.path).rstrip('/')}"


def _looked_at(
    photographs: Photographs, names: Names, outputs: Place, done: Record, known: dict[str, str]
) -> Iterator[tuple[Photograph, dict[str, str]]]:
    """Of each photograph, the outputs that are there, and their SHA-256."""

    def look(photograph: Photograph) -> dict[str, str]:
        possible = dict.fromkeys([*names.of(photograph.name), known.get(photograph.name, "")])
        return {name: done.digest(name) for name in possible if name and outputs.size(name) is not None}

    with ThreadPoolExecutor(_THREADS) as threads:
        waiting = iter(photographs)
        while some := list(islice(waiting, _AT_ONCE)):
            yield from zip(some, threads.map(look, some), strict=True)
