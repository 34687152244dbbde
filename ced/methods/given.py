"""Images that somebody else restored: a folder of them, and the file that a command has written."""

from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ced.core.images import SUFFIXES, Rejected, open_upright, to_rgb
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
        within = Path(damaged.name.partition("/")[2] or damaged.name)
        top = of_colour(self.folder, "y" if damaged.image.ndim == 2 else "rgb")
        top = top / f"q{damaged.quality}" if has_qualities(top) else top
        for place in dict.fromkeys((within, Path(within.name))):
            found = _files(top / place)
            if len(found) > 1:
                raise Failed("ambiguous", f"{found[0]} and {found[1].name} are both named after {damaged.name}")
            if found:
                return pixels(found[0].read_bytes(), damaged, str(found[0]))
        raise Failed("no file", f"{top / within.with_suffix('')}.* is not there")


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


def _files(path: Path) -> list[Path]:
    """The image files called `path`, with whatever suffix an image has instead of its own."""
    found = sorted(path.parent.glob(f"{escape(path.stem)}.*")) if path.parent.is_dir() else []
    return [one for one in found if one.stem == path.stem and one.suffix.lower() in SUFFIXES]
