"""Photographs decoded within a time limit, whatever their decoder does: hang, crash, take all memory.

- `guarded`, for tasks that are begun again where their process ends (Ray's): in this process, which ends where the
  limit is passed; that costs nothing. The next attempt is isolated, and the photograph set aside.
- `Decoder`, for a process that must go on (`ced restore`, a served model): in a process of its own.
"""

import contextlib
import functools
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, Self, TypeVar

import numpy as np
from PIL import Image

from ced.core import damage, images, jpeg
from ced.core.images import FORMATS, MAX_PIXELS, SECONDS, Rejected
from ced.core.metadata import MOST, NOTHING, Metadata, read
from ced.isolation import Crashed, TooSlow, ends_after, run_isolated

T = TypeVar("T")

GRID = 8  # pixels that the sides of an image are padded to, by JPEG and by what restores
_MEMORY, _MEMORY_PER_PIXEL = 1 << 30, 48  # bytes that decoding an image may take: JPEG 2000 takes 40 a pixel
_IPTC = 0x0404  # among Photoshop's parts of a JPEG; Pillow writes none of them
_LONGEST = 500  # characters of a note
_GRACE = 1.0  # seconds that the process may take to end itself
_NAMES = {*FORMATS, *jpeg.NAMES}  # of the formats that an image may have
_CHILD = "import sys; sys.path[:] = {path!r}; from ced import decoding; decoding.serve()"


class Decoded(NamedTuple):
    """A photograph as restorers take it."""

    pixels: np.ndarray  # (H, W) or (H, W, 3) uint8, upright; gray is gray, also where the file has three equal channels
    quality: int | None = None  # factor of a JPEG, by the table of its luma
    icc_profile: bytes | None = None  # one that is for such pixels, or for three equal channels
    alpha: np.ndarray | None = None  # (H, W) uint8
    chroma_quality: int | None = None  # factor of a JPEG in colour, by the tables of its chroma
    format: str = ""  # Pillow's name of the file's
    metadata: Metadata = NOTHING
    damage: str = ""  # what is wrong with the file, in a clause
    lost: str = ""  # what the pixels have no more of it, in clauses


def decoded(
    data: bytes,
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] = FORMATS,
    stated: Callable[[int], None] = lambda pixels: None,
    damaged: bool = False,
) -> Decoded:
    """A photograph, decoded in this process. Raises Rejected.

    `stated` is told the pixels that the header states, before they are decoded. `damaged`: a JPEG that ends too early
    is decoded as far as it goes.
    """
    whole = damage.completed(data) if damaged else data
    with images.opened(whole, max_pixels, formats) as image:
        images.check_size(image.width, image.height, max_pixels, GRID)
        stated(image.width * image.height)
        quality, chroma = jpeg.quality_of_opened(image), jpeg.chroma_quality_of_opened(image)
        lost = _lost(image)
        harm = _loaded(data, image, max_pixels)
        said = read(image)
        plain = images.plain(images.upright(image))
        return Decoded(
            plain.pixels,
            quality,
            plain.icc_profile,
            plain.alpha,
            chroma if plain.pixels.ndim == 3 else None,
            image.format or "",
            said,
            harm,
            "; ".join(filter(None, (*lost, plain.lost))),
        )


def _lost(image: Image.Image) -> list[str]:
    """What an opened image has that is not taken along."""
    rows = [tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3] for tile in getattr(image, "tile", [])]
    deep = image.mode in ("I", "F") or any(";16" in str(row) for row in (image.mode, *rows))
    lost = ["more than 8 bits a sample became 8"] if deep else []
    pictures = getattr(image, "n_frames", 1)
    lost += [f"the first of its {pictures} pictures alone"] if pictures > 1 else []
    return lost + (["its IPTC block is left out"] if _IPTC in image.info.get("photoshop", ()) else [])


def _loaded(data: bytes, image: Image.Image, max_pixels: int) -> str:
    """Decode an opened image; what is wrong with a JPEG, as far as it can be told in this much memory."""
    watched = damage.watched(data, image) if image.format in jpeg.NAMES else None
    if watched is None:
        image.load()
    else:
        image.fp = watched  # type: ignore[attr-defined]
        image.load()
        if watched.too_few:  # the end of the picture is noise now
            with images.opened(data, max_pixels, jpeg.NAMES[:1]) as again:
                image.paste(again)
    if image.format not in jpeg.NAMES:
        return ""
    closely = watched is not None and (watched.too_few or watched.too_many)
    with contextlib.suppress(Rejected):
        return damage.found(data, image, functools.partial(_decoded_again, max_pixels=max_pixels), closely)
    return ""


def _decoded_again(stream: bytes, max_pixels: int) -> np.ndarray | None:
    try:
        with images.opened(stream, max_pixels, jpeg.NAMES[:1]) as image:
            return np.asarray(image)
    except Rejected as error:
        if error.reason == "too large":
            raise
        return None


def guarded(work: Callable[[], T], again: bool, seconds: float = SECONDS) -> T:
    """`work()`, which decodes one photograph. Raises Rejected.

    Where it takes too long this process ends, unless it has done so before: `again`. Then the work is done by a fork;
    twice where that crashes, since the first time may have been for want of memory.
    """
    if not again:
        with ends_after(seconds):
            return work()
    try:
        try:
            return run_isolated(work, seconds)
        except TooSlow as error:
            raise _too_slow(seconds) from error
        except Crashed:
            return run_isolated(work, seconds)
    except Crashed as error:
        raise _crashed(error.how) from error


