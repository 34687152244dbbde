"""Photographs in a .tar, .tar.gz or .zip, read in place.

Its members are listed once, strictly: a damaged archive is refused, it is never a shorter listing. The listing, and the
seek index of a compressed tar, are kept, so that the next run need not read the archive again. The bytes of a member
are read in any process: archives are opened when first needed and kept open.
"""

import atexit
import functools
import gzip
import hashlib
import io
import logging
import os
import shutil
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ced.core.images import Rejected
from ced.data.sources import files, remote
from ced.data.sources.photograph import (
    FOLDER,
    Location,
    Photograph,
    SourceKind,
    check_size,
    is_uri,
    redacted,
    suffixed,
    tidy,
    title,
)
from ced.data.sources.selection import ARCHIVES, CLOSED_ARCHIVES, HEADER, ZIP, Selection, is_image, undecided
from ced.errors import InputError, OutputError
from ced.store import files as stored

logger = logging.getLogger("ced")

LISTING, INDEX = "listing.parquet", "index.gzidx"
KIND = "archive"

_EVERY = 5.0  # seconds between lines of progress

_SPACING = 4 << 20  # bytes of a tar between two places of a seek index
_PLACES = 4096  # of a seek index at most, 32 KiB each, in the memory of each worker
_OPEN = 4  # archives at a time, in a process
_AFAR, _CHUNK, _BLOCK = 8 << 20, 1 << 20, 1 << 13  # bytes read at once: from a server, of a stream, of headers
_SCHEMA = pa.schema([("name", pa.string()), ("size", pa.int64()), ("member", pa.int64()), ("image", pa.bool_())])
_NO_TAR = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError)
_BROKEN = (*_NO_TAR, zipfile.BadZipFile, NotImplementedError)

# A file of an archive: its name, its size in bytes (-1: none of its own in one piece, as a link or a sparse file has),
# where it is, as in `Photograph.member`, and whether its first bytes make it an image where its name does not say.
_Member = tuple[str, int, int, bool]


def matches(source: str) -> bool:
    """Whether a source is named as an archive, of a kind that can be read in place or not."""
    return suffixed(source, (*ARCHIVES, *CLOSED_ARCHIVES))


def find(source: str, selection: Selection, cache: Path | None = None) -> Iterable[Photograph]:
    """What is asked for in an archive, in its own order. Raises InputError for a damaged archive."""
    location = files.locate(source)
    if location.kind == FOLDER:  # that is named like one
        from ced.data.sources import folders

        return folders.find(source, selection, cache)
    if suffixed(source, CLOSED_ARCHIVES):
        raise InputError(f"{redacted(source)}: cannot be read in place; use .tar, .tar.gz or .zip, or unpack it")
    return members(source, location, title(source), "", selection, cache)


def members(
    source: str, location: Location, own: str, above: str, selection: Selection, cache: Path | None
) -> list[Photograph]:
    """What is asked for in the archive at `location`, called `source` in messages. Its members are chosen and named as
    below the folder `above` of a source whose own name is `own`. Raises InputError for a damaged archive."""
    path, stamp = location.path, location.stamp
    place = (cache or _temporary()) / hashlib.sha256(f"{redacted(path)}\0{stamp}".encode()).hexdigest()[:16]
    if not (place / LISTING).exists():
        _make(source, path, place)
    listing = pq.read_table(place / LISTING)
    if "image" not in listing.column_names:  # by a ced that went by suffixes alone
        if not selection.pattern and any(map(undecided, listing.column("name").to_pylist())):
            _make(source, path, place)
            listing = pq.read_table(place / LISTING)
        else:
            listing = listing.append_column("image", pa.repeat(pa.scalar(False), len(listing)))
    index = str((place / INDEX).resolve()) if (place / INDEX).exists() else ""
    listed = []
    for batch in listing.to_batches():
        columns = (column.to_pylist() for column in batch.select(_SCHEMA.names).columns)
        for name, size, member, image in zip(*columns, strict=True):
            if selection.takes(above + name, partial(bool, image)):
                listed.append(Photograph(f"{own}/{above}{name}", path, stamp, size, member, index, KIND))
    return listed


def _make(source: str, path: str, place: Path) -> None:
    """List an archive, and index it where it is compressed. The listing comes last: with it all is there."""
    stored.make_folder(place)
    logger.info("%s: listing its members, once", redacted(source))

    def work() -> pa.Table:
        with files.open_file(path) as opened:
            file = opened if isinstance(opened, io.BufferedReader) else io.BufferedReader(opened, _AFAR)
            members, compressed = _list(source, file, suffixed(path, ZIP))
            if compressed:
                _index(file, place / INDEX)
            return members

    members = remote.request(source, work)
    sink = pa.BufferOutputStream()
    pq.write_table(members, sink, compression="zstd")
    stored.write(place / LISTING, sink.getvalue().to_pybytes())


def _list(source: str, file: Any, zipped: bool) -> tuple[pa.Table, bool]:
    """All members but folders, and whether it is a compressed tar."""
    batches, rows, count, said = [], [], 0, time.monotonic()
    compressed = not zipped and file.read(2) == b"\x1f\x8b"
    file.seek(0)
    try:
        for member in _zipped(file, near=not is_uri(source)) if zipped else _tarred(file, compressed):
            rows.append(member)
            count += 1
            if len(rows) == 1 << 16:
                batches.append(_batch(rows))
                rows = []
            if time.monotonic() - said >= _EVERY:
                said = time.monotonic()
                logger.info("%s: %d members so far", redacted(source), count)
    except _BROKEN as error:
        why = "a failed download or no archive at all"
        raise InputError(f"{redacted(source)}: breaks after {count} members, {why}; fetch it again") from error
    return pa.Table.from_batches([*batches, _batch(rows)], _SCHEMA), compressed


