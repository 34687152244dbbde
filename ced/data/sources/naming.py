"""What photographs are called: identities without machine, address or password, and which names are asked for."""

import fnmatch
import os
import posixpath
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ced.core.images import SUFFIXES
from ced.errors import InputError

TAR, ZIP = "tar", "zip"
_ARCHIVES = {".tar": TAR, ".tar.gz": TAR, ".tgz": TAR, ".zip": ZIP}
_UNREADABLE = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Photograph(NamedTuple):
    """One photograph and where its bytes lie. Small: there may be ten million."""

    name: str  # identity: the source's own name and the path within it, valid UTF-8, unique in a listing
    path: str  # absolute local path or full URI of the file or archive; may hold an endpoint: never printed raw
    stamp: str  # changes when the bytes may have; of a member: its archive's
    size: int = -1  # bytes; -1: unknown
    member: int = -1  # -1: the file itself; tar: offset of the data in the uncompressed tar; zip: index in infolist()
    index: str = ""  # type: ignore[assignment]  # .tar.gz only: path of the seek index; covers tuple.index


def printable(name: str) -> str:
    """Valid UTF-8 for any file name: bytes that are none become backslash escapes."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def tidy(name: str) -> str:
    """A path within a source: relative, without `.` and `..`, valid UTF-8."""
    return posixpath.normpath("/" + printable(name)).lstrip("/")


def wanted(name: str, pattern: str) -> bool:
    """Whether a path within a source is asked for: it matches the glob, or without one has an image's suffix."""
    if pattern:
        return fnmatch.fnmatchcase(name, pattern)
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def is_uri(source: str) -> bool:
    """Whether a source is an address rather than a local path."""
    return bool(_URI.match(source))


def title(source: str) -> str:
    """A source's own name: of its folder, file or bucket, without address, query or password."""
    if not is_uri(source):
        return printable(Path(source).resolve().name)
    parts = urlsplit(source)
    return printable(posixpath.basename(unquote(parts.path).rstrip("/")) or _host(parts.netloc))


def shown(source: str) -> str:
    """A source as messages show it: in one line, an address without query or password."""
    if is_uri(source):
        parts = urlsplit(source)
        source = f"{parts.scheme}://{_host(parts.netloc)}{unquote(parts.path)}"
    return printable(source).replace("\r", "\\r").replace("\n", "\\n")


def kind(source: str) -> str:
    """TAR or ZIP for an archive, "" for anything else. Raises InputError for archives that cannot be read in place."""
    name = (urlsplit(source).path if is_uri(source) else source).lower()
    if name.endswith(_UNREADABLE):
        raise InputError(f"{shown(source)}: cannot be read in place; use .tar, .tar.gz or .zip, or unpack it")
    return next((kind for suffix, kind in _ARCHIVES.items() if name.endswith(suffix)), "")


def is_list(source: str) -> bool:
    """Whether a source is a text file with one path or address a line."""
    return (urlsplit(source).path if is_uri(source) else source).lower().endswith(".txt")


def nothing(source: str, files: int, pattern: str) -> InputError:
    """The refusal of a source in which nothing is asked for."""
    if files and pattern:
        return InputError(f"{shown(source)}: none of its {files} files matches {pattern!r}; give another pattern")
    kinds = f"{files} files but no images" if files else "no files"
    cure = f"give a folder of photographs ({', '.join(sorted(SUFFIXES)[:8])} ...)"
    return InputError(f"{shown(source)}: {kinds} in it; {cure}")


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]
