"""Lists of files: a text file with one path or address a line."""

import os
import posixpath
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ced.data.sources import files, remote
from ced.data.sources.photograph import (
    FOLDER,
    Photograph,
    SourceKind,
    is_uri,
    nothing_wanted,
    printable,
    suffixed,
    tidy,
    title,
    wanted,
)


def matches(source: str) -> bool:
    """Whether a source is named as a list."""
    return suffixed(source, (".txt",))


def find(source: str, pattern: str, cache: Path | None = None) -> list[Photograph]:
    """The files that a list names, whatever their suffix unless a pattern says otherwise, in its order. Raises
    InputError. A missing one is set aside when it is read."""
    location = files.locate(source)
    if location.kind == FOLDER:
        return files.find(source, pattern)
    data = remote.read_source(source) if is_uri(source) else Path(location.path).read_bytes()
    lines = [line.rstrip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    named = [(_within(line), line) for line in (os.fsdecode(line) for line in lines if line.strip())]
    asked = [(within, line) for within, line in named if not pattern or wanted(within, pattern)]
    if not asked:
        raise nothing_wanted(source, len(named), pattern)
    own = title(source)
    places = [(f"{own}/{within}", _place(location.path, line)) for within, line in asked]
    far = [(name, place) for name, place in places if is_uri(place)]
    there = iter(remote.photographs([name for name, _ in far], [place for _, place in far]))
    return [next(there) if is_uri(place) else files.photograph(name, place) for name, place in places]


def _within(line: str) -> str:
    """The path of a listed file: as it is written, an address from its bucket on."""
    if not is_uri(line):
        return tidy(line)
    remote.root(line)  # refuses what is no address
    parts = urlsplit(line)
    return tidy(printable(f"{parts.netloc.rpartition('@')[2]}/{unquote(parts.path)}"))


def _place(base: str, line: str) -> str:
    """The path or address of a listed file: relative ones begin in the folder of the list, which lies at `base`."""
    if line.lower().startswith("file://"):
        return unquote(urlsplit(line).path)
    if is_uri(line) or line.startswith("/"):
        return line
    if not is_uri(base):
        return os.path.join(os.path.dirname(base), line)
    parts = urlsplit(base)
    place = posixpath.join(posixpath.dirname(parts.path) or "/", quote(os.fsencode(line)))
    return parts._replace(path=posixpath.normpath(place)).geturl()


ENTRIES = {"list": SourceKind(matches, find, files.read, files.check)}
