"""What a damaged JPEG lacks: how far its data reach, found out by what other data in their place would change.

libjpeg decodes nearly anything and Pillow passes none of its warnings on. Of data that end too early the rest of the
picture is gray. Whether anything is wrong shows while the picture is decoded, by which of its data are asked for
(`Watched`). Where it is, or the picture's end is missing, the picture is decoded again with noise after its data: where
it changes there were none. And once more with noise instead of their last bytes: where it does not change, they were
not needed, and something before them is wrong. What cannot be seen: values that are wrong and as long as the right
ones, anything but the last of several scans, arithmetic coding; and of pictures that have their end, anything in
several scans (progressive ones), or in more than CHECKED pixels.
"""

import io
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

CHECKED = 64_000_000  # decoding larger ones twice more would take too much of the time that decoding has

_START, _END = b"\xff\xd8", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in coded data: neither a stuffed byte, nor filling, nor a restart
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_SCAN, _INTERVAL, _SEQUENTIAL, _PROGRESSIVE = 0xDA, 0xDD, (0xC0, 0xC1), 0xC2
_LAST = 8  # bytes of coded data that a picture's last block is in
_NOISE = 48  # bytes for a block: noise takes as many as an average block of the file does, 10 to 20
_CELL = 8  # pixels
_AHEAD = 8  # bytes that libjpeg may read before it needs them


class Stream(NamedTuple):
    """Where the parts of a JPEG's first picture lie."""

    scans: tuple[tuple[int, int], ...]  # coded data, from and to; the first alone where it has all components
    whole: int  # where the last part ends that is all there
    ended: bool  # by its marker
    coding: int  # the second byte of the frame's marker
    blocks: int  # in a unit of coded data
    interval: int  # units between restarts, 0 without