class Decoder:
    """A process that decodes one photograph after the other, and is replaced where it ends.

    It holds no secrets and its answers are plain data; what it says is checked. Threads may share it.
    """

    def __init__(self, seconds: float = SECONDS):
        self.seconds = seconds
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the process now: it is ready in a fifth of a second."""
        with self._turn:
            self._running()
        return self

    def decode(
        self, data: bytes, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] = FORMATS, damaged: bool = False
    ) -> Decoded:
        """A photograph, as of `decoded`. Raises Rejected."""
        request = {"bytes": len(data), "seconds": self.seconds, "max_pixels": max_pixels, "formats": formats}
        request["damaged"] = damaged
        with self._turn:
            try:
                return self._asked(request, data)
            except _Ended as ended:
                if ended.status == -signal.SIGALRM:
                    raise _too_slow(self.seconds) from None
            try:  # once more, since it may have been for want of memory
                return self._asked(request, data)
            except _Ended as ended:
                raise _crashed(str(Crashed.of(ended.status))) from None

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, request: dict[str, Any], data: bytes) -> Decoded:
        process = self._running()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.write(data)
            process.stdin.flush()
            return _read_answer(process.stdout, request["max_pixels"])
        except (_NoAnswer, BrokenPipeError):
            raise _Ended(self._end()) from None
        except Rejected:
            raise
        except BaseException:  # Ctrl-C: what the process has still to say belongs to no later question
            self._end()
            raise

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._end()
            code = _CHILD.format(path=sys.path)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self._process = subprocess.Popen([sys.executable, "-c", code], **pipes)  # type: ignore[call-overload]
        assert self._process is not None
        return self._process

    def _end(self) -> int:
        """End the process, if there is one; its exit status, negative of the signal that ended it before."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            status = process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        return status


class _Ended(Exception):
    """The process ended with this status."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


class _NoAnswer(Exception):
    """What comes is no answer, or ends."""


def serve() -> None:
    """The life of the process of a `Decoder`: a line of JSON and a file in; a line of JSON, what the file says beside
    its pixels, and these out; until nothing more comes in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while line := questions.readline():
        question = json.loads(line)
        _answer(question, questions.read(question["bytes"]), answers)


def _answer(question: dict[str, Any], data: bytes, answers: IO[bytes]) -> None:
    signal.setitimer(signal.ITIMER_REAL, question["seconds"])  # its signal ends the process, whatever that is doing
    _bound_memory(0)
    try:
        image = decoded(data, question["max_pixels"], tuple(question["formats"]), _bound_memory, question["damaged"])
    except Rejected as error:
        answers.write(json.dumps({"reason": error.reason, "message": error.message}).encode() + b"\n")
    else:
        said = image.metadata
        parts = [image.icc_profile or b"", said.exif, said.xmp, said.comment]
        answer = {
            "shape": image.pixels.shape,
            "alpha": image.alpha is not None,
            "qualities": [image.quality, image.chroma_quality],
            "format": image.format,
            "notes": [image.damage, image.lost],
            "dpi": said.dpi,
            "parts": [len(each) for each in parts],
        }
        answers.write(json.dumps(answer).encode() + b"\n" + b"".join(parts))
        for planes in (image.pixels, image.alpha):
            if planes is not None:
                answers.write(np.ascontiguousarray(planes).data.cast("B"))
    signal.setitimer(signal.ITIMER_REAL, 0)
    answers.flush()


def _bound_memory(pixels: int) -> None:
    """What this process may take more than now, for an image whose header states so many pixels."""
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        limit = taken + _MEMORY + _MEMORY_PER_PIXEL * pixels
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def _read_answer(pipe: IO[bytes], max_pixels: int) -> Decoded:
    """Raises Rejected, and _NoAnswer for whatever no decoder says."""
    try:
        answer = json.loads(pipe.readline(1 << 16))
        if "reason" in answer:
            raise Rejected(str(answer["reason"]), str(answer["message"]))
        height, width, *planes = answer["shape"]
        qualities, dpi, lengths, notes = answer["qualities"], answer["dpi"], answer["parts"], answer["notes"]
        right = planes in ([], [3]) and height > 0 and width > 0 and height * width <= max_pixels
        right = right and all(each is None or each in range(1, 101) for each in qualities)
        right = right and (dpi is None or all(0 < float(each) < math.inf for each in dpi))
        right = right and len(lengths) == 4 and all(0 <= each <= MOST for each in lengths)
        right = right and len(notes) == 2 and all(len(each) <= _LONGEST and each.isprintable() for each in notes)
        if not right or answer["format"] not in _NAMES:
            raise _NoAnswer
        profile, *said = (_exactly(pipe, length) for length in lengths)
        pixels = _planes(pipe, (height, width, *planes))
        alpha = _planes(pipe, (height, width)) if answer["alpha"] else None
        beside = Metadata(said[0], said[1], said[2], dpi and (float(dpi[0]), float(dpi[1])))
        return Decoded(pixels, qualities[0], profile or None, alpha, qualities[1], answer["format"], beside, *notes)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _NoAnswer from error


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    part = pipe.read(length)
    if len(part) != length:
        raise _NoAnswer
    return part


def _planes(pipe: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
    planes = np.empty(shape, np.uint8)
    if pipe.readinto(planes.data.cast("B")) != planes.nbytes:  # type: ignore[attr-defined]
        raise _NoAnswer
    return planes


def _too_slow(seconds: float) -> Rejected:
    return Rejected("too slow", f"decoding it takes more than {seconds:g} s")


def _crashed(how: str) -> Rejected:
    return Rejected("crashed", f"decoding it ended the process ({how})")
