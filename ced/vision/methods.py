"""The methods of Table 3: those of `ced.methods`, the original beside them, and the way of RGB through a model.

The seam between Table 3 and whatever restores images.
"""

from pathlib import Path

from ced.config import RELEASED, VisionConfig
from ced.errors import InputError
from ced.methods import Prepared, open_method, parse, prepare
from ced.methods.spec import PYFUNC, RESTORER

ORIGINAL, JPEG = "original", "jpeg"


def prepared(config: VisionConfig, store: Path) -> tuple[Prepared, ...]:
    """All methods but the original, found and checked before any work. Raises CedError."""
    asked = [parse(text) for text in config.methods if text != ORIGINAL]
    return tuple(led(prepare(one, config, store), config) for one in asked)


def led(method: Prepared, config: VisionConfig) -> Prepared:
    """A restorer with the way that RGB takes through it, which has to fit what it was trained on. Raises InputError.

    "rgb" is for models of RGB; one of luminance is given "luma" alone or each channel of "ycbcr", its default.
    """
    if method.kind not in (RESTORER, PYFUNC, RELEASED):
        return method
    restores, through = open_method(method).colour, config.through
    if "rgb" in config.colours and through and (restores == "rgb") != (through == "rgb"):
        kind, cure = ("RGB", "rgb") if restores == "rgb" else ("luminance", "ycbcr or luma")
        where = f"--methods {method.name}: {method.target}"
        raise InputError(f"{where} restores {kind}; use --through {cure}, or leave it out")
    return method._replace(through="luma" if through == "luma" else "ycbcr")