def stream_of(data: bytes) -> Stream | None:
    """The parts of a JPEG; None for what is none, or ends before its first scan."""
    scans: list[tuple[int, int]] = []
    coding = interval = blocks = 0
    components = b""  # how many there are
    at = whole = len(_START)
    ended = False
    while data.startswith(_START) and (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        code = data[at + 1]
        if code == _END[1]:
            ended = True
            break
        if code in (0x00, 0x01, 0xFF) or 0xD0 <= code <= 0xD8:
            at += 1 if code == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 4:
            break
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            coding = code
            components = data[at + 9 : at + 10]
            blocks = sum((factors >> 4) * (factors & 15) for factors in data[at + 11 : end : 3])
        if code == _INTERVAL:
            interval = int.from_bytes(data[at + 4 : at + 6], "big")
        if code == _SCAN:
            start, marker = end, _MARKER.search(data, end)
            end = marker.start() if marker else len(data)
            scans.append((start, end))
            if coding in _SEQUENTIAL and data[at + 4 : at + 5] == components:  # the whole picture
                whole, ended = end, data[end : end + 2] == _END
                break
        at = whole = end
    return Stream(tuple(scans), whole, ended, coding, max(1, blocks), interval) if scans else None


def completed(data: bytes) -> bytes:
    """A JPEG whose picture ends too early, or in what is no JPEG, with an end: it is decoded as far as it goes."""
    stream = stream_of(data)
    return data if stream is None or stream.ended else data[: stream.whole] + _END


class Watched(io.BytesIO):
    """The file of a JPEG in one scan, read such that it shows whether its data are as many as its pixels need.

    The last bytes of the data are handed out by themselves: a picture that does without them had too many. So are a few
    bytes of noise after them, as many as libjpeg may read ahead: a picture whose last row is not made before it asks
    for more had too few.
    """

    def __init__(self, data: bytes, stream: Stream, image: Image.Image):
        start, end = stream.scans[-1]
        end = start + len(data[start:end].rstrip(b"\xff"))
        super().__init__(data[:end] + _noise(stream, 0, 0)[:_AHEAD] + data[end:])
        self._image, self._last, self._after = image, max(start, end - _LAST), end + _AHEAD
        self.too_many, self.too_few = True, False

    def read(self, size: int | None = -1) -> bytes:
        at = self.tell()
        if at == self._last:
            self.too_many = False
        if at == self._after:
            width, height = self._image.size
            self.too_few = self._image.im.crop((0, height - 1, width, height)).getbbox() is None
        stop = next((stop for stop in (self._last, self._after) if at < stop), None)
        return super().read(size if stop is None else stop - at if size is None or size < 0 else min(size, stop - at))


def watched(data: bytes, image: Image.Image) -> Watched | None:
    """The file of an opened JPEG that is to be decoded; None where nothing could be seen by it."""
    stream = stream_of(data)
    if stream is None or not stream.ended or stream.coding not in _SEQUENTIAL or len(stream.scans) > 1:
        return None
    return Watched(data, stream, image)


def found(data: bytes, image: Image.Image, decode: Callable[[bytes], np.ndarray | None], closely: bool = True) -> str:
    """What is wrong with a JPEG that was `completed` and decoded to `image`, in a clause; "" for what is whole or
    cannot be told. `decode` makes pixels of others, None where it cannot. Shape: (H, W) or (H, W, C) uint8.

    `closely`: also where the picture has its end; else nothing of such a picture is decoded again.
    """
    stream = stream_of(data)
    if stream is None or stream.coding not in (*_SEQUENTIAL, _PROGRESSIVE):
        return ""
    if stream.ended and image.width * image.height > CHECKED:
        return ""
    if not stream.ended and len(stream.scans) > 1:
        return "its last scans are missing: it has less detail than it had"
    start, end = stream.scans[-1]
    end = start + len(data[start:end].rstrip(b"\xff"))  # filling, or half of a stuffed byte
    turns = [match[1][0] & 7 for match in _RESTART.finditer(data, start, end)]
    ordered = turns == [number % 8 for number in range(len(turns))]
    disorder = "" if ordered else "its data are out of order: part of it may be wrong"
    if stream.ended and not closely:
        return disorder
    pixels = np.asarray(image)
    if missing := _missing(stream, data[:end], len(turns), pixels, decode):
        return missing
    if not stream.ended:
        return "its end is missing, but none of its pixels"
    if disorder or stream.coding == _PROGRESSIVE or len(stream.scans) > 1 or end - start < 2 * _LAST:
        return disorder
    return _surplus(stream, data[: end - _LAST], len(turns), pixels, decode)


def _missing(
    stream: Stream, data: bytes, turns: int, pixels: np.ndarray, decode: Callable[[bytes], np.ndarray | None]
) -> str:
    """What is missing of a picture behind the end of its data, found by noise there; "" for nothing."""
    if _same(pixels, decode(data + _noise(stream, turns, 1) + _END)):
        return ""
    if len(stream.scans) > 1:
        return "its last scan ends too early: it has less detail than it had"
    blocks = pixels.size // 32 + 64  # twice as many as there are in this picture
    share = _share(pixels, decode(data + _noise(stream, turns, blocks) + _END))
    return f"{'its data end too early: at least ' * stream.ended}{share} of it is missing"


def _surplus(
    stream: Stream, data: bytes, turns: int, pixels: np.ndarray, decode: Callable[[bytes], np.ndarray | None]
) -> str:
    """Whether a picture does without what comes behind these data, found by noise there; "" where it does not."""
    if pixels.min() == pixels.max():  # its codes may be such that whatever follows is nothing
        return ""
    for inverted in (False, True):  # one of them shows where the other is white on white
        if not _same(pixels, decode(data.rstrip(b"\xff") + _noise(stream, turns, 1, inverted) + _END)):
            return ""
    return "it has more data than its pixels need: part of it may be wrong"


def _noise(stream: Stream, turn: int, blocks: int, inverted: bool = False) -> bytes:
    """Coded data for so many blocks at least, the same every time; after `turn` restarts, if there are any."""
    values = np.random.default_rng(0).integers(0, 255, 1 << 12, np.uint8)  # without the first byte of a marker
    piece = (254 - values if inverted else values).tobytes()
    if not stream.interval:
        return piece * (1 + blocks * _NOISE // len(piece))
    unit = stream.interval * stream.blocks
    part = piece * (1 + unit * _NOISE // len(piece))
    return b"".join(part + bytes((0xFF, 0xD0 + (turn + number) % 8)) for number in range(1 + blocks // unit))


def _same(pixels: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and np.array_equal(pixels, other)


def _share(pixels: np.ndarray, other: np.ndarray | None) -> str:
    """The share of the blocks in which most pixels differ; of the pixels, where there are only parts of blocks."""
    if other is None:
        return "part"
    differ = pixels != other
    differ = differ.any(axis=2) if differ.ndim == 3 else differ
    padded = np.pad(differ, [(0, -side % _CELL) for side in differ.shape], "edge")
    height, width = padded.shape
    cells = padded.reshape(height // _CELL, _CELL, width // _CELL, _CELL).mean(axis=(1, 3))
    share = float((cells > 0.5).mean()) or float(differ.mean())
    return f"{100 * share:.2g} %" if share < 0.995 else "nearly all"
