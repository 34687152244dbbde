"""What there is to restore, and what of it is in the output folder already: found before anything is written."""

import posixpath
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

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
_AT_ONCE = 10_000  # files that are looked at in one go
_ARCHIVES = f"{FOLDER}/.archives"  # what is in them, for the next run, and for all machines that share the folder


class Listing(NamedTuple):
    """The photographs, and what is in the output folder."""

    out: str  # an absolute path, or an address
    photographs: list[Photograph]
    names: Names
    record: Record
    there: dict[str, dict[str, str]]  # by source: the outputs that are there, and their SHA-256; "" for a foreign one


def find(inputs: Sequence[str], out: str, written_as: str, overwrite: bool) -> Listing:
    """What there is to do, found before anything is written. Raises InputError and OutputError."""
    out = out.rstrip("/") if is_uri(out) else str(Path(out).resolve())
    _check_folder(out)
    outputs = place(out, surveyed=True)
    done = Record(outputs)
    found = _inputs(inputs, out, done)
    names = Names(found, FORMATS[written_as].suffix, len(inputs) == 1, done.named())
    there: dict[str, dict[str, str]] = {}
    foreign = []
    for photograph, present in _looked_at(found, names, outputs, done):
        foreign += [name for name, digest in present.items() if not digest]
        if present:
            there[photograph.name] = present
    if foreign and not overwrite:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise OutputError(
            f"{redacted(out)}/{foreign[0]}{more}: there already, and not as this command wrote it; name another "
            "folder, or replace it with --overwrite"
        )
    return Listing(out, found, names, done, there)


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


def _inputs(inputs: Sequence[str], out: str, done: Record) -> list[Photograph]:
    """The photographs of all inputs without those in the output folder. Raises InputError and OutputError."""
    here = _plain(out)
    tops = [_plain(top if is_uri(top) else str(Path(top).resolve())) for top in inputs]
    if here in tops:
        raise OutputError(f"{redacted(out)}: holds the inputs; name another folder, such as {redacted(out)}/restored")
    below = any(here.startswith(f"{top}/") for top in tops) and not any(top.startswith(f"{here}/") for top in tops)
    written = done.outputs()
    cache = None if is_uri(out) else Path(out, _ARCHIVES)
    kept = []
    for photograph in sources.find(tuple(inputs), cache=cache):
        path = _plain(photograph.path)
        inside = path.removeprefix(f"{here}/")
        if inside == path or not (below or inside in written):
            kept.append(photograph)
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
    photographs: list[Photograph], names: Names, outputs: Place, done: Record
) -> Iterator[tuple[Photograph, dict[str, str]]]:
    """Of each photograph, the outputs that are there, and their SHA-256."""
    former = done.named()

    def look(photograph: Photograph) -> dict[str, str]:
        possible = dict.fromkeys([*names.of(photograph.name), former.get(photograph.name, "")])
        return {name: done.digest(name) for name in possible if name and outputs.size(name) is not None}

    with ThreadPoolExecutor(_THREADS) as threads:
        waiting = iter(photographs)
        while some := list(islice(waiting, _AT_ONCE)):
            yield from zip(some, threads.map(look, some), strict=True)
