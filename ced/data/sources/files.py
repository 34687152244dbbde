"""Single files, on this machine or by address: where they lie and what is in them; and the photographs inside
scikit-image and scikit-learn."""

import importlib.util
import os
import stat
from pathlib import Path
from typing import Any

from ced.core.images import Rejected
from ced.data.sources import remote
from ced.data.sources.photograph import (
    FILE,
    FOLDER,
    Location,
    Photograph,
    SourceKind,
    check_size,
    is_uri,
    redacted,
)
from ced.data.sources.selection import HEADER, Selection, is_image
from ced.errors import InputError

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
    path = existing(source)
    mark, size = _local_stamp(os.fspath(path))
    return Location(os.fspath(path), FOLDER if path.is_dir() else FILE, mark, size)


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


def existing(source: str) -> Path:
    """The file or folder of a local source. Raises InputError where it is missing or cannot be read."""
    path = Path(source)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError(f"{redacted(source)}: no such folder or file; give a folder of photographs") from None
    except OSError as error:
        raise unreadable(source, error) from None
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise InputError(f"{redacted(source)}: cannot be read; change its permissions")
    return path.resolve()


def looks_like_an_image(path: str) -> bool:
    """Whether the first bytes of a local file say so. Raises OSError where it cannot be opened."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait forever
        return False
    with open(path, "rb", buffering=0) as file:
        return is_image(file.read(HEADER))


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


def unreadable(path: str, error: OSError) -> InputError:
    """The refusal of a folder or file that may not be read."""
    return InputError(f"{redacted(path)}: cannot be read ({error.strerror}); change its permissions")


def find_builtin(source: str, selection: Selection, cache: Path | None = None) -> list[Photograph]:
    """Those photographs of scikit-image and scikit-learn that are asked for. Raises InputError."""
    if source not in _BUILTIN:
        raise InputError(f"{source}: unknown; use {' or '.join(_BUILTIN)}")
    listed = []
    for (package, folder), name in _BUILTIN[source]:
        if not selection.takes(name):
            continue
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise InputError(f"{source}: package {package} is not here; pip install 'ced[pipeline]'")
        listed.append(photograph(f"{package}/{name}", str(Path(spec.origin).parent / folder / name)))
    return sorted(listed)


def _check_builtin(source: str, selection: Selection) -> None:
    if not find_builtin(source, selection):
        raise selection.nothing()


ENTRIES = {
    "builtin": SourceKind(lambda source: source.startswith("builtin:"), find_builtin, read, _check_builtin),
}
