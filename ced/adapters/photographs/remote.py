"""Files on S3 and every other file system of pyarrow, or else of fsspec."""

import functools
import os
import posixpath
import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ced.adapters.photographs.local import check_size
from ced.adapters.photographs.naming import Photograph, is_uri, nothing, shown, tidy, title, wanted
from ced.core.images import Rejected
from ced.errors import InputError

PATIENCE = 12.0  # seconds until a first answer

_AT_ONCE = 1000  # files asked about in one call
_WEB = ("http", "https")  # their paths are whole addresses
_REFUSED = ("access denied", "signature does not match", "invalid access key id", "invalid signature", "forbidden")
_MISSING = ("no such bucket", "no such key", "resource not found")
_Answer = TypeVar("_Answer")


class Mount(NamedTuple):
    """A file system, and what stands before a path of an address on it."""

    files: Any  # pyarrow.fs.FileSystem
    before: str


class Facts(NamedTuple):
    """What a file system tells of a path."""

    uri: str
    kind: str  # "file", "folder" or "" for nothing there
    stamp: str
    size: int


def look(source: str) -> Facts:
    """What is there. Raises InputError: nothing, or a server that does not answer or refuses."""
    facts = _answer(source, lambda: _facts(source, [source])[0])
    if not facts.kind:
        raise InputError(f"{shown(source)}: no such bucket, folder or file; check the address")
    return facts


def folder(source: str, pattern: str) -> list[Photograph]:
    """What is asked for below a prefix, sorted by name. Raises InputError."""
    from pyarrow.fs import FileSelector, FileType

    def select() -> list[Any]:
        mount, path = _path(source)
        return [i for i in mount.files.get_file_info(FileSelector(path, recursive=True)) if i.type == FileType.File]

    infos = _guarded(source, select)
    top = _path(source)[1].rstrip("/")
    found = []
    for info in infos:
        within = tidy(info.path.removeprefix(top))
        if wanted(within, pattern):
            uri = _uri(source, info.path)
            found.append(Photograph(f"{title(source)}/{within}", uri, _stamp(info), _size(info)))
    if not found:
        raise nothing(source, len(infos), pattern)
    return sorted(found)


def photographs(names: list[str], uris: list[str]) -> list[Photograph]:
    """Files by address, there or not. Raises InputError where a server does not answer or refuses."""
    groups: dict[str, list[str]] = {}
    for uri in uris:
        groups.setdefault(_root(uri), []).append(uri)
    known = {}
    for group in groups.values():
        _answer(group[0], functools.partial(_facts, group[0], group[:1]))
        for start in range(0, len(group), _AT_ONCE):
            batch = group[start : start + _AT_ONCE]
            known.update({f.uri: f for f in _guarded(batch[0], functools.partial(_facts, batch[0], batch))})
    return [Photograph(name, uri, known[uri].stamp, known[uri].size) for name, uri in zip(names, uris, strict=True)]


def open_file(path: str) -> Any:
    """A local file or one by address, for reading at any place. Raises OSError, and InputError for an address."""
    if not is_uri(path):
        return open(path, "rb")
    mount, inside = _path(path)
    return mount.files.open_input_file(inside)


def stamp(uri: str) -> str:
    """The stamp of a file as it is now."""
    return guarded_read(uri, lambda: _facts(uri, [uri])[0].stamp)


def fetch(source: str) -> bytes:
    """The whole of a file of the user's own. Raises InputError."""

    def ask() -> bytes:
        with open_file(source) as file:
            return bytes(file.read())

    return _guarded(source, ask)


def read(uri: str, max_bytes: int) -> bytes:
    """The bytes of a file. Raises Rejected, and InputError where its server does not answer."""

    def fetch() -> bytes:
        with open_file(uri) as file:
            check_size(file.size(), max_bytes)
            return bytes(file.read())

    return guarded_read(uri, fetch)


