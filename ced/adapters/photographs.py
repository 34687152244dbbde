"""Where photographs come from: folders, single files, and the photographs inside scikit-image and scikit-learn."""

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from ced.core.images import SUFFIXES, Rejected
from ced.errors import InputError

BUILTIN_TRAIN = "builtin:train"
BUILTIN_TEST = "builtin:test"

_SKIMAGE = ("skimage", "data")
_SKLEARN = ("sklearn", "datasets/images")
_BUILTIN = {
    BUILTIN_TRAIN: (
        *((_SKIMAGE, f"{name}.png") for name in ("astronaut", "brick", "camera", "coins", "grass", "gravel", "ihc")),
        (_SKIMAGE, "hubble_deep_field.jpg"),
        (_SKIMAGE, "motorcycle_left.png"),
        (_SKIMAGE, "rocket.jpg"),
        (_SKLEARN, "china.jpg"),
        (_SKLEARN, "flower.jpg"),
    ),
    BUILTIN_TEST: ((_SKIMAGE, "chelsea.png"), (_SKIMAGE, "coffee.png")),
}


@dataclass(frozen=True)
class Photograph:
    """One file: `name` is its identity (source folder and path within it), `path` where it lies now."""

    name: str
    path: str


def find(sources: tuple[str, ...]) -> list[Photograph]:
    """All photographs of the sources, folders recursively, sorted by name; identities are unique.

    Raises InputError for a source that is missing or holds no images.
    """
    if not sources:
        raise InputError("no photographs given; name folders with --images, and --test-images for the test")
    found: dict[str, Photograph] = {}
    for source in sources:
        for photograph in _find(source):
            name = photograph.name
            for number in range(2, len(found) + 3):
                if name not in found:
                    break
                name = f"{number}/{photograph.name}"
            found[name] = Photograph(name, photograph.path)
    return [found[name] for name in sorted(found)]


def read(path: str) -> bytes:
    """The bytes of a photograph. Raises Rejected where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Rejected("unreadable", error.strerror or type(error).__name__) from error


def content(photographs: list[Photograph]) -> str:
    """A digest of the list: names, sizes and times of change, without reading the files."""
    digest = hashlib.sha256()
    for photograph in photographs:
        try:
            status = os.stat(photograph.path)
            facts = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            facts = "unreadable"
        digest.update(f"{photograph.name}\0{facts}\0".encode())
    return digest.hexdigest()[:16]


def _find(source: str) -> list[Photograph]:
    if source.startswith("builtin:"):
        return _builtin(source)
    root = Path(source)
    if root.is_file():
        return [Photograph(_printable(root.name), str(root.resolve()))]
    if not root.is_dir():
        raise InputError(f"{source}: no such folder or file; give a folder of photographs")
    if not os.access(root, os.R_OK | os.X_OK):
        raise InputError(f"{source}: cannot be read; change its permissions")
    top = root.resolve()
    files = [Path(folder, name) for folder, _, names in os.walk(top) for name in names]
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        kinds = "no files" if not files else f"{len(files)} files but no images"
        raise InputError(
            f"{source}: {kinds} in it; give a folder of photographs ({', '.join(sorted(SUFFIXES)[:8])} ...)"
        )
    return [Photograph(_printable(f"{top.name}/{image.relative_to(top).as_posix()}"), str(image)) for image in images]


def _builtin(source: str) -> list[Photograph]:
    if source not in _BUILTIN:
        raise InputError(f"{source}: unknown; use {BUILTIN_TRAIN} or {BUILTIN_TEST}")
    photographs = []
    for (package, folder), name in _BUILTIN[source]:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise InputError(f"{source}: package {package} is not installed; run `make setup`")
        photographs.append(Photograph(f"{package}/{name}", str(Path(spec.origin).parent / folder / name)))
    return photographs


def _printable(name: str) -> str:
    """Valid UTF-8 for any file name: bytes that are none become backslash escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
