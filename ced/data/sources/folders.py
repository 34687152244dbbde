"""Sources that hold others: folders, paths with wildcards, and lists, a text file with one path or address a line.

Local folders are walked by os.walk: pyarrow's local file system refuses names that are not UTF-8.
"""

import logging
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ced.core.images import SUFFIXES
from ced.data.sources import archives, files, remote
from ced.data.sources.photograph import (
    FILE,
    FILES,
    FOLDER,
    Location,
    Photograph,
    SourceKind,
    is_uri,
    printable,
    redacted,
    split_glob,
    suffixed,
    tidy,
    title,
)
from ced.data.sources.selection import ARCHIVES, Glob, Passed, Selection, is_archive

logger = logging.getLogger("ced")


def find(source: str, selection: Selection, cache: Path | None = None) -> Iterable[Photograph]:
    """What is asked for below a folder, sorted by name; or the file itself, whatever its suffix. Raises InputError."""
    location = files.locate(source)
    if location.kind == FOLDER:
        return _folder(location.path, title(location.path), "", selection, cache)
    name = title(source)
    if not selection.takes_named(name):
        return []
    return [Photograph(name, location.path, location.stamp, location.size)]


def check(source: str, selection: Selection) -> None:
    """Whether a local source is there and holds anything that is asked for: up to the first one. Raises InputError."""
    base, below = split_glob(source)
    if is_uri(base) or not files.existing(base).is_dir():
        return
    for file in _files(base, "", selection, Glob(below) if below else None):
        if is_archive(file.name) or selection.takes(file.name, _looks(file)):
            return
    raise selection.nothing()


def find_glob(source: str, selection: Selection, cache: Path | None = None) -> Iterable[Photograph]:
    """What is asked for of the files, folders and archives that match; named and sorted as in the folder that they lie
    below. Raises InputError."""
    base, below = split_glob(source)
    location = files.locate(base)
    return _folder(location.path, title(base), "", selection, cache, Glob(below))


def is_list(source: str) -> bool:
    """Whether a source is named as a list."""
    return suffixed(source, (".txt",))


