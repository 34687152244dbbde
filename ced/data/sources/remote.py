"""Files on S3 and every other file system that has an address."""

import functools
from typing import Any, NamedTuple
from urllib.parse import unquote

from ced.data.sources import answers
from ced.data.sources.local import check_size
from ced.data.sources.mounts import address, locate, open_file, root
from ced.data.sources.naming import Photograph, nothing, tidy, title, wanted

_AT_ONCE = 1000  # files asked about in one call


class Facts(NamedTuple):
    """What a file system tells of a path."""

    kind: str  # "file", "folder" or "" for nothing there
    stamp: str
    size: int


def look(source: str) -> Facts:
    """What is there. Raises InputError: nothing, or a server that does not answer or refuses."""
    facts = answers.first(source, lambda: _facts([source], brisk=True)[0])
    if not facts.kind:
        raise answers.missing(source)
    return facts


def folder(source: str, pattern: str) -> list[Photograph]:
    """What is asked for below a prefix, sorted by name. Raises InputError."""
    infos = answers.told(source, functools.partial(_below, source))
    top, own = locate(source)[1], title(source)
    found = []
    for info in infos:
        within = tidy(_inside(info.path, top))
        if wanted(within, pattern):
            found.append(Photograph(f"{own}/{within}", address(source, info.path), _stamp(info), _size(info)))
    if not found:
        raise nothing(source, len(infos), pattern)
    return sorted(found)


def photographs(names: list[str], uris: list[str]) -> list[Photograph]:
    """Files by address, there or not. Raises InputError where a server does not answer or refuses."""
    groups: dict[str, list[str]] = {}
    for uri in uris:
        groups.setdefault(root(uri), []).append(uri)
    known: dict[str, Facts] = {}
    for group in groups.values():
        answers.first(group[0], functools.partial(_facts, group[:1], brisk=True))
        for start in range(0, len(group), _AT_ONCE):
            batch = group[start : start + _AT_ONCE]
            known.update(zip(batch, answers.told(batch[0], functools.partial(_facts, batch)), strict=True))
    return [Photograph(name, uri, known[uri].stamp, known[uri].size) for name, uri in zip(names, uris, strict=True)]


def stamp(uri: str) -> str:
    """The stamp of a file as it is now. Raises Rejected."""
    return answers.read(uri, lambda: _facts([uri])[0].stamp)


def whole(source: str) -> bytes:
    """All of a file of the user's own. Raises InputError."""

    def fetch() -> bytes:
        with open_file(source) as file:
            return bytes(file.read())

    return answers.told(source, fetch)


def read(uri: str, max_bytes: int) -> bytes:
    """The bytes of a photograph. Raises Rejected, and InputError where its server does not answer."""

    def fetch() -> bytes:
        with open_file(uri) as file:
            check_size(file.size(), max_bytes)
            return bytes(file.read())

    return answers.read(uri, fetch)


def _below(source: str) -> list[Any]:
    from pyarrow.fs import FileSelector, FileType

    mount, path = locate(source)
    infos = mount.files.get_file_info(FileSelector(path, recursive=True))
    return [info for info in infos if info.type == FileType.File]


def _inside(path: str, top: str) -> str:
    """The path within a prefix. Of the web, where paths are addresses: without query and escapes."""
    inside = path.removeprefix(top)
    return unquote(inside.partition("?")[0]) if "://" in top else inside


def _facts(uris: list[str], brisk: bool = False) -> list[Facts]:
    """What is known of files of one file system."""
    from pyarrow.fs import FileType

    kinds = {FileType.File: "file", FileType.Directory: "folder"}
    places = [locate(uri, brisk) for uri in uris]
    infos = places[0][0].files.get_file_info([path for _, path in places])
    return [Facts(kinds.get(info.type, ""), _stamp(info), _size(info)) for info in infos]


def _stamp(info: Any) -> str:
    return f"{_size(info)} {info.mtime_ns or 0}"


def _size(info: Any) -> int:
    return -1 if info.size is None else int(info.size)
