"""What there is to restore, and what of it is in the output folder already: found before anything is written."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ced.bulk.names import possible, stems
from ced.bulk.places import Place, place
from ced.bulk.record import Record
from ced.data import sources
from ced.data.sources import Photograph, redacted
from ced.data.sources.photograph import is_uri
from ced.errors import InputError, OutputError

_THREADS = 4  # hashing waits for the disk as much as for a core
_AT_ONCE = 10_000  # files that are looked at in one go


class Listing(NamedTuple):
    """The photographs, and what is in the output folder."""

    out: str  # an absolute path, or an address
    photographs: list[tuple[Photograph, str]]  # and the stems of their outputs
    record: Record
    there: dict[str, dict[str, str]]  # by source: the outputs that are there, and their SHA-256; "" for a foreign one


def find(inputs: Sequence[str], out: str, written_as: str, overwrite: bool) -> Listing:
    """What there is to do, found before anything is written. Raises InputError and OutputError."""
    out = out.rstrip("/") if is_uri(out) else str(Path(out).resolve())
    if not is_uri(out) and Path(out).exists() and not Path(out).is_dir():
        raise OutputError(f"{out}: is a file; give a folder")
    outputs = place(out, surveyed=True)
    done = Record(outputs)
    found = _inputs(inputs, out, done)
    named = list(stems(found, len(inputs) == 1, _known(done)))
    there: dict[str, dict[str, str]] = {}
    foreign = []
    for (photograph, _), names in _looked_at(named, outputs, done, written_as):
        foreign += [name for name, digest in names.items() if not digest]
        if names:
            there[photograph.name] = names
    if foreign and not overwrite:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise OutputError(
            f"{redacted(out)}/{foreign[0]}{more}: there already, and not as this command wrote it; name another "
            "folder, or replace it with --overwrite"
        )
    return Listing(out, named, done, there)


def _known(done: Record) -> dict[str, str]:
    return {source: str(PurePosixPath(output).with_suffix("")) for source, output in done.named().items()}


def _inputs(inputs: Sequence[str], out: str, done: Record) -> list[Photograph]:
    """The photographs of all inputs without those in the output folder. Raises InputError and OutputError."""
    here = _plain(out)
    tops = [_plain(top if is_uri(top) else str(Path(top).resolve())) for top in inputs]
    if here in tops:
        raise OutputError(f"{redacted(out)}: holds the inputs; name another folder, such as {redacted(out)}/restored")
    below = any(here.startswith(f"{top}/") for top in tops) and not any(top.startswith(f"{here}/") for top in tops)
    written = done.outputs()
    kept = []
    for photograph in sources.find(tuple(inputs)):
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
    named: list[tuple[Photograph, str]], outputs: Place, done: Record, written_as: str
) -> Iterator[tuple[tuple[Photograph, str], dict[str, str]]]:
    """Of each photograph, the outputs that are there, and their SHA-256."""

    former = done.named()

    def look(one: tuple[Photograph, str]) -> dict[str, str]:
        names = dict.fromkeys([*possible(*one, written_as), former.get(one[0].name, "")])
        return {name: done.digest(name) for name in names if name and outputs.size(name) is not None}

    with ThreadPoolExecutor(_THREADS) as threads:
        waiting = iter(named)
        while some := list(islice(waiting, _AT_ONCE)):
            yield from zip(some, threads.map(look, some), strict=True)