def find_list(source: str, selection: Selection, cache: Path | None = None) -> Iterable[Photograph]:
    """What a list names, in its order: files whatever their suffix, and what is asked for in folders and archives and
    not named itself. Raises InputError. A file that is missing is set aside when it is read."""
    location = files.locate(source)
    if location.kind == FOLDER:  # that is named like one
        return find(source, selection, cache)
    data = remote.read_source(source) if is_uri(source) else Path(location.path).read_bytes()
    lines = [line.rstrip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    named = [(_listed_name(line), line) for line in (os.fsdecode(line) for line in lines if line.strip())]
    own = title(source)
    places = _places(location.path, named, selection)
    inside = [_is_container(place) for _, place in places]
    seen = {_key(place.path) for _, place in places} if any(inside) else set()
    listed: list[Photograph] = []
    for (within, place), several in zip(places, inside, strict=True):
        if several:
            listed += _unseen(_inside(place, own, within, selection, cache), seen, selection)
        elif selection.takes_named(within):
            listed.append(Photograph(f"{own}/{within}", place.path, place.stamp, place.size))
    return listed


def _places(base: str, named: list[tuple[str, str]], selection: Selection) -> list[tuple[str, Location]]:
    """The paths of a list that may be asked for, and what is there. What has an image's suffix is a file."""
    asked = []
    for within, line in named:
        image = posixpath.splitext(within)[1].lower() in SUFFIXES
        if not (selection.pattern and image) or selection.takes_named(within):
            asked.append((within, _listed_place(base, line), image))
    far = iter(remote.locations([place for _, place, _ in asked if is_uri(place)]))
    return [(within, next(far) if is_uri(place) else _local(place, image)) for within, place, image in asked]


def _local(path: str, image: bool) -> Location:
    """What is there on this machine, or nothing."""
    file = files.photograph("", path)
    return Location(path, FOLDER if not image and os.path.isdir(path) else FILE, file.stamp, file.size)


def _is_container(place: Location) -> bool:
    return place.kind == FOLDER or suffixed(place.path, ARCHIVES)


def _inside(place: Location, own: str, within: str, selection: Selection, cache: Path | None) -> Iterable[Photograph]:
    """What is asked for in a folder or archive that a list names."""
    above = f"{within}/" if within else ""
    if place.kind == FOLDER:
        return _folder(place.path, own, above, selection, cache)
    return archives.members(place.path, files.locate(place.path), own, above, selection, cache)


def _unseen(photographs: Iterable[Photograph], seen: set[str], selection: Selection) -> Iterator[Photograph]:
    """Those whose file or member was not seen before; now they are."""
    for photograph in photographs:
        key = _key(photograph.path) + (f"\0{photograph.member}" if photograph.member >= 0 else "")
        if key in seen:
            selection.pass_over(Passed.TWICE, photograph.name)
        else:
            seen.add(key)
            yield photograph


def _key(path: str) -> str:
    return path if is_uri(path) else os.path.normpath(path)


def _listed_name(line: str) -> str:
    """The path of a listed file: as it is written, an address from its bucket on."""
    if not is_uri(line):
        return tidy(line)
    remote.root(line)  # refuses what is no address
    parts = urlsplit(line)
    return tidy(printable(f"{parts.netloc.rpartition('@')[2]}/{unquote(parts.path)}"))


def _listed_place(base: str, line: str) -> str:
    """The path or address of a listed file: relative ones begin in the folder of the list, which lies at `base`."""
    if line.lower().startswith("file://"):
        return unquote(urlsplit(line).path)
    if is_uri(line) or line.startswith("/"):
        return line
    if not is_uri(base):
        return os.path.join(os.path.dirname(base), line)
    parts = urlsplit(base)
    place = posixpath.join(posixpath.dirname(parts.path) or "/", quote(os.fsencode(line)))
    return parts._replace(path=posixpath.normpath(place)).geturl()


def _folder(
    top: str, own: str, above: str, selection: Selection, cache: Path | None, glob: Glob | None = None
) -> Iterable[Photograph]:
    """What is asked for below the folder or prefix `top`, sorted by name. It is chosen and named as below the folder
    `above` of a source whose own name is `own`. Local files are looked at one by one, when each is taken.

    Archives are read where nothing lies beside them: shards. Beside photographs they are most often these, packed.
    """
    far: list[Photograph] = []
    near: list[str] = []  # names alone: there may be ten million
    odd: dict[str, str] = {}  # the paths of those that do not follow from their names: they are no UTF-8
    packed = []
    for file in _files(top, above, selection, glob):
        within = file.name
        if is_archive(within):
            packed.append(file)
        elif not selection.takes(within, _looks(file)):
            continue
        elif is_uri(top):
            far.append(file._replace(name=f"{own}/{within}"))
        else:
            near.append(f"{own}/{within}")
            if file.path != os.path.join(top, within.removeprefix(above)):
                odd[near[-1]] = file.path
    if far or near:
        for file in packed:
            selection.pass_over(Passed.BESIDE, file.name)
        near.sort(reverse=True)
        return sorted(far) or _looked_at(near, odd, top, f"{own}/{above}")
    for file in sorted(packed):
        location = files.locate(file.path)
        far += archives.members(file.path, location, own, f"{file.name}/", selection, cache)
    return far


def _looked_at(names: list[str], odd: dict[str, str], top: str, above: str) -> Iterator[Photograph]:
    """The local files with these names, from the last one on, which leave the list."""
    while names:
        name = names.pop()
        yield files.photograph(name, odd.pop(name, "") or os.path.join(top, name.removeprefix(above)))


def _files(top: str, above: str, selection: Selection, glob: Glob | None) -> Iterator[Photograph]:
    """All files below a folder or prefix, named by their path within the source; local ones not yet looked at."""
    for file in remote.below(top) if is_uri(top) else _below(top, above, selection, glob):
        if glob is None or glob.takes(file.name):
            yield file._replace(name=above + file.name)


def _looks(file: Photograph) -> Callable[[], bool]:
    """Whether a file begins as an image. On a server that would be a request for each: there suffixes decide."""
    return bool if is_uri(file.path) else partial(files.looks_like_an_image, file.path)


def _below(top: str, above: str, selection: Selection, glob: Glob | None) -> Iterator[Photograph]:
    """All files below a local folder, by their path there. Raises InputError for one that cannot be read."""

    def fail(error: OSError) -> None:
        raise files.unreadable(error.filename, error)

    for place, folders, names in os.walk(top := os.fspath(files.existing(top)), onerror=fail):
        below = os.path.relpath(place, top)
        before = "" if below == os.curdir else f"{below}/"
        entered = []
        for name in folders:
            within = printable(before + name)
            if (glob and not glob.leads(within)) or not selection.enters(above + within):
                continue
            if os.path.islink(path := os.path.join(place, name)):  # it may lead in circles
                logger.warning("%s: a link to a folder, not followed; name it as a source of its own", redacted(path))
            entered.append(name)
        folders[:] = entered
        for name in names:
            yield Photograph(printable(before + name), os.path.join(place, name), "")


ENTRIES = {
    "glob": SourceKind(lambda source: bool(split_glob(source)[1]), find_glob, files.read, check),
    "list": SourceKind(is_list, find_list, files.read, check),
    FILES: SourceKind(lambda source: True, find, files.read, check),
}
