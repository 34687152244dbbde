"""Which files of a source are its photographs: by their suffix, or by their first bytes where it is no image's. What
else a source holds is counted here, and said in one line."""

import fnmatch
import posixpath
import re
from collections import Counter
from collections.abc import Callable
from enum import Enum

from ced.core.images import SUFFIXES
from ced.data.sources.photograph import redacted, split_glob, suffixed
from ced.errors import InputError

ZIP = (".zip",)
ARCHIVES = (".tar", ".tar.gz", ".tgz", *ZIP)  # read in place
CLOSED_ARCHIVES = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")

HEADER = 64  # bytes, of which an image shows what it is
# The marks of the formats that ced reads; DIB and TGA have none. An AVIF may be named further back in its first box.
_MARKS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II[*+]\0|MM\0[*+]"
    rb"|BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}|P[1-6]\s+[\d#]"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|....ftyp(?:avi[fs]|(?:mif1|msf1).{4}(?:.{4})*?avif)",
    re.DOTALL,
)
# Whatever these begin with, they are no photographs. Cameras' raw files are TIFFs of which Pillow sees the thumbnail, a
# .thm is the thumbnail of a film. What lies beside photographs by the million is not opened: 30 s for each million.
_OTHERS = frozenset(
    (".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos", ".nef", ".nrw")
    + (".orf", ".pef", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".thm")
    + (".cls", ".csv", ".html", ".json", ".md", ".npy", ".parquet", ".txt", ".xml", ".xmp", ".yaml", ".yml")
    + (".avi", ".m4v", ".mkv", ".mov", ".mp4")
)
# Files and folders that systems keep for themselves: hidden ones, and those of macOS, Windows and NAS devices.
_HIDDEN = re.compile(
    r"(?:^|/)(?:\.|(?:__MACOSX|@eaDir|#recycle|\$RECYCLE\.BIN|System Volume Information|lost\+found)(?:/|$))"
)
_NAMED = 5  # of one kind; of more, as many suffixes are counted


class Passed(Enum):
    """Why something in a source was passed over: what it is, several of it, and what to do who wants it."""

    OTHER = "file of another kind", "files of other kinds", ""
    HIDDEN = "hidden file or folder", "hidden files and folders", ""
    UNREADABLE = "file that cannot be opened", "files that cannot be opened", "check links and permissions"
    BESIDE = (
        "archive beside photographs",
        "archives beside photographs",
        "name archives as sources of their own to read them too",
    )
    NESTED = "archive in an archive", "archives in archives", "unpack archives to read what is in them"
    CLOSED = (
        "archive that cannot be read in place",
        "archives that cannot be read in place",
        "unpack archives to read what is in them",
    )
    TWICE = "file that is named twice", "files that are named twice", ""


