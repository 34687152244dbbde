"""Addresses, and the file systems behind them: pyarrow's, or else fsspec's."""

import functools
import os
import posixpath
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ced.data.sources.naming import is_uri, shown
from ced.errors import InputError, first_line

_WEB = ("http", "https")  # their paths are whole addresses
_BUCKETS = ("s3", "gs", "gcs")
# For a first answer: a server that accepts and then says nothing is given up after ten seconds.
_BRISK: dict[str, dict[str, object]] = {
    "s3": {"connect_timeout": 3.0, "request_timeout": 3.0},
    "gcs": {"retry_time_limit": timedelta(seconds=9)},
}


class Mount(NamedTuple):
    """A file system, and what stands before the path of an address on it."""

    files: Any  # pyarrow.fs.FileSystem
    before: str


def open_file(path: str) -> Any:
    """A local file or one by address, for reading at any place. Raises OSError, and InputError for an address."""
    if not is_uri(path):
        return open(path, "rb")
    mount, inside = locate(path)
    return mount.files.open_input_file(inside)


def locate(uri: str, brisk: bool = False) -> tuple[Mount, str]:
    """The file system of an address and its path there. Raises InputError."""
    parts = urlsplit(uri)
    mount = _mount(root(uri), brisk, os.getpid())
    return mount, uri if parts.scheme in _WEB else mount.before + unquote(parts.path).rstrip("/")


def address(near: str, path: str) -> str:
    """The address of a path of the file system of another address."""
    parts = urlsplit(near)
    if parts.scheme in _WEB:
        return path
    return parts._replace(path=quote(path.removeprefix(locate(near)[0].before))).geturl()


def beside(uri: str, path: str) -> str:
    """The address of a file that is named relative to the folder of another."""
    parts = urlsplit(uri)
    place = posixpath.join(posixpath.dirname(parts.path) or "/", quote(os.fsencode(path)))
    return parts._replace(path=posixpath.normpath(place)).geturl()


def root(uri: str) -> str:
    """What all addresses of one file system have in common. Raises InputError where that cannot be."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InputError(f"{uri.partition(':')[0]}://...: not an address; write it as s3://bucket/prefix") from None
    if parts.scheme in _BUCKETS and not parts.netloc:
        raise InputError(f"{parts.scheme}://: names no bucket; write it as {parts.scheme}://bucket/prefix")
    return parts._replace(path="", **({"query": ""} if parts.scheme in _WEB else {})).geturl()


@functools.lru_cache(maxsize=16)
def _mount(root: str, brisk: bool, process: int) -> Mount:
    """`process` is there for forks: connections are not shared."""
    from pyarrow.fs import FileSystem

    try:
        files, before = FileSystem.from_uri(root)
    except ValueError as error:
        if "Unrecognized filesystem type" in str(error):
            return _fsspec(root)
        raise InputError(f"{shown(root)}: not an address; write it as s3://bucket/prefix") from None
    if brisk and files.type_name in _BRISK:
        make, (options, *rest) = files.__reduce__()
        files = make({**options, **_BRISK[files.type_name]}, *rest)
    return Mount(files, before.rstrip("/"))


def _fsspec(root: str) -> Mount:
    import fsspec
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    try:
        files, before = fsspec.core.url_to_fs(root)
    except ImportError as error:
        raise InputError(f"{shown(root)}: needs another package ({first_line(error)})") from None
    except ValueError:
        raise InputError(f"{shown(root)}: unknown kind of address; use s3://, gs://, https:// or a path") from None
    return Mount(PyFileSystem(FSSpecHandler(files)), before.rstrip("/"))
