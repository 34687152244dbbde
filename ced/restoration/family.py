"""Which restorer a file gets: one value that the command line, evaluation and a served model all ask.

A family is a folder with a family.json, or a single restorer's folder. Those that come with ced lie in ced/released.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ced.core import jpeg
from ced.core.encoding import encode
from ced.decoding import Decoded, decoded
from ced.errors import FormatError
from ced.restoration.restorer import DESCRIPTION, DIGESTS, FILES, Restorer, check_seal, part
from ced.restoration.restorer import contents as restorer_contents

FORMAT, VERSION = "ced-family", 1
FAMILY = "family.json"
RELEASED = Path(__file__).parents[1] / "released"  # comes with ced: CED-GT for gray and for colour (docs/model-card.md)
FAITHFUL = RELEASED / "faithful"  # so does this: an ED for every file, nearest to the pixels
BEST = 100  # the highest quality factor


@dataclass(frozen=True)
class FamilyMember:
    """A restorer's folder, and the files that it is for: planes of gray ("y") or colour ("rgb"), and their quality."""

    folder: Path
    colours: tuple[str, ...] = ("y", "rgb")
    highest: int = BEST  # quality factor; of several members the first that reaches a file's quality restores it
    lowest: int = 1


@dataclass(frozen=True)
class Family:
    """Restorers of different files, and how they are all read off.

    `leave_above`: JPEGs of a higher quality factor are left as they are, since these restorers would make them worse.
    `temperature`, `self_ensemble`: as of `Restorer`; None leaves each restorer its own temperature.
    """

    members: tuple[FamilyMember, ...]
    leave_above: int = BEST
    temperature: float | None = None
    self_ensemble: bool = False
    device: str = "cpu"

    @classmethod
    def load(cls, folder: str | Path) -> "Family":
        """The family in a folder: that of its family.json, else of the one restorer there. Raises FormatError."""
        folder = Path(folder).resolve()
        path = folder / FAMILY
        if not path.is_file():
            restorer = _load(folder, "cpu", None, False)
            return cls((FamilyMember(folder, ("y", "rgb") if restorer.channels == 1 else ("rgb",)),))
        try:
            described = json.loads(path.read_text())
            if (described["format"], described["version"]) != (FORMAT, VERSION):
                raise FormatError(f"{path}: no family of restorers of this version of ced; give another folder")
            check_seal(path, described)
            members = tuple(_member(folder, entry) for entry in described["members"])
            for name in described.get(DIGESTS, ()):
                if name:
                    part(folder / name, described, name)
            if not members:
                raise ValueError("no members")
            return cls(members, int(described.get("leave_above", BEST)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path}: not a family of restorers ({error}); give a folder that ced made") from error

    def everything(self) -> "Family":
        """The same restorers, for JPEGs of every quality factor."""
        return replace(self, leave_above=BEST)

    def on(self, device: str) -> "Family":
        """The same restorers, loaded on a device, those of all members at once. Raises FormatError."""
        family = replace(self, device=device)
        for member in family.members:
            family.restorer(member)
        return family

    def member(self, quality: int | None, colour: str) -> FamilyMember | None:
        """The member for a JPEG of a quality factor (None: not known), of gray ("y") or in colour ("rgb").

        Gray is restored by a member for colour where none is for gray. None where no member is for it.
        """
        known = BEST if quality is None else quality
        fitting = [member for member in self.members if member.lowest <= known <= member.highest]
        wanted = (colour, "rgb") if colour == "y" else (colour,)
        return next((member for each in wanted for member in fitting if each in member.colours), None)

    def restorer(self, member: FamilyMember) -> Restorer:
        """A member's restorer, loaded once a process. Raises FormatError."""
        return _load(member.folder, self.device, self.temperature, self.self_ensemble)

    def for_file(self, data: bytes) -> Restorer | None:
        """The restorer for an image file; None where it is better left as it is. Raises Rejected, FormatError."""
        return self.for_photograph(decoded(data))

    def for_photograph(self, photograph: Decoded) -> Restorer | None:
        """The restorer for a decoded one, None where it is better left as it is. Raises FormatError."""
        if self._too_good(photograph):
            return None
        colour = "y" if photograph.pixels.ndim == 2 else "rgb"
        return self.restorer(self.member(photograph.quality, colour) or self.members[-1])

    def left_because(self, photograph: Decoded) -> str:
        """Why a file is left as it is, in a clause; "" where it is restored.

        Beside JPEGs of a high quality factor these are all other files, unless the restorers are for `everything`: they
        were trained on JPEGs, and would invent losses that were never there.
        """
        if self.leave_above < BEST and photograph.format not in jpeg.NAMES:
            return "not a JPEG file: what it has lost, if anything, cannot be read off it"
        return f"quality factor {photograph.quality}" if self._too_good(photograph) else ""

    def restore_bytes(self, data: bytes) -> bytes:
        """Image file in, PNG out, upright and with its colour profile: restored, or as it was where it is better left
        alone. Raises Rejected, FormatError."""
        return self.png(decoded(data))

    def png(self, photograph: Decoded) -> bytes:
        """`restore_bytes` of a decoded photograph. Raises FormatError."""
        restorer = self.for_photograph(photograph)
        if restorer is None:
            return encode(photograph.pixels, photograph.alpha, photograph.icc_profile)[0]
        return restorer.png(photograph)

    def _too_good(self, photograph: Decoded) -> bool:
        """A JPEG of which all components, chroma's too, have a higher quality factor than these restorers are for."""
        found = [quality for quality in (photograph.quality, photograph.chroma_quality) if quality is not None]
        return bool(found) and min(found) > self.leave_above


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a restorer or a family, by their path within the folder. Raises FormatError where it is neither."""
    family = Family.load(folder)
    folders = [folder] if not (folder / FAMILY).is_file() else [folder, *(member.folder for member in family.members)]
    names = (*FILES, FAMILY)
    paths = {path for inside in folders for path in Path(inside).iterdir() if path.name in names}
    return {path.resolve().relative_to(folder.resolve()).as_posix(): path for path in sorted(paths)}


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a restorer or a family, by its path within the folder; the digests in descriptions do
    not count. Raises FormatError where it is neither."""
    family = Family.load(folder)
    path = folder / FAMILY
    if not path.is_file():
        return restorer_contents(folder)
    described = {name: value for name, value in json.loads(path.read_text()).items() if name != DIGESTS}
    digests = {FAMILY: hashlib.sha256((json.dumps(described) + "\n").encode()).hexdigest()}
    for member in family.members:
        inside = member.folder.relative_to(folder.resolve()).as_posix()
        digests |= {f"{inside}/{name}": digest for name, digest in restorer_contents(member.folder).items()}
    return digests


def _member(folder: Path, entry: dict[str, Any]) -> FamilyMember:
    name = str(entry["folder"])
    place = (folder / name).resolve()
    if not place.is_relative_to(folder) or not (place / DESCRIPTION).is_file():
        raise ValueError(f"member {name!r}: no restorer inside this folder")
    lowest, highest = entry.get("quality", (1, BEST))
    return FamilyMember(place, tuple(entry["colours"]), int(highest), int(lowest))


@functools.lru_cache(maxsize=32)
def _load(folder: Path, device: str, temperature: float | None, self_ensemble: bool) -> Restorer:
    return Restorer.load(folder, device, temperature, self_ensemble)
