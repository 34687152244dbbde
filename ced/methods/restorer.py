"""The damaged image itself, and the restorers of this project, of a folder or those that come with ced."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ced.config import FAITHFUL, RELEASED, fingerprint
from ced.methods.method import JPEG, RESTORER, SELF_ENSEMBLE, Conditions, Damaged, Failed, Find, Request

if TYPE_CHECKING:
    from ced.restoration.family import Family

_QUALITY = "{quality}"


@dataclass(frozen=True)
class JpegMethod:
    """What every other method has to be better than."""

    name: str = JPEG
    content: str = ""
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = True

    def load(self) -> None:
        """Nothing is needed."""

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The decoded JPEG."""
        return damaged.image


@dataclass(frozen=True)
class RestorerMethod:
    """A family of restorers: each JPEG by the member for its quality factor and colour.

    A luminance model takes a colour image `through` its luma alone ("luma") or all of its YCbCr ("ycbcr").
    """

    name: str
    family: "Family"
    content: str
    colours: tuple[str, ...]
    through: str = "luma"
    timed: bool = True

    @property
    def channels(self) -> int:
        """1 where planes are restored, 3 where the members restore RGB and nothing else."""
        return 1 if any(self.family.restorer(member).channels == 1 for member in self.family.members) else 3

    def load(self) -> None:
        """Load all members."""
        self.family.on(self.family.device)

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The network's output, rounded and clipped to 8 bits. Raises Failed where no member is for such a JPEG."""
        colour = "y" if damaged.image.ndim == 2 else "rgb"
        member = self.family.member(damaged.quality, colour)
        if member is None:
            raise Failed("no network", f"none is for {colour} at quality factor {damaged.quality}")
        return self.family.restorer(member).restore_pixels(damaged.image, self.through)


def restorer(name: str, folder: Path, content: str = "", conditions: Conditions | None = None) -> RestorerMethod:
    """The restorer or family in a folder; `content` is its digest where it is known. Of a family those members alone
    that the conditions need. Raises FormatError."""
    from ced.restoration.family import Family

    family = Family.load(folder)
    return _method(name, family, content, conditions if len(family.members) > 1 else None)


def digest(folder: Path) -> str:
    """A digest of a restorer's files. Raises FormatError where it is none."""
    from ced.restoration.restorer import Restorer, contents

    Restorer.load(folder)
    return fingerprint(contents(folder))


def _method(name: str, family: "Family", content: str = "", conditions: Conditions | None = None) -> RestorerMethod:
    if conditions is not None:
        asked = itertools.product(conditions.colours, conditions.qualities)
        used = {f"{colour} {quality}": family.member(quality, colour) for colour, quality in asked}
        family = replace(family, members=tuple(dict.fromkeys(member for member in used.values() if member)))
        contents = {member: digest(member.folder) for member in family.members}
        content = fingerprint({key: contents[member] for key, member in used.items() if member})
    colours = tuple(dict.fromkeys(colour for member in family.members for colour in member.colours))
    return RestorerMethod(name, family.everything(), content or digest(family.members[0].folder), colours)


def _self_ensemble(method: RestorerMethod, request: Request) -> RestorerMethod:
    """The mean over an image's flips is another method, by content too, where it is asked for."""
    if not request.self_ensemble:
        return method
    content = fingerprint(method.content, SELF_ENSEMBLE)
    return replace(method, family=replace(method.family, self_ensemble=True), content=content)


def _find_jpeg(request: Request, conditions: Conditions, store: Path) -> JpegMethod:
    return JpegMethod()


def find_restorer(request: Request, conditions: Conditions, store: Path) -> RestorerMethod:
    """The restorer or family of a folder or, with {quality} in its path, one for each quality factor."""
    if _QUALITY not in request.target:
        return _self_ensemble(restorer(request.name, Path(request.target), conditions=conditions), request)
    from ced.restoration.family import Family, FamilyMember

    members = []
    for quality in conditions.qualities:
        single = Family.load(request.target.replace(_QUALITY, str(quality))).members[0]
        members.append(FamilyMember(single.folder, single.colours, highest=quality, lowest=quality))
    method = _method(request.name, Family(tuple(members)), conditions=conditions)
    return _self_ensemble(method, request)


def _find_released(request: Request, conditions: Conditions, store: Path) -> RestorerMethod:
    from ced.restoration import family

    return _self_ensemble(restorer(request.name, family.RELEASED, conditions=conditions), request)


def _find_faithful(request: Request, conditions: Conditions, store: Path) -> RestorerMethod:
    from ced.restoration import family

    return _self_ensemble(restorer(request.name, family.FAITHFUL), request)


ENTRIES: dict[str, Find] = {
    JPEG: _find_jpeg,
    RESTORER: find_restorer,
    RELEASED: _find_released,
    FAITHFUL: _find_faithful,
}
