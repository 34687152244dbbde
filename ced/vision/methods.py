"""The methods of Table 3: those of `ced.methods`, the original beside them, and the way of RGB through a model."""

import dataclasses
from pathlib import Path

from ced.config import VisionConfig
from ced.errors import InputError
from ced.methods import Method, find, parse
from ced.methods.pyfunc import ModelMethod
from ced.methods.restorer import RestorerMethod

ORIGINAL, JPEG = "original", "jpeg"


def methods(config: VisionConfig, store: Path) -> tuple[Method, ...]:
    """All methods but the original, found and checked before any work. Raises CedError."""
    requests = [parse(text) for text in config.methods if text != ORIGINAL]
    return tuple(_through(find(request, config, store), config, request.target) for request in requests)


def _through(method: Method, config: VisionConfig, where: str) -> Method:
    """A network with the way that RGB takes through it, which has to fit what it was trained on. Raises InputError.

    "rgb" is for models of RGB; one of luminance is given "luma" alone or each channel of "ycbcr", its default.
    """
    if not isinstance(method, RestorerMethod | ModelMethod):
        return method
    in_colour, through = method.channels == 3, config.through
    if "rgb" in config.colours and through and in_colour != (through == "rgb"):
        kind, cure = ("RGB", "rgb") if in_colour else ("luminance", "ycbcr or luma")
        raise InputError(f"--methods {method.name}: {where} restores {kind}; use --through {cure}, or leave it out")
    return dataclasses.replace(method, through="luma" if through == "luma" else "ycbcr")
