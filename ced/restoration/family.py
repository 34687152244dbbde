"""Which restorer a file gets: one value that the command line, evaluation and a served model all ask.

A family is a folder with a family.json, or a single restorer's folder. Those that come with ced lie in ced/released.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ced.core import jpeg, recompression
from ced.core.encoding import encode
from ced.core.recompression import Trace
from ced.decoding import GRID, Decoded, decoded
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


class Choice(NamedTuple):
    """What becomes of a photograph, and why."""

    restorer: Restorer | None  # None: it is left as it is
    quality: int | None  # factor of its strongest compression that is known: by its pixels, or else by its header
    left: str = ""  # why it is left, in a clause
    trace: Trace | None = None  # an earlier, stronger compression that its pixels show, and its header does not
    history: str = ""  # what that is, in a clause

    def pixels(self, photograph: Decoded) -> np.ndarray:
        """The photograph's pixels, restored on the grid that they were compressed on, or as they are."""
        if self.restorer is None:
            return photograph.pixels
        if self.trace is None or self.trace.offset == (0, 0):
            return self.restorer.restore_pixels(photograph.pixels)
        above, before = (-side % GRID for side in self.trace.offset)
        padding = ((above, 0), (before, 0), (0, 0))[: photograph.pixels.ndim]
        restored = self.restorer.restore_pixels(np.pad(photograph.pixels, padding, "edge"))
        return np.ascontiguousarray(restored[above:, before:])


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

    def choose(self, photograph: Decoded) -> Choice:
        """What becomes of a photograph, by what its file says and what its pixels show. Raises FormatError.

        Beside JPEGs of a high quality factor all other files are left as they are, but for those whose pixels were a
        JPEG's, and unless the restorers are for `everything`: they were trained on JPEGs, and would invent losses.
        """
        trace = recompression.trace(photograph.pixels, photograph.quality)
        quality = trace.quality if trace else photograph.quality
        history = ""
        if trace and photograph.quality:
            history = f"it was saved twice: quality factor {photograph.quality} by its header, {quality} by its pixels"
        elif trace:
            history = f"it was a JPEG of quality factor {quality}, by its pixels"
        known = [each for each in (quality, photograph.chroma_quality) if each is not None]
        left = ""
        if known and min(known) > self.leave_above:
            left = f"quality factor {quality}{' by its pixels' * (trace is not None)}"
        elif not known and self.leave_above < BEST and photograph.format not in ("", *jpeg.NAMES):
            left = "not a JPEG file, nor do its pixels show that it was one"
        if left:
            return Choice(None, quality, left, trace)
        colour = "y" if photograph.pixels.ndim == 2 else "rgb"
        restorer = self.restorer(self.member(quality, colour) or self.members[-1])
        return Choice(restorer, quality, "", trace, history)

    def restore_bytes(self, data: bytes) -> bytes:
        """Image file in, PNG out, upright and with its colour profile: restored, or as it was where it is better left
        alone. Raises Rejected, FormatError."""
        return self.png(decoded(data))

    def png(self, photograph: Decoded) -> bytes:
        """`restore_bytes` of a decoded photograph. Raises FormatError."""
        return encode(self.choose(photograph).pixels(photograph), photograph.alpha, photograph.icc_profile)[0]


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
