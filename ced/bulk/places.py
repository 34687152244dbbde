"""Where restored files go: a folder of this machine, or an address such as s3://bucket/prefix.

Names are relative, with slashes. A file is there whole or not at all.
"""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ced.core.images import Rejected
from ced.data.sources import remote
from ced.data.sources.photograph import is_uri
from ced.errors import OutputError
from ced.store import files
from ced.store.outputs import sha256, write_bytes

_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")  # `ced.store.files.write`'s
_Answer = TypeVar("_Answer")

# What is wrong with one name and with no other: too long for the disk, a folder where the file goes, and the reverse.
_OF_THE_NAME = frozenset((errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ))


class Place(Protocol):
    """A folder of outputs."""

    def size(self, name: str) -> int | None:
        """Bytes of what is at a name, None where nothing is."""

    def holds(self, name: str, size: int, digest: str) -> bool:
        """Whether a file with this SHA-256 is there. By address its size is looked at alone."""

    def read(self, name: str) -> bytes:
        """All of a file."""

    def write(self, name: str, data: bytes) -> None:
        """Publish a file. Raises Rejected where it cannot have this name, OutputError where nothing can be written."""

    def append(self, name: str, lines: list[str]) -> None:
        """Let the lines of a file, the last of which is new, be on the disk."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def tidy(self) -> None:
        """Remove what processes that were killed have left under temporary names."""

    def names(self, below: str) -> list[str]:
        """The files in a folder, hidden ones too, sorted; none where there is no folder."""


class Folder:
    """A folder of this machine, or of a file system that all machines of a cluster share."""

    def __init__(self, root: Path):
        self.root = root

    def size(self, name: str) -> int | None:
        try:
            return os.lstat(self.root / name).st_size
        except (OSError, ValueError):
            return None

    def holds(self, name: str, size: int, digest: str) -> bool:
        try:
            return self.size(name) == size and sha256(self.root / name) == digest
        except OSError:
            return False

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        try:
            write_bytes(self.root / name, data)
        except OutputError as error:
            of_system = error.__context__
            if isinstance(of_system, OSError) and of_system.errno in _OF_THE_NAME:
                raise Rejected("unwritable", f"{name}: {of_system.strerror}") from None
            raise

    def append(self, name: str, lines: list[str]) -> None:
        files.make_folder((self.root / name).parent)
        files.append(self.root / name, lines[-1])

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        for path in self.root.rglob(".*.tmp"):
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def names(self, below: str) -> list[str]:
        folder = self.root / below
        return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


class Address:
    """A prefix of an object store."""

    def __init__(self, uri: str, surveyed: bool = False):
        self.uri = uri
        self._files, self._top = remote.file_system(uri)
        self._surveyed = {info.path: int(info.size) for info in self._below("", True)} if surveyed else None

    def size(self, name: str) -> int | None:
        if self._surveyed is not None:
            return self._surveyed.get(self._path(name))
        return self._size_now(name)

    def _size_now(self, name: str) -> int | None:
        from pyarrow.fs import FileType

        info = self._asked(lambda: self._files.get_file_info(self._path(name)))
        return None if info.type == FileType.NotFound else int(info.size or 0)

    def holds(self, name: str, size: int, digest: str) -> bool:
        return self.size(name) == size

    def read(self, name: str) -> bytes:
        with self._files.open_input_file(self._path(name)) as file:
            return bytes(file.read())

    def write(self, name: str, data: bytes) -> None:
        def put() -> None:
            with self._files.open_output_stream(self._path(name)) as stream:
                stream.write(data)

        self._asked(put)

    def append(self, name: str, lines: list[str]) -> None:
        self.write(name, "".join(f"{line}\n" for line in lines).encode())

    def remove(self, name: str) -> None:
        if self._size_now(name) is None:
            return
        try:
            self._files.delete_file(self._path(name))
        except OSError as error:  # pyarrow marks the folder afterwards, as an empty one; some servers refuse that
            if self._size_now(name) is not None:
                raise remote.unwritable(self.uri, error) from None

    def tidy(self) -> None:
        """An upload that ends early leaves nothing."""

    def names(self, below: str) -> list[str]:
        return sorted(info.base_name for info in self._below(below))

    def _below(self, name: str, recursive: bool = False) -> list[Any]:
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._path(name), allow_not_found=True, recursive=recursive)
        infos = self._asked(lambda: self._files.get_file_info(selector))
        return [info for info in infos if info.type == FileType.File]

    def _path(self, name: str) -> str:
        return f"{self._top}/{name}".rstrip("/")

    def _asked(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except OSError as error:
            raise remote.unwritable(self.uri, error) from None


def place(out: str, surveyed: bool = False) -> Place:
    """The place that `out`, an absolute path or an address, names. Raises InputError for what is no address.

    `surveyed`: what is there is listed now, once, for who asks about each of many names.
    """
    return Address(out, surveyed) if is_uri(out) else Folder(Path(out))
