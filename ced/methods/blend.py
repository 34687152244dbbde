"""The weighted mean of what two methods make of an image: NAME=blend:WEIGHT FIRST SECOND.

WEIGHT, 0 to 1, is the share of the second. `blend-0.5=blend:0.5 faithful released` is half way from the one that is
near to the pixels to the one that is sharp: what sharpness costs without a network for it.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ced.config import fingerprint
from ced.errors import ConfigError
from ced.methods.method import JPEG, Conditions, Damaged, Find, Method, Request, checked, find, parse


@dataclass(frozen=True)
class BlendMethod:
    """(1 - weight) first + weight second, rounded."""

    name: str
    weight: float
    first: Method
    second: Method
    content: str

    @property
    def colours(self) -> tuple[str, ...]:
        """Those that both take."""
        return tuple(colour for colour in self.first.colours if colour in self.second.colours)

    @property
    def timed(self) -> bool:
        """Whether both are."""
        return self.first.timed and self.second.timed

    def load(self) -> None:
        """Load both."""
        self.first.load()
        self.second.load()

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The mean of both images. Raises Failed where one of them has none."""
        first, second = (checked(method, damaged).astype(np.float64) for method in (self.first, self.second))
        mixed: np.ndarray = (first + self.weight * (second - first)).round().astype(np.uint8)
        return mixed


def _find(request: Request, conditions: Conditions, store: Path) -> BlendMethod:
    try:
        share, *places = shlex.split(request.target)
        weight = float(share)
    except ValueError:
        weight, places = -1.0, []
    if not (0 <= weight <= 1 and len(places) == 2):
        raise ConfigError(f"method {request.name}: write it as {request.name}=blend:0.5 FIRST SECOND, of 0 to 1")
    first, second = (find(_part(request.name, place), conditions, store) for place in places)
    return BlendMethod(request.name, weight, first, second, fingerprint(weight, first.content, second.content))


def _part(name: str, place: str) -> Request:
    """One of the two, as it is written behind NAME=; the JPEG has no place."""
    return Request(JPEG, JPEG) if place == JPEG else parse(f"{name}={place}")


ENTRIES: dict[str, Find] = {"blend": _find}
