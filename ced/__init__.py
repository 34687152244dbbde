"""ced: image restoration by estimating the frequency distribution of local patches.

    from ced import Restorer

    Restorer.released().restore("photo.jpg")  # a Pillow image

`Restorer` is described in `ced.api`. It and its errors are imported when they are first asked for: `import ced` costs
nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ced.api import Restorer
    from ced.core.images import Rejected
    from ced.errors import CedError

__all__ = ["CedError", "Rejected", "Restorer", "__version__"]

__version__ = "0.1.0"

_MODULES = {
    "CedError": "ced.errors",
    "Rejected": "ced.core.images",
    "Restorer": "ced.api",
}  # where each name is defined


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'ced' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
