"""The damaged image itself, and the restorers of this project, of a folder or those that come with ced."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ced.config import AS_FOUND, FAITHFUL, RELEASED, fingerprint
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


def _method(name: str, family: "Family", content: str = "", conditions: Conditions | None = None) -> RestorerMethod:
    from ced.restoration.family import contents

    if conditions is not None and AS_FOUND not in conditions.qualities:
        asked = itertools.product(conditions.colours, conditions.qualities)
        used = {f"{colour} {quality}": family.member(quality, colour) for colour, quality in asked}
        family = replace(family, members=tuple(dict.fromkeys(member for member in used.values() if member)))
        digests = {member: fingerprint(contents(member.folder)) for member in family.members}
        content = fingerprint({key: digests[member] for key, member in used.items() if member})
    colours = tuple(dict.fromkeys(colour for member in family.members for colour in member.colours))
    return RestorerMethod(
        name, family.everything(), content or fingerprint(contents(family.members[0].folder)), colours
    )


def find_restorer(request: Request, conditions: Conditions, store: Path) -> RestorerMethod:
    """The restorer or family of a folder, or that comes with ced; or, with {quality} in the folder's path, one for each
    quality factor. With self-ensemble, the mean over an image's flips, it is another method, by content too."""
    from ced.restoration import family

    with_ced = {RELEASED: family.RELEASED, FAITHFUL: family.FAITHFUL}
    if request.kind not in with_ced and _QUALITY in request.target:
        members = []
        for quality in conditions.qualities:
            single = family.Family.load(request.target.replace(_QUALITY, str(quality))).members[0]
            members.append(family.FamilyMember(single.folder, single.colours, highest=quality, lowest=quality))
        method = _method(request.name, family.Family(tuple(members)), conditions=conditions)
    else:
        folder = with_ced.get(request.kind, Path(request.target))
        method = restorer(request.name, folder, conditions=conditions)
    if request.self_ensemble:
        content = fingerprint(method.content, SELF_ENSEMBLE)
        method = replace(method, family=replace(method.family, self_ensemble=True), content=content)
    return method


ENTRIES: dict[str, Find] = {
    JPEG: lambda request, conditions, store: JpegMethod(),
    RESTORER: find_restorer,
    RELEASED: find_restorer,
    FAITHFUL: find_restorer,
}