def _batch(rows: list[_Member]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [()] * len(_SCHEMA)
    return pa.record_batch([pa.array(column, f.type) for column, f in zip(columns, _SCHEMA, strict=True)], _SCHEMA)


def _zipped(file: Any, near: bool) -> Iterator[_Member]:
    """What is in a member is looked at where that costs no request each: `near`.

    zipfile believes a directory that is damaged: here it must hold as many entries as are stated behind it."""
    with zipfile.ZipFile(file) as archive:
        file.seek(-len(archive.comment) - 22, os.SEEK_END)
        stated = int.from_bytes(file.read(22)[10:12], "little")
        if stated != 0xFFFF and stated != len(archive.infolist()) & 0xFFFF:  # 0xFFFF: stated elsewhere
            raise zipfile.BadZipFile("entries are missing")
        for number, info in enumerate(archive.infolist()):
            if not info.is_dir():
                name = tidy(info.filename)
                image = near and undecided(name) and is_image(_header(archive, info))
                yield (name, info.file_size, number, image)


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The first bytes of a member, none where it cannot be read."""
    try:
        with archive.open(info) as member:
            return member.read(HEADER)
    except (*_BROKEN, RuntimeError):  # also where it is encrypted
        return b""


def _tarred(file: Any, compressed: bool) -> Iterator[_Member]:
    """tarfile stops in silence at a header that is cut or damaged: here the end must be where it says it is."""
    if compressed:
        stream = _Forward(partial(gzip.GzipFile(fileobj=file).read1, _CHUNK), None)  # 1: all there is before a damage
    else:
        stream = _Forward(partial(file.read, _BLOCK), file.seek)
    with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
        while True:
            info = archive.next()
            if info is None:
                break
            archive.members.clear()  # it would keep them all
            if not info.isdir():
                whole = info.isreg() and not info.issparse()
                name = tidy(info.name)
                image = whole and undecided(name) and is_image(stream.header(info))
                yield (name, info.size if whole else -1, info.offset_data, image)
        if stream.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError("no end of archive")
    if compressed:
        stream.drain()  # as far as its checksum


class _Forward:
    """A stream for tarfile, never backwards: what is skipped in a compressed one is read in large pieces."""

    def __init__(self, read: Callable[[], bytes], jump: Callable[[int], int] | None):
        self._read, self._jump = read, jump
        self._buffer, self._start, self._at = b"", 0, 0
        self.last = b""  # what was read last

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> None:
        self._at = offset

    def read(self, size: int) -> bytes:
        pieces = []
        while size > 0 and self._fill():
            begin = self._at - self._start
            pieces.append(self._buffer[begin : begin + size])
            self._at += len(pieces[-1])
            size -= len(pieces[-1])
        self.last = b"".join(pieces)
        return self.last

    def header(self, member: tarfile.TarInfo) -> bytes:
        """The first bytes of a member whose header was read last; tarfile looks at nothing before its last byte."""
        self.seek(member.offset_data)
        return self.read(min(HEADER, member.size))

    def drain(self) -> None:
        while self._next():
            pass

    def _fill(self) -> bool:
        """Make the buffer hold the byte that is next, if there is one."""
        if self._at < self._start:
            raise tarfile.ReadError("a step back")
        if self._jump and self._at >= self._start + len(self._buffer):
            self._start, self._buffer = self._jump(self._at), b""
        while self._at >= self._start + len(self._buffer):
            if not self._next():
                return False
        return True

    def _next(self) -> bool:
        self._start += len(self._buffer)
        self._buffer = self._read()
        return bool(self._buffer)


def _index(file: Any, path: Path) -> None:
    """Write the seek index of a compressed tar whose stream is known to be whole."""
    import indexed_gzip

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with indexed_gzip.IndexedGzipFile(
        fileobj=file, spacing=max(_SPACING, size // _PLACES), readbuf_size=_CHUNK
    ) as stream:
        stream.build_full_index()
        try:
            stream.export_index(str(temporary))
        except OSError as error:
            raise OutputError(f"{path}: cannot be written; make room or name another store") from error
    temporary.replace(path)


@functools.cache
def _temporary() -> Path:
    """A folder that goes with this process, and not with one forked from it."""
    folder, process = tempfile.mkdtemp(prefix="ced-archives-"), os.getpid()

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)


def read(photograph: Photograph, max_bytes: int) -> bytes:
    """The bytes of one member. Raises Rejected, and InputError where its server does not answer."""
    check_size(photograph.size, max_bytes)

    def fetch() -> bytes:
        archive = _opened(photograph.path, photograph.stamp, photograph.index, os.getpid())
        if isinstance(archive, zipfile.ZipFile):
            return _unzipped(archive, photograph.member)
        if photograph.size < 0:
            raise Rejected("unreadable", "a link or a sparse file in a tar")
        return _piece(archive, photograph)

    data = remote.fetch(photograph.path, fetch)
    if len(data) < photograph.size:
        raise Rejected("truncated", f"{len(data)} of {photograph.size} bytes in the archive")
    return data


@functools.lru_cache(maxsize=_OPEN)
def _opened(path: str, stamp: str, index: str, process: int) -> Any:
    """The open archive. `process` is there for forks: two processes must not share a place in a file."""
    if files.stamp(path) != stamp:
        raise Rejected("unreadable", "the archive is gone or has changed since it was listed")
    file = files.open_file(path)
    try:
        if suffixed(path, ZIP):
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


def _check(source: str, selection: Selection) -> None:
    if not is_uri(source):
        files.existing(source)


ENTRIES = {KIND: SourceKind(matches, find, read, _check)}
