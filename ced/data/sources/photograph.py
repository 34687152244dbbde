"""A photograph, a kind of source, and their names: without machine, address or password."""

import os
import posixpath
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from ced.core.images import Rejected

if TYPE_CHECKING:
    from ced.data.sources.selection import Selection

FILES = "files"  # the kind of source that a folder, a file and a prefix are
FILE, FOLDER = "file", "folder"  # the kinds of a location

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Photograph(NamedTuple):
    """One photograph and where its bytes lie. Small: there may be ten million."""

    name: str  # identity: the source's own name and the path within it, valid UTF-8, unique in a listing
    path: str  # absolute local path or full URI of the file or archive; may hold an endpoint: never printed raw
    stamp: str  # changes when the bytes may have; of a member: its archive's
    size: int = -1  # bytes; -1: unknown
    member: int = -1  # -1: the file itself; tar: offset of the data in the uncompressed tar; zip: index in infolist()
    index: str = ""  # type: ignore[assignment]  # .tar.gz only: path of the seek index; covers tuple.index
    kind: str = FILES  # the kind of source whose `read` gives the bytes


class Location(NamedTuple):
    """Where a source lies, and what is there now."""

    path: str  # an absolute local path, or an address
    kind: str  # FILE, FOLDER, or "" for nothing there
    stamp: str
    size: int


def _unchecked(source: str, selection: "Selection") -> None:
    """The check of a kind of source that has none."""


class SourceKind(NamedTuple):
    """One kind of source, as `ced.data.sources` asks it."""

    matches: Callable[[str], bool]  # source -> whether it is of this kind; looks at its text alone
    # source, choice among its files, folder for what is kept -> photographs; raises InputError. What it passes over is
    # known when it returns.
    find: Callable[[str, "Selection", Path | None], Iterable[Photograph]]
    read: Callable[[Photograph, int], bytes]  # photograph, limit in bytes; raises Rejected
    check: Callable[[str, "Selection"], None] = _unchecked  # source, choice; raises InputError


def printable(name: str) -> str:
    """Valid UTF-8 for any file name: bytes that are none become backslash escapes."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def tidy(name: str) -> str:
    """A path within a source: relative, without `.` and `..`, valid UTF-8."""
    return posixpath.normpath("/" + printable(name)).lstrip("/")


def is_uri(source: str) -> bool:
    """Whether a source is an address rather than a local path."""
    return bool(_URI.match(source))


def split_glob(source: str) -> tuple[str, str]:
    """Where a source with wildcards begins, and the wildcards below it: ("photos", "**/*.jpg"). Of any other source the
    source itself and "": a file that is called like one is a file; in an address only `*` is a wildcard."""
    if is_uri(source):
        try:
            address = urlsplit(source)
        except ValueError:  # no address: refused by whoever opens it
            return source, ""
        path, marks = address.path, "*"
    else:
        path, marks = source, "*?["
    if not any(mark in path for mark in marks) or (not is_uri(source) and os.path.lexists(source)):
        return source, ""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if any(mark in part for mark in marks))
    above, below = "/".join(parts[:first]), "/".join(part for part in parts[first:] if part)
    if is_uri(source):
        return address._replace(path=above).geturl(), unquote(below)
    return above or ("/" if first else os.curdir), below


def title(source: str) -> str:
    """A source's own name: of its folder, file or bucket, without address, query or password. One with wildcards has
    the name of the folder below which it matches."""
    source = split_glob(source)[0]
    if not is_uri(source):
        return printable(Path(source).resolve().name)
    parts = urlsplit(source)
    return printable(posixpath.basename(unquote(parts.path).rstrip("/")) or _host(parts.netloc))


def redacted(source: str) -> str:
    """A source for messages: in one line, an address without query or password."""
    if is_uri(source):
        parts = urlsplit(source)
        source = f"{parts.scheme}://{_host(parts.netloc)}{unquote(parts.path)}"
    return printable(source).replace("\r", "\\r").replace("\n", "\\n")


def suffixed(source: str, suffixes: tuple[str, ...]) -> bool:
    """Whether the name of a source ends with one of the suffixes, in any case; of an address, its path does."""
    try:
        path = urlsplit(source).path if is_uri(source) else source
    except ValueError:  # no address: refused by whoever opens it
        return False
    return path.lower().endswith(suffixes)


def check_size(size: int, max_bytes: int) -> None:
    """Raises Rejected where a photograph is too large to be read."""
    if size > max_bytes:
        raise Rejected("too large", f"{size} bytes, the limit is {max_bytes}")


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]
