"""Photographs in local folders and files, on os.walk: pyarrow's local file system refuses names that are not UTF-8."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ced.core.images import Rejected
from ced.data.sources.naming import Photograph, nothing, printable, shown, title, wanted
from ced.errors import InputError

logger = logging.getLogger("ced")


def photograph(name: str, path: str) -> Photograph:
    """One file as it lies there now. A missing one is listed all the same, and set aside when it is read."""
    mark, size = stamp(path)
    return Photograph(name, path, mark, size)


def stamp(path: str) -> tuple[str, int]:
    """Size and time of change, and the size alone; ("unreadable", -1) where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "unreadable", -1
    return f"{status.st_size} {status.st_mtime_ns}", status.st_size


def check(source: str) -> Path:
    """The file or folder of a source. Raises InputError where it is missing or cannot be read."""
    path = Path(source)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError(f"{shown(source)}: no such folder or file; give a folder of photographs") from None
    except OSError as error:
        raise _unreadable(source, error) from None
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise InputError(f"{shown(source)}: cannot be read; change its permissions")
    return path.resolve()


def folder(source: str, pattern: str) -> list[Photograph]:
    """What is asked for below a folder, sorted by name. Raises InputError."""
    own = title(os.fspath(check(source)))
    return sorted(photograph(f"{own}/{within}", path) for within, path in _asked(source, pattern))


def look(source: str, pattern: str) -> None:
    """Whether a source is there and holds anything that is asked for: up to the first one. Raises InputError."""
    if check(source).is_dir():
        next(_asked(source, pattern))


def _asked(source: str, pattern: str) -> Iterator[tuple[str, str]]:
    """The path within a folder, and the path itself, of each file that is asked for. Raises InputError for none."""

    def fail(error: OSError) -> None:
        raise _unreadable(error.filename, error)

    top = os.fspath(check(source))
    files = found = 0
    for place, folders, names in os.walk(top, onerror=fail):
        _tell_links(place, folders)
        below = os.path.relpath(place, top)
        files += len(names)
        above = "" if below == os.curdir else f"{below}/"
        for name in names:
            within = printable(above + name)
            if wanted(within, pattern):
                found += 1
                yield within, os.path.join(place, name)
    if not found:
        raise nothing(source, files, pattern)


def _tell_links(place: str, folders: list[str]) -> None:
    """Links to folders are not followed, since they may lead in circles; nobody should miss photographs for that."""
    for name in folders:
        path = os.path.join(place, name)
        if os.path.islink(path):
            logger.warning("%s: a link to a folder, not followed; name it as a source of its own", shown(path))


def single(source: str, pattern: str) -> list[Photograph]:
    """A file is a photograph whatever its suffix, unless a pattern says otherwise. Raises InputError."""
    path = check(source)
    name = printable(path.name)
    if pattern and not wanted(name, pattern):
        raise nothing(source, 1, pattern)
    return [photograph(name, os.fspath(path))]


def read(path: str, max_bytes: int) -> bytes:
    """The bytes of a file. Raises Rejected."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise Rejected("unreadable", "not a regular file")  # opening a pipe would wait forever
        check_size(status.st_size, max_bytes)
        with open(path, "rb") as file:
            return file.read()
    except ValueError as error:
        raise Rejected("unreadable", "no such name can be") from error
    except OSError as error:
        raise Rejected("unreadable", error.strerror or type(error).__name__) from error


def check_size(size: int, max_bytes: int) -> None:
    """Raises Rejected where a photograph is too large to be read."""
    if size > max_bytes:
        raise Rejected("too large", f"{size} bytes, the limit is {max_bytes}")


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(f"{shown(path)}: cannot be read ({error.strerror}); change its permissions")