def guarded_read(path: str, fetch: Callable[[], _Answer]) -> _Answer:
    """What `fetch` reads. A file that cannot be read is set aside; a server that is down ends the work."""
    try:
        return fetch()
    except OSError as error:
        clause = _clause(error)
        if "network" in clause or isinstance(error, ConnectionError | TimeoutError):
            raise InputError(f"{shown(path)}: the server does not answer; start again when it does") from error
        raise Rejected("unreadable", clause) from error


def joined(base: str, path: str) -> str:
    """The address of a file named relative to the folder of another."""
    parts = urlsplit(base)
    place = posixpath.join(posixpath.dirname(parts.path) or "/", quote(os.fsencode(path)))
    return parts._replace(path=posixpath.normpath(place)).geturl()


@functools.lru_cache(maxsize=8)
def _mount(root: str, process: int) -> Mount:
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        files, before = FileSystem.from_uri(root)
        return Mount(files, before.rstrip("/"))
    except ValueError as error:
        if "Unrecognized filesystem type" not in str(error):
            raise InputError(f"{shown(root)}: not an address; write it as s3://bucket/prefix") from None
    import fsspec

    try:
        files, before = fsspec.core.url_to_fs(root)
    except ImportError as error:
        raise InputError(f"{shown(root)}: needs the package {error.name}; install it") from None
    except ValueError:
        raise InputError(f"{shown(root)}: unknown kind of address; use s3://, gs://, https:// or a path") from None
    return Mount(PyFileSystem(FSSpecHandler(files)), before.rstrip("/"))


def _root(uri: str) -> str:
    parts = urlsplit(uri)
    return uri if parts.scheme in _WEB else parts._replace(path="").geturl()


def _path(uri: str) -> tuple[Mount, str]:
    parts = urlsplit(uri)
    if parts.scheme in _WEB:
        return _mount(f"{parts.scheme}://{parts.netloc}", os.getpid()), uri
    mount = _mount(_root(uri), os.getpid())
    return mount, mount.before + unquote(parts.path).rstrip("/")


def _uri(source: str, path: str) -> str:
    """The address of a path of the same file system."""
    parts = urlsplit(source)
    if parts.scheme in _WEB:
        return path
    return parts._replace(path=quote(path.removeprefix(_path(source)[0].before))).geturl()


def _facts(source: str, uris: list[str]) -> list[Facts]:
    from pyarrow.fs import FileType

    paths = [_path(uri) for uri in uris]
    infos = paths[0][0].files.get_file_info([path for _, path in paths])
    kinds = {FileType.File: "file", FileType.Directory: "folder"}
    return [
        Facts(uri, kinds.get(info.type, ""), _stamp(info), _size(info)) for uri, info in zip(uris, infos, strict=True)
    ]


def _stamp(info: Any) -> str:
    return f"{_size(info)} {info.mtime_ns or 0}"


def _size(info: Any) -> int:
    return -1 if info.size is None else int(info.size)


def _answer(source: str, ask: Callable[[], _Answer]) -> _Answer:
    """A first answer of a server, waited for no longer than PATIENCE. Raises InputError."""
    answers: list[_Answer] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(_guarded(source, ask))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if errors:
        raise errors[0]
    if not answers:
        raise InputError(f"{shown(source)}: the server does not answer; check the address and the network")
    return answers[0]


def _guarded(source: str, ask: Callable[[], _Answer]) -> _Answer:
    try:
        return ask()
    except (OSError, ValueError) as error:
        clause = _clause(error)
        if clause in _REFUSED:
            raise InputError(f"{shown(source)}: refused ({clause}); check the keys and permissions") from None
        if clause in _MISSING or isinstance(error, FileNotFoundError):
            raise InputError(f"{shown(source)}: no such bucket, folder or file; check the address") from None
        raise InputError(f"{shown(source)}: cannot be read ({clause}); check the address and the network") from None


def _clause(error: Exception) -> str:
    """What went wrong, without address: the same on every machine."""
    code = re.search(r"AWS Error ([A-Z_]+)", str(error))
    if code:
        return code[1].replace("_", " ").lower()
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
