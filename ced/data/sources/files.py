"""Folders and single files, on this machine or by address; lists of them, a text file with one path or address a line;
and the photographs inside scikit-image and scikit-learn.

Local folders are walked by os.walk: pyarrow's local file system refuses names that are not UTF-8.
"""

import importlib.util
import logging
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ced.core.images import Rejected
from ced.data.sources import remote
from ced.data.sources.photograph import (
    FILE,
    FILES,
    FOLDER,
    Location,
    Photograph,
    SourceKind,
    check_size,
    is_uri,
    nothing_wanted,
    printable,
    redacted,
    suffixed,
    tidy,
    title,
    wanted,
)
from ced.errors import InputError

logger = logging.getLogger("ced")

_SKIMAGE = ("skimage", "data")
_SKLEARN = ("sklearn", "datasets/images")
_BUILTIN = {
    "builtin:train": (
        *((_SKIMAGE, f"{name}.png") for name in ("astronaut", "brick", "camera", "coins", "grass", "gravel", "ihc")),
        (_SKIMAGE, "hubble_deep_field.jpg"),
        (_SKIMAGE, "motorcycle_left.png"),
        (_SKIMAGE, "rocket.jpg"),
        (_SKLEARN, "china.jpg"),
        (_SKLEARN, "flower.jpg"),
    ),
    "builtin:test": ((_SKIMAGE, "chelsea.png"), (_SKIMAGE, "coffee.png")),
}


def locate(source: str) -> Location:
    """Where a source is. Raises InputError: nothing is there, it cannot be read, a server does not answer."""
    if is_uri(source):
        return remote.locate(source)
    path = _existing(source)
    mark, size = _local_stamp(os.fspath(path))
    return Location(os.fspath(path), FOLDER if path.is_dir() else FILE, mark, size)


def find(source: str, pattern: str, cache: Path | None = None) -> list[Photograph]:
    """What is asked for below a folder, sorted by name; or the file itself, whatever its suffix. Raises InputError."""
    location = locate(source)
    if location.kind == FOLDER:
        if is_uri(source):
            return remote.folder(source, pattern)
        own = title(location.path)
        return sorted(photograph(f"{own}/{within}", path) for within, path in _below(source, pattern))
    if pattern and not wanted(title(source), pattern):
        raise nothing_wanted(source, 1, pattern)
    return [Photograph(title(source), location.path, location.stamp, location.size)]


def check(source: str, pattern: str) -> None:
    """Whether a local source is there and holds anything that is asked for: up to the first one. Raises InputError."""
    if not is_uri(source) and _existing(source).is_dir():
        next(_below(source, pattern))


def read(photograph: Photograph, max_bytes: int) -> bytes:
    """The bytes of a file. Raises Rejected, and InputError where its server does not answer."""
    path = photograph.path
    if is_uri(path):
        return remote.read(path, max_bytes)
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


def open_file(path: str) -> Any:
    """A local file or one by address, for reading at any place. Raises OSError, and InputError for an address."""
    return remote.open_file(path) if is_uri(path) else open(path, "rb")


def photograph(name: str, path: str) -> Photograph:
    """One local file as it lies there now. A missing one is listed all the same, and set aside when it is read."""
    mark, size = _local_stamp(path)
    return Photograph(name, path, mark, size)


def stamp(path: str) -> str:
    """What changes when the bytes of a file may have changed. Raises Rejected for one on a server that is gone."""
    return remote.stamp(path) if is_uri(path) else _local_stamp(path)[0]


def _local_stamp(path: str) -> tuple[str, int]:
    """Size and time of change, and the size alone; ("unreadable", -1) where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "unreadable", -1
    return f"{status.st_size} {status.st_mtime_ns}", status.st_size


def _existing(source: str) -> Path:
    """The file or folder of a local source. Raises InputError where it is missing or cannot be read."""
    path = Path(source)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError(f"{redacted(source)}: no such folder or file; give a folder of photographs") from None
    except OSError as error:
        raise _unreadable(source, error) from None
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise InputError(f"{redacted(source)}: cannot be read; change its permissions")
    return path.resolve()


def _below(source: str, pattern: str) -> Iterator[tuple[str, str]]:
    """The path within a folder, and the path itself, of each file that is asked for. Raises InputError for none."""

    def fail(error: OSError) -> None:
        raise _unreadable(error.filename, error)

    top = os.fspath(_existing(source))
    files = taken = 0
    for place, folders, names in os.walk(top, onerror=fail):
        for name in folders:
            if os.path.islink(path := os.path.join(place, name)):  # it may lead in circles
                logger.warning("%s: a link to a folder, not followed; name it as a source of its own", redacted(path))
        below = os.path.relpath(place, top)
        files += len(names)
        above = "" if below == os.curdir else f"{below}/"
        for name in names:
            within = printable(above + name)
            if wanted(within, pattern):
                taken += 1
                yield within, os.path.join(place, name)
    if not taken:
        raise nothing_wanted(source, files, pattern)


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(f"{redacted(path)}: cannot be read ({error.strerror}); change its permissions")


def is_list(source: str) -> bool:
    """Whether a source is named as a list."""
    return suffixed(source, (".txt",))


def find_list(source: str, pattern: str, cache: Path | None = None) -> list[Photograph]:
    """The files that a list names, whatever their suffix unless a pattern says otherwise, in its order. Raises
    InputError. A missing one is set aside when it is read."""
    location = locate(source)
    if location.kind == FOLDER:
        return find(source, pattern)
    data = remote.read_source(source) if is_uri(source) else Path(location.path).read_bytes()
    lines = [line.rstrip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    named = [(_listed_name(line), line) for line in (os.fsdecode(line) for line in lines if line.strip())]
    asked = [(within, line) for within, line in named if not pattern or wanted(within, pattern)]
    if not asked:
        raise nothing_wanted(source, len(named), pattern)
    own = title(source)
    places = [(f"{own}/{within}", _listed_place(location.path, line)) for within, line in asked]
    far = [(name, place) for name, place in places if is_uri(place)]
    there = iter(remote.photographs([name for name, _ in far], [place for _, place in far]))
    return [next(there) if is_uri(place) else photograph(name, place) for name, place in places]


def _listed_name(line: str) -> str:
    """The path of a listed file: as it is written, an address from its bucket on."""
    if not is_uri(line):
        return tidy(line)
    remote.root(line)  # refuses what is no address
    parts = urlsplit(line)
    return tidy(printable(f"{parts.netloc.rpartition('@')[2]}/{unquote(parts.path)}"))


def _listed_place(base: str, line: str) -> str:
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


def find_builtin(source: str, pattern: str, cache: Path | None = None) -> list[Photograph]:
    """Those photographs of scikit-image and scikit-learn that match. Raises InputError."""
    if source not in _BUILTIN:
        raise InputError(f"{source}: unknown; use {' or '.join(_BUILTIN)}")
    listed = []
    for (package, folder), name in _BUILTIN[source]:
        if not wanted(name, pattern):
            continue
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise InputError(f"{source}: package {package} is not here; pip install 'ced[pipeline]'")
        listed.append(photograph(f"{package}/{name}", str(Path(spec.origin).parent / folder / name)))
    if not listed:
        raise nothing_wanted(source, len(_BUILTIN[source]), pattern)
    return sorted(listed)


def _check_builtin(source: str, pattern: str) -> None:
    find_builtin(source, pattern)


ENTRIES = {
    "builtin": SourceKind(lambda source: source.startswith("builtin:"), find_builtin, read, _check_builtin),
    "list": SourceKind(is_list, find_list, read, check),
    FILES: SourceKind(lambda source: True, find, read, check),
}
