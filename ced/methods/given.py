"""Images that somebody else restored: a folder of them, and the file that a command has written."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ced.core.images import SUFFIXES, Rejected, open_upright, to_rgb
from ced.errors import InputError
from ced.methods.protocol import Damaged, Failed


@dataclass(frozen=True)
class Folder:
    """A folder of restored images, named as the originals are (whatever the suffix), below q10, q20, ... if it has any,
    and these below y and rgb if it has those.

    The file is looked for under the original's path within its source, then under its bare name.
    """

    name: str
    folder: Path
    colour: str = "any"
    timed: bool = False

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The file's pixels. Raises Failed where there is none, more than one, or one that is no such image."""
        top = self._top("y" if damaged.image.ndim == 2 else "rgb", damaged.quality)
        found = _named_after(top, damaged.name)
        if len(found) > 1:
            raise Failed("ambiguous", f"{found[0]} and {found[1].name} are both named after {damaged.name}")
        if not found:
            raise Failed("no file", f"{top / _within(damaged.name).with_suffix('')}.* is not there")
        return pixels(found[0].read_bytes(), damaged, str(found[0]))

    def check_apart(self, names: Iterable[str], colours: Iterable[str], qualities: Iterable[int]) -> None:
        """Find out whether a file here would be taken for the restoration of two originals. Raises InputError."""
        alike: dict[str, list[str]] = {}
        for name in names:
            alike.setdefault(Path(name).stem, []).append(name)
        suspects = [name for group in alike.values() if len(group) > 1 for name in group]
        for top in dict.fromkeys(itertools.starmap(self._top, itertools.product(colours, qualities))):
            owners: dict[Path, str] = {}
            for name in suspects:
                for file in _named_after(top, name):
                    if (owner := owners.setdefault(file, name)) != name:
                        raise InputError(
                            f"method {self.name}: {file} would stand for {owner} and for {name}; name what is restored "
                            "with the folders of the originals, and two of one name and folder differently"
                        )

    def _top(self, colour: str, quality: int) -> Path:
        """Where the images of a colour and quality factor are."""
        top = of_colour(self.folder, colour)
        return top / f"q{quality}" if has_qualities(top) else top


def of_colour(folder: Path, colour: str) -> Path:
    """Where a folder has its images of a colour: in y and rgb if it has both or either, else all in itself."""
    return folder / colour if any((folder / one).is_dir() for one in ("y", "rgb")) else folder


def has_qualities(folder: Path) -> bool:
    """Whether a folder has its images apart by quality factor, in q10, q20, ..."""
    return any(path.is_dir() and path.name[1:].isdigit() for path in folder.glob("q[0-9]*"))


def pixels(data: bytes, damaged: Damaged, what: str) -> np.ndarray:
    """The pixels of an image file, gray or RGB as the damaged image is. Raises Failed."""
    try:
        image = open_upright(data)
    except Rejected as error:
        raise Failed(error.reason, f"{what}: {error.message}") from error
    if damaged.image.ndim == 3:
        return np.asarray(to_rgb(image))
    return _gray(image, what)


def _gray(image: Image.Image, what: str) -> np.ndarray:
    if image.mode == "L":
        return np.asarray(image)
    rgb = np.asarray(to_rgb(image))
    if (rgb != rgb[..., :1]).any():
        raise Failed("not gray", f"{what}: a colour image, and the JPEG is one plane of luminance; use --colour rgb")
    return np.ascontiguousarray(rgb[..., 0])


def _within(name: str) -> Path:
    """The path of an original within its source."""
    return Path(name.partition("/")[2] or name)


def _named_after(top: Path, name: str) -> list[Path]:
    """The files below `top` that are named after an original: with its folders, else by its bare name."""
    within = _within(name)
    return _files(top / within) or _files(top / within.name)


def _files(path: Path) -> list[Path]:
    """The image files called `path`, with whatever suffix an image has instead of its own."""
    found = sorted(path.parent.glob(f"{escape(path.stem)}.*")) if path.parent.is_dir() else []
    return [one for one in found if one.stem == path.stem and one.suffix.lower() in SUFFIXES]
