"""All photographs of all sources, and the bytes of each."""

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ced.core.images import MAX_BYTES
from ced.data.sources import archives, builtin, local, members, remote
from ced.data.sources.mounts import beside, root
from ced.data.sources.naming import Photograph, is_list, is_uri, kind, nothing, printable, tidy, title, wanted
from ced.errors import InputError

_NONE = "no photographs given; name folders with --images"


def find(sources: tuple[str, ...], pattern: str = "", cache: Path | None = None) -> list[Photograph]:
    """All photographs of the sources, in their order; identities are unique.

    A source is a folder, a file, a list of files (.txt), an archive (.tar, .tar.gz, .tgz, .zip), the address of any of
    these (s3://bucket/prefix) or `builtin:train`. Folders are sorted by name, archives and lists keep their own order.
    With a glob `pattern` those are taken whose path within the source matches; without one, all with the suffix of an
    image, and every file that is named. What is learnt of archives is kept in `cache`, else as long as this process.
    Raises InputError for a source that is missing, broken, or holds nothing that is asked for.
    """
    if not sources:
        raise InputError(_NONE)
    found: list[Photograph] = []
    known: set[str] = set()
    for source in sources:
        for photograph in _find(source, pattern, cache):
            name = photograph.name
            if name in known:
                name = next(n for k in range(2, len(known) + 3) if (n := f"{k}/{photograph.name}") not in known)
                photograph = photograph._replace(name=name)
            known.add(name)
            found.append(photograph)
    return found


def check(sources: tuple[str, ...], pattern: str = "") -> None:
    """Find out in no time whether `find` has a chance; what lies elsewhere is found out there. Raises InputError."""
    if not sources:
        raise InputError(_NONE)
    for source in sources:
        if source.startswith("builtin:"):
            builtin.find(source, pattern)
        elif not is_uri(source):
            local.look(source, pattern)


def read(photograph: Photograph, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a photograph. Raises Rejected where it cannot be read or is larger than `max_bytes`."""
    if photograph.member >= 0:
        return members.read(photograph, max_bytes)
    if is_uri(photograph.path):
        return remote.read(photograph.path, max_bytes)
    return local.read(photograph.path, max_bytes)


def content(photographs: list[Photograph]) -> str:
    """A digest of the list: names, sizes and times of change, without looking at the files again."""
    digest = hashlib.sha256()
    for photograph in photographs:
        digest.update(f"{photograph.name}\0{photograph.stamp}\0{photograph.size}\0".encode())
    return digest.hexdigest()[:16]


def _find(source: str, pattern: str, cache: Path | None) -> list[Photograph]:
    if source.startswith("builtin:"):
        return builtin.find(source, pattern)
    if source.lower().startswith("file://"):
        source = unquote(urlsplit(source).path)
    if is_uri(source):
        return _remote(source, pattern, cache)
    path = local.check(source)
    if path.is_dir():
        return local.folder(source, pattern)
    if kind(source):
        return archives.find(source, os.fspath(path), local.stamp(os.fspath(path))[0], pattern, cache)
    if is_list(source):
        return _listed(source, os.fspath(path), path.read_bytes(), pattern)
    return local.single(source, pattern)


def _remote(source: str, pattern: str, cache: Path | None) -> list[Photograph]:
    root(source)  # refuses what is no address
    facts = remote.look(source)
    if facts.kind == "folder":
        return remote.folder(source, pattern)
    if kind(source):
        return archives.find(source, source, facts.stamp, pattern, cache)
    if is_list(source):
        return _listed(source, source, remote.whole(source), pattern)
    if pattern and not wanted(title(source), pattern):
        raise nothing(source, 1, pattern)
    return [Photograph(title(source), source, facts.stamp, facts.size)]


def _listed(source: str, path: str, data: bytes, pattern: str) -> list[Photograph]:
    """The files that a list names, whatever their suffix unless a pattern says otherwise, in its order. A missing one
    is set aside when it is read."""
    lines = [line.rstrip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    named = [os.fsdecode(line) for line in lines if line.strip()]
    within = [(_within(line), line) for line in named]
    asked = [(name, line) for name, line in within if not pattern or wanted(name, pattern)]
    if not asked:
        raise nothing(source, len(named), pattern)
    own = title(source)
    places = [(f"{own}/{name}", _place(path, line)) for name, line in asked]
    far = [(name, place) for name, place in places if is_uri(place)]
    there = iter(remote.photographs([name for name, _ in far], [place for _, place in far]))
    return [next(there) if is_uri(place) else local.photograph(name, place) for name, place in places]


def _within(line: str) -> str:
    """The path of a listed file: as it is written, an address from its bucket on."""
    if not is_uri(line):
        return tidy(line)
    root(line)  # refuses what is no address
    parts = urlsplit(line)
    return tidy(printable(f"{parts.netloc.rpartition('@')[2]}/{unquote(parts.path)}"))


def _place(base: str, line: str) -> str:
    if line.lower().startswith("file://"):
        return unquote(urlsplit(line).path)
    if is_uri(line) or line.startswith("/"):
        return line
    if is_uri(base):
        return beside(base, line)
    return os.path.join(os.path.dirname(base), line)
