"""The photographs inside scikit-image and scikit-learn."""

import importlib.util
from pathlib import Path

from ced.data.sources import files
from ced.data.sources.photograph import Photograph, SourceKind, nothing_wanted, wanted
from ced.errors import InputError

_TRAIN, _TEST = "builtin:train", "builtin:test"
_SKIMAGE = ("skimage", "data")
_SKLEARN = ("sklearn", "datasets/images")
_PHOTOGRAPHS = {
    _TRAIN: (
        *((_SKIMAGE, f"{name}.png") for name in ("astronaut", "brick", "camera", "coins", "grass", "gravel", "ihc")),
        (_SKIMAGE, "hubble_deep_field.jpg"),
        (_SKIMAGE, "motorcycle_left.png"),
        (_SKIMAGE, "rocket.jpg"),
        (_SKLEARN, "china.jpg"),
        (_SKLEARN, "flower.jpg"),
    ),
    _TEST: ((_SKIMAGE, "chelsea.png"), (_SKIMAGE, "coffee.png")),
}


def find(source: str, pattern: str, cache: Path | None = None) -> list[Photograph]:
    """Those of `builtin:train` or `builtin:test` that match. Raises InputError."""
    if source not in _PHOTOGRAPHS:
        raise InputError(f"{source}: unknown; use {_TRAIN} or {_TEST}")
    listed = sorted(_photograph(source, *where) for where in _PHOTOGRAPHS[source] if wanted(where[1], pattern))
    if not listed:
        raise nothing_wanted(source, len(_PHOTOGRAPHS[source]), pattern)
    return listed


def _photograph(source: str, where: tuple[str, str], name: str) -> Photograph:
    package, folder = where
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{source}: package {package} is not here; pip install 'ced[pipeline]'")
    return files.photograph(f"{package}/{name}", str(Path(spec.origin).parent / folder / name))


def _check(source: str, pattern: str) -> None:
    find(source, pattern)


ENTRIES = {"builtin": SourceKind(lambda source: source.startswith("builtin:"), find, files.read, _check)}
