"""Where photographs come from: folders and files, archives, lists, addresses, and two packages.

A kind of source is a `SourceKind` in the `ENTRIES` of a module, and one line in `KINDS` below. Stages,
training and evaluation ask `find`, `read`, `check` and `content` here and know no kind by name. A new kind says

- `matches(source)`: whether what the user wrote is of this kind, by its text alone ("lmdb:...", "....lmdb"),
- `find(source, selection, cache)`: its photographs, in a list or one by one, each with `kind` set to the kind's name;
  those of its files for which `selection.takes(path within the source)`, which also counts the others,
- `read(photograph, max_bytes)`: the bytes of one of them, on any machine,
- `check(source, selection)`, if it can: the mistakes that show without any listing.
"""

import hashlib
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ced.core.images import MAX_BYTES
from ced.data.sources.photograph import FILES, Photograph, SourceKind, redacted, title
from ced.data.sources.selection import Selection
from ced.errors import InputError
from ced.registry import Registry

__all__ = ["KINDS", "Photograph", "SourceKind", "check", "content", "each", "find", "read", "redacted", "title"]

logger = logging.getLogger("ced")

_ROOM = "ced.data.sources"
KINDS: Registry[SourceKind] = Registry(
    "kind of source",
    {
        "builtin": f"{_ROOM}.files",
        "glob": f"{_ROOM}.folders",
        "archive": f"{_ROOM}.archives",
        "list": f"{_ROOM}.folders",
        FILES: f"{_ROOM}.folders",
    },
)


def find(
    sources: tuple[str, ...], pattern: str = "", cache: Path | None = None, quiet: bool = False
) -> list[Photograph]:
    """All photographs of the sources, in their order; identities are unique.

    A source is a folder, a file, an archive (.tar, .tar.gz, .tgz, .zip), a list of any of these (.txt), wildcards for
    them (photos/**/*.jpg), the address of any of these (s3://bucket/prefix) or `builtin:train`. Folders are sorted by
    name, archives and lists keep their own order. Of what is in a source `Selection` says which are its photographs;
    with a glob `pattern` they are those whose path within the source matches. What a source holds besides is logged in
    one line, unless `quiet`. Listings of archives are kept in `cache`, else as long as this process lives.
    Raises InputError for a source that is missing, broken, or holds nothing that is asked for.
    """
    return list(each(sources, pattern, cache, quiet))


def each(
    sources: tuple[str, ...], pattern: str = "", cache: Path | None = None, quiet: bool = False
) -> Iterator[Photograph]:
    """`find`, one after the other: for those who keep less of each, since there may be ten million."""
    names: set[str] = set()
    for source in _named(sources):
        if source.lower().startswith("file://"):
            source = unquote(urlsplit(source).path)
        selection = Selection(source, pattern)
        photographs = iter(_kind(source).find(source, selection, cache))
        first = next(photographs, None)
        if first is None:
            raise selection.nothing()
        if not quiet and (line := selection.passed()):
            logger.info(line)
        for photograph in itertools.chain((first,), photographs):
            name = photograph.name
            if name in names:
                name = next(n for k in range(2, len(names) + 3) if (n := f"{k}/{photograph.name}") not in names)
                photograph = photograph._replace(name=name)
            names.add(name)
            yield photograph


def check(sources: tuple[str, ...], pattern: str = "") -> None:
    """Find out in no time whether `find` has a chance; what lies on a server is found out there. Raises InputError."""
    for source in _named(sources):
        _kind(source).check(source, Selection(source, pattern))


def read(photograph: Photograph, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a photograph. Raises Rejected where it cannot be read or is larger than `max_bytes`."""
    return KINDS.get(photograph.kind).read(photograph, max_bytes)


def content(photographs: list[Photograph]) -> str:
    """A digest of the list: names, sizes and times of change, without looking at the files again."""
    digest = hashlib.sha256()
    for photograph in photographs:
        digest.update(f"{photograph.name}\0{photograph.stamp}\0{photograph.size}\0".encode())
    return digest.hexdigest()[:16]


def _named(sources: tuple[str, ...]) -> tuple[str, ...]:
    if not sources:
        raise InputError("no photographs given; name folders with --images")
    return sources


def _kind(source: str) -> SourceKind:
    """The kind of a source. Files and folders are what is of no other kind."""
    others = (KINDS.get(name) for name in KINDS.names if name != FILES)
    return next((kind for kind in others if kind.matches(source)), KINDS.get(FILES))
