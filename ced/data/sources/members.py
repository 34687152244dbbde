"""The bytes of one member of an archive, in any process: archives are opened when first needed and kept open."""

import functools
import os
import zipfile
import zlib
from typing import Any

from ced.core.images import Rejected
from ced.data.sources import answers, local, remote
from ced.data.sources.mounts import open_file
from ced.data.sources.naming import ZIP, Photograph, is_uri, kind

_KEPT = 4  # archives open at a time


def read(photograph: Photograph, max_bytes: int) -> bytes:
    """The member's bytes. Raises Rejected."""
    local.check_size(photograph.size, max_bytes)

    def fetch() -> bytes:
        archive = _opened(photograph.path, photograph.stamp, photograph.index, os.getpid())
        if isinstance(archive, zipfile.ZipFile):
            return _unzipped(archive, photograph.member)
        if photograph.size < 0:
            raise Rejected("unreadable", "a link or a sparse file in a tar")
        return _piece(archive, photograph)

    data = answers.read(photograph.path, fetch)
    if len(data) < photograph.size:
        raise Rejected("truncated", f"{len(data)} of {photograph.size} bytes in the archive")
    return data


@functools.lru_cache(maxsize=_KEPT)
def _opened(path: str, stamp: str, index: str, process: int) -> Any:
    """The open archive. `process` is there for forks: two processes must not share a place in a file."""
    now = remote.stamp(path) if is_uri(path) else local.stamp(path)[0]
    if now != stamp:
        raise Rejected("unreadable", "the archive is gone or has changed since it was listed")
    file = open_file(path)
    try:
        if kind(path) == ZIP:
            return zipfile.ZipFile(file)
        if index:
            import indexed_gzip

            return indexed_gzip.IndexedGzipFile(fileobj=file, index_file=index)
    except zipfile.BadZipFile as error:
        raise Rejected("damaged", "its archive cannot be opened") from error
    return file


def _piece(file: Any, photograph: Photograph) -> bytes:
    """Bytes at a place, without moving the file's own."""
    if photograph.index:
        return bytes(file.pread(photograph.size, photograph.member))
    if is_uri(photograph.path):
        return bytes(file.read_at(photograph.size, photograph.member))
    return os.pread(file.fileno(), photograph.size, photograph.member)


def _unzipped(archive: zipfile.ZipFile, number: int) -> bytes:
    info = archive.infolist()[number]
    if info.flag_bits & 1:
        raise Rejected("unreadable", "encrypted")
    try:
        return archive.read(info)
    except NotImplementedError as error:
        raise Rejected("unreadable", f"compression method {info.compress_type} of zip is not known") from error
    except EOFError as error:
        raise Rejected("truncated", "ends early in the archive") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise Rejected("damaged", "its checksum in the archive is wrong") from error