class Selection:
    """The choice among the files of one source, and what it passed over."""

    def __init__(self, source: str, pattern: str = ""):
        self.source, self.pattern = source, pattern
        self.files = 0  # looked at
        self._suffixes: dict[Passed, Counter[str]] = {}
        self._names: dict[Passed, list[str]] = {}

    def takes(self, name: str, looks: Callable[[], bool] = bool) -> bool:
        """Whether a file of the source is one of its photographs. With a pattern: if its path within matches. Without,
        by its suffix, and where that is no image's by `looks`, which says whether its first bytes are; or OSError.
        An archive is none."""
        self.files += 1
        if self.pattern and not fnmatch.fnmatchcase(name, self.pattern):
            return False
        why = _packed(name) if self.pattern else _why_not(name, looks)
        if why:
            self.pass_over(why, name)
        return why is None

    def takes_named(self, name: str) -> bool:
        """Whether a file that the user named is taken: whatever its suffix, unless a pattern says otherwise."""
        self.files += 1
        return not self.pattern or fnmatch.fnmatchcase(name, self.pattern)

    def enters(self, folder: str) -> bool:
        """Whether a folder of the source is looked into: its path within."""
        if self.pattern or not is_hidden(folder):
            return True
        self.pass_over(Passed.HIDDEN, f"{folder}/")
        return False

    def pass_over(self, why: Passed, name: str) -> None:
        """Count what is not taken."""
        self._suffixes.setdefault(why, Counter())[posixpath.splitext(name)[1].lower()] += 1
        names = self._names.setdefault(why, [])
        if len(names) < _NAMED:
            names.append(name)

    def passed(self) -> str:
        """What was passed over, in one line: "" for nothing."""
        if not self._suffixes:
            return ""
        cures = dict.fromkeys(f"; {why.value[2]}" for why in Passed if why in self._suffixes and why.value[2])
        return f"{redacted(self.source)}: passed over {self._counted()}{''.join(cures)}"

    def nothing(self) -> InputError:
        """The refusal of a source in which nothing is asked for."""
        source = redacted(self.source)
        if self.files and self.pattern:
            return InputError(
                f"{source}: none of its {self.files} files matches {self.pattern!r}; give another pattern"
            )
        if not (self.files or self._suffixes) and split_glob(self.source)[1]:
            return InputError(f"{source}: nothing there matches; check the wildcards")
        kinds = f"{self.files} files but no images in it" if self.files else "no files in it"
        there = f" ({self._counted()})" if self._suffixes else ""
        return InputError(f"{source}: {kinds}{there}; give a folder of photographs (JPEG, PNG, TIFF, WebP ...)")

    def _counted(self) -> str:
        return ", ".join(self._clause(why) for why in Passed if why in self._suffixes)

    def _clause(self, why: Passed) -> str:
        """As `2 files of other kinds (a.txt, b.mov)`, or of more than five files how many have which suffix."""
        suffixes, names = self._suffixes[why], self._names[why]
        count = suffixes.total()
        if count > len(names):
            often = sorted(suffixes, key=lambda suffix: (-suffixes[suffix], suffix))
            names = [f"{suffixes[suffix]} {suffix or 'without a suffix'}" for suffix in often[:_NAMED]]
            names += ["..."] * (len(often) > _NAMED)
        else:
            names = sorted(names)
        shown = ", ".join(redacted(name) for name in names)
        return f"{count} {why.value[count > 1]} ({shown})"


class Glob:
    """A path with wildcards: `*`, `?` and `[...]` stay in one folder, `**` stands for any folders. What matches is
    taken, and of a folder that does, all that is below it."""

    def __init__(self, text: str):
        from fsspec.utils import glob_translate

        parts = [part if part == "**" else re.sub(r"\*{2,}", "*", part) for part in text.split("/")]
        self._deep = parts.index("**") if "**" in parts else len(parts)
        ways = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        self._ways = [re.compile(glob_translate(way)) for way in ways]

    def takes(self, name: str) -> bool:
        """Whether a path, or a folder that it lies in, matches."""
        parts = name.split("/")
        return any(self._ways[-1].match("/".join(parts[: depth + 1])) for depth in range(len(parts)))

    def leads(self, folder: str) -> bool:
        """Whether anything below a folder may match, if the folder above it leads on."""
        depth = folder.count("/")
        if depth >= self._deep or self.takes(folder):
            return True
        return depth < len(self._ways) - 1 and bool(self._ways[depth].match(folder))


def is_image(header: bytes) -> bool:
    """Whether a file that begins so is an image of a format that ced reads."""
    return bool(_MARKS.match(header))


def is_hidden(name: str) -> bool:
    """Whether a path within a source is of a hidden file, or in a folder that systems keep for themselves."""
    return bool(_HIDDEN.search(name))


def is_archive(name: str) -> bool:
    """Whether a path within a source is of an archive that can be read in place."""
    return suffixed(name, ARCHIVES) and not is_hidden(name)


def undecided(name: str) -> bool:
    """Whether the first bytes decide about a file: its name says neither that it is an image nor that it is none."""
    suffix = posixpath.splitext(name)[1].lower()
    return not (suffix in SUFFIXES or suffix in _OTHERS or is_hidden(name) or suffixed(name, _ANY_ARCHIVE))


_ANY_ARCHIVE = (*ARCHIVES, *CLOSED_ARCHIVES)


def _why_not(name: str, looks: Callable[[], bool]) -> Passed | None:
    """Why a file is no photograph; None: it is."""
    if is_hidden(name):
        return Passed.HIDDEN
    if posixpath.splitext(name)[1].lower() in SUFFIXES:
        return None
    if not undecided(name):
        return _packed(name) or Passed.OTHER
    try:
        return None if looks() else Passed.OTHER
    except OSError:
        return Passed.UNREADABLE


def _packed(name: str) -> Passed | None:
    """Why an archive is not read; None: it is no archive."""
    if not suffixed(name, _ANY_ARCHIVE):
        return None
    if is_hidden(name):
        return Passed.HIDDEN
    return Passed.NESTED if suffixed(name, ARCHIVES) else Passed.CLOSED
