"""The photographs inside scikit-image and scikit-learn."""

import importlib.util
from pathlib import Path

from ced.data.sources import local
from ced.data.sources.naming import Photograph, nothing, wanted
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


def find(source: str, pattern: str) -> list[Photograph]:
    """Those of `builtin:train` or `builtin:test` that match. Raises InputError."""
    if source not in _BUILTIN:
        raise InputError(f"{source}: unknown; use {BUILTIN_TRAIN} or {BUILTIN_TEST}")
    found = sorted(_photograph(source, *where) for where in _BUILTIN[source] if wanted(where[1], pattern))
    if not found:
        raise nothing(source, len(_BUILTIN[source]), pattern)
    return found


def _photograph(source: str, where: tuple[str, str], name: str) -> Photograph:
    package, folder = where
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{source}: package {package} is not installed; run `make setup`")
    return local.photograph(f"{package}/{name}", str(Path(spec.origin).parent / folder / name))
