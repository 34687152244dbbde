"""Images that another program restored: a folder of them, and the one file that a command has written."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np

from ced.core.images import SECONDS, SUFFIXES, Rejected, opened, to_rgb, upright
from ced.data import sources
from ced.errors import InputError
from ced.isolation import ends_after
from ced.methods.method import Conditions, Damaged, Failed, Find, Method, Request


@dataclass(frozen=True)
class FolderMethod:
    """A folder of restored images, named as the originals are (whatever the suffix), below q10, q20, ... if it has any,
    and these below y and rgb if it has those.

    The file is looked for under the original's path within its source, then under its bare name.
    """

    name: str
    folder: Path
    content: str = ""
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = False

    def load(self) -> None:
        """Nothing is needed."""

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The file's pixels. Raises Failed where there is none, more than one, or one that is no such image."""
        top = self._top("y" if damaged.image.ndim == 2 else "rgb", damaged.quality)
        files = _named_after(top, damaged.name)
        if len(files) > 1:
            raise Failed("ambiguous", f"{files[0]} and {files[1].name} are both named after {damaged.name}")
        if not files:
            raise Failed("no file", f"{top / _within(damaged.name).with_suffix('')}.* is not there")
        return pixels(files[0].read_bytes(), damaged, str(files[0]))

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


def check_apart(methods: Iterable[Method], names: Sequence[str], conditions: Conditions) -> None:
    """Find out whether folders of restored images have a file for each of the originals. Raises InputError."""
    for method in methods:
        if isinstance(method, FolderMethod):
            method.check_apart(names, conditions.colours, conditions.qualities)


def _find(request: Request, conditions: Conditions, store: Path) -> FolderMethod:
    folder = Path(request.target)
    if not folder.is_dir():
        raise InputError(f"method {request.name}: {folder}: no such folder; give one of restored images")
    tops = {colour: of_colour(folder, colour) for colour in conditions.colours}
    if len(set(tops.values())) < len(tops):
        raise InputError(f"method {request.name}: {folder} has no y and rgb; with several colours it needs them")
    folders = [each for top in tops.values() for each in _folders(request.name, top, conditions.qualities)]
    try:
        content = sources.content(sources.find(tuple(map(str, folders))))
    except InputError as error:
        raise InputError(f"method {request.name}: {error}") from None
    return FolderMethod(request.name, folder.resolve(), content)


def _folders(name: str, folder: Path, qualities: tuple[int, ...]) -> list[Path]:
    """The folders that images are taken from. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"method {name}: {folder}: no such folder; restore images of this colour too")
    if has_qualities(folder):
        missing = [f"q{quality}" for quality in qualities if not (folder / f"q{quality}").is_dir()]
        if missing:
            raise InputError(f"method {name}: {folder} has no {', '.join(missing)}; restore these qualities too")
        return [folder / f"q{quality}" for quality in qualities]
    if len(qualities) > 1:
        raise InputError(f"method {name}: {folder} has no q10, q20, ...; with several qualities it needs them")
    return [folder]


ENTRIES: dict[str, Find] = {"folder": _find}


def of_colour(folder: Path, colour: str) -> Path:
    """Where a folder has its images of a colour: in y and rgb if it has both or either, else all in itself."""
    return folder / colour if any((folder / name).is_dir() for name in ("y", "rgb")) else folder


def has_qualities(folder: Path) -> bool:
    """Whether a folder has its images apart by quality factor, in q10, q20, ..."""
    return any(path.is_dir() and path.name[1:].isdigit() for path in folder.glob("q[0-9]*"))


def pixels(data: bytes, damaged: Damaged, what: str) -> np.ndarray:
    """The pixels of an image file, gray or RGB as the damaged image is. Raises Failed.

    Where decoding it takes too long this process ends, as where it crashes: the evaluation passes over it then.
    """
    try:
        with ends_after(SECONDS), opened(data) as image:
            plain = upright(image)
            plain = plain if damaged.image.ndim == 2 and plain.mode == "L" else to_rgb(plain)
    except Rejected as error:
        raise Failed(error.reason, f"{what}: {error.message}") from error
    if damaged.image.ndim == 3 or plain.mode == "L":
        return np.asarray(plain)
    rgb = np.asarray(plain)
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
    files = sorted(path.parent.glob(f"{escape(path.stem)}.*")) if path.parent.is_dir() else []
    return [file for file in files if file.stem == path.stem and file.suffix.lower() in SUFFIXES]
