"""Files on S3 and every other file system that has an address: pyarrow's file systems, or else fsspec's.

What servers answer, or fail to answer, becomes one line without the server's address, the same on every machine.
"""

import errno
import functools
import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ced.core.images import Rejected
from ced.data.sources.photograph import (
    FILE,
    FOLDER,
    Location,
    Photograph,
    check_size,
    redacted,
    tidy,
)
from ced.errors import InputError, OutputError, first_line
from ced.timeouts import ANSWER_TIMEOUT, NoAnswer, call_in_time

_AT_ONCE = 1000  # files asked about in one call
_WEB = ("http", "https")  # their paths are whole addresses
_BUCKETS = ("s3", "gs", "gcs")
# For a first answer: a server that accepts and then says nothing is given up after ten seconds.
_BRISK: dict[str, dict[str, object]] = {
    "s3": {"connect_timeout": 3.0, "request_timeout": 3.0},
    "gcs": {"retry_time_limit": timedelta(seconds=9)},
}
_REFUSED = ("access denied", "signature does not match", "invalid access key id", "invalid signature", "forbidden")
_MISSING = ("no such bucket", "no such key", "resource not found")
_Answer = TypeVar("_Answer")


def locate(source: str) -> Location:
    """What is there. Raises InputError: nothing, or a server that does not answer or refuses."""
    root(source)  # refuses what is no address
    location = request_in_time(source, lambda: _locations([source], brisk=True)[0])
    if not location.kind:
        raise _missing(source)
    return location


def below(source: str) -> list[Photograph]:
    """All files below a prefix, each named by its path there. Raises InputError."""
    infos = request(source, functools.partial(_below, source))
    top = _mounted(source)[1]
    return [
        Photograph(tidy(_inside(info.path, top)), _address(source, info.path), _stamp(info), _size(info))
        for info in infos
    ]


def locations(uris: list[str]) -> list[Location]:
    """What is there at addresses, or nothing. Raises InputError where a server does not answer or refuses."""
    groups: dict[str, list[str]] = {}
    for uri in uris:
        groups.setdefault(root(uri), []).append(uri)
    known: dict[str, Location] = {}
    for group in groups.values():
        request_in_time(group[0], functools.partial(_locations, group[:1], brisk=True))
        for start in range(0, len(group), _AT_ONCE):
            batch = group[start : start + _AT_ONCE]
            known.update(zip(batch, request(batch[0], functools.partial(_locations, batch)), strict=True))
    return [known[uri] for uri in uris]


def stamp(uri: str) -> str:
    """The stamp of a file as it is now. Raises Rejected."""
    return fetch(uri, lambda: _locations([uri])[0].stamp)


def read_source(source: str) -> bytes:
    """All of a file that the user named as a source. Raises InputError."""

    def work() -> bytes:
        with open_file(source) as file:
            return bytes(file.read())

    return request(source, work)


def read(uri: str, max_bytes: int) -> bytes:
    """The bytes of a photograph. Raises Rejected, and InputError where its server does not answer."""

    def work() -> bytes:
        with open_file(uri) as file:
            check_size(file.size(), max_bytes)
            return bytes(file.read())

    return fetch(uri, work)


def open_file(uri: str) -> Any:
    """A file by address, for reading at any place. Raises OSError and InputError."""
    files, inside = _mounted(uri)
    return files.open_input_file(inside)


def file_system(uri: str) -> tuple[Any, str]:
    """The file system of an address (of pyarrow) and its path there, for those who write. Raises InputError."""
    return _mounted(uri)


def unwritable(source: str, error: Exception) -> OutputError:
    """What a server answers to those who write, as a mistake of the user's."""
    return OutputError(f"{redacted(source)}: cannot be written ({_clause(error)}); check the address and the keys")


def root(uri: str) -> str:
    """What all addresses of one file system have in common. Raises InputError where that cannot be."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InputError(f"{uri.partition(':')[0]}://...: not an address; write it as s3://bucket/prefix") from None
    if parts.scheme in _BUCKETS and not parts.netloc:
        raise InputError(f"{parts.scheme}://: names no bucket; write it as {parts.scheme}://bucket/prefix")
    return parts._replace(path="", **({"query": ""} if parts.scheme in _WEB else {})).geturl()


def request_in_time(source: str, call: Callable[[], _Answer]) -> _Answer:
    """`request` for the first answer of a server, waited for no longer than ANSWER_TIMEOUT. Raises InputError."""
    try:
        return call_in_time(lambda: request(source, call), ANSWER_TIMEOUT)
    except NoAnswer:
        raise _no_answer(source) from None


def request(source: str, call: Callable[[], _Answer]) -> _Answer:
    """What a server answers about a source that the user named. Raises InputError for whatever goes wrong."""
    try:
        return call()
    except (OSError, ValueError) as error:
        clause = _clause(error)
        if _is_down(error):
            raise _no_answer(source) from None
        if clause in _REFUSED or isinstance(error, PermissionError):
            raise InputError(f"{redacted(source)}: refused ({clause}); check the keys and permissions") from None
        if clause in _MISSING or isinstance(error, FileNotFoundError):
            raise _missing(source) from None
        raise InputError(f"{redacted(source)}: cannot be read ({clause}); check the address") from None


def fetch(path: str, call: Callable[[], _Answer]) -> _Answer:
    """What `call` reads of a photograph. One that cannot be read is set aside: Rejected. A server that is down sets
    nothing aside, it ends the work: InputError."""
    try:
        return call()
    except OSError as error:
        if _is_down(error):
            raise _no_answer(path) from error
        raise Rejected("unreadable", _clause(error)) from error


def _missing(source: str) -> InputError:
    return InputError(f"{redacted(source)}: no such bucket, folder or file; check the address")


def _no_answer(source: str) -> InputError:
    return InputError(f"{redacted(source)}: the server does not answer; check the address and the network")


def _is_down(error: Exception) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or "network connection" in _clause(error)


def _clause(error: Exception) -> str:
    code = re.search(r"AWS Error ([A-Z_]+)", str(error))
    if code:
        return code[1].replace("_", " ").lower()
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__


def _below(source: str) -> list[Any]:
    from pyarrow.fs import FileSelector, FileType

    files, path = _mounted(source)
    infos = files.get_file_info(FileSelector(path, recursive=True))
    return [info for info in infos if info.type == FileType.File]


def _inside(path: str, top: str) -> str:
    """The path within a prefix. Of the web, where paths are addresses: without query and escapes."""
    inside = path.removeprefix(top)
    return unquote(inside.partition("?")[0]) if "://" in top else inside


def _locations(uris: list[str], brisk: bool = False) -> list[Location]:
    """What there is at addresses of one file system."""
    from pyarrow.fs import FileType

    kinds = {FileType.File: FILE, FileType.Directory: FOLDER}
    mounted = [_mounted(uri, brisk) for uri in uris]
    infos = mounted[0][0].get_file_info([path for _, path in mounted])
    return [
        Location(uri, kinds.get(info.type, ""), _stamp(info), _size(info))
        for uri, info in zip(uris, infos, strict=True)
    ]


def _stamp(info: Any) -> str:
    return f"{_size(info)} {info.mtime_ns or 0}"


def _size(info: Any) -> int:
    return -1 if info.size is None else int(info.size)


def _mounted(uri: str, brisk: bool = False) -> tuple[Any, str]:
    """The file system of an address (of pyarrow) and its path there. Raises InputError."""
    parts = urlsplit(uri)
    files, before = _mount(root(uri), brisk, os.getpid())
    return files, uri if parts.scheme in _WEB else before + unquote(parts.path).rstrip("/")


def _address(near: str, path: str) -> str:
    """The address of a path of the file system of another address."""
    parts = urlsplit(near)
    if parts.scheme in _WEB:
        return path
    return parts._replace(path=quote(path.removeprefix(_mount(root(near), False, os.getpid())[1]))).geturl()


@functools.lru_cache(maxsize=16)
def _mount(root: str, brisk: bool, process: int) -> tuple[Any, str]:
    """A file system of pyarrow, and what stands before the path of an address on it. `process` is there for forks:
    connections are not shared."""
    from pyarrow.fs import FileSystem

    try:
        files, before = FileSystem.from_uri(root)
    except ValueError as error:
        if "Unrecognized filesystem type" in str(error):
            return _fsspec(root)
        raise InputError(f"{redacted(root)}: not an address; write it as s3://bucket/prefix") from None
    if brisk and files.type_name in _BRISK:
        make, (options, *rest) = files.__reduce__()
        files = make({**options, **_BRISK[files.type_name]}, *rest)
    return files, before.rstrip("/")


def _fsspec(root: str) -> tuple[Any, str]:
    import fsspec
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    try:
        files, before = fsspec.core.url_to_fs(root)
    except ImportError as error:
        raise InputError(f"{redacted(root)}: needs another package ({first_line(error)})") from None
    except ValueError:
        raise InputError(f"{redacted(root)}: unknown kind of address; use s3://, gs://, https:// or a path") from None
    return PyFileSystem(FSSpecHandler(files)), before.rstrip("/")
