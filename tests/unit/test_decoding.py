"""Photographs decoded within a time limit: decoders that hang, crash and take all memory, in real processes."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced import decoding
from ced.core.images import Rejected
from ced.decoding import Decoded, Decoder, _NoAnswer, _read_answer, decoded, guarded
from tests import profiles
from tests.unit.core.test_metadata import exif

# A decoder of a format that ced lists, registered in every Python that starts with its folder on the path.
BAD_DECODER = """
import os, signal, time
from PIL import Image, ImageFile

class Bad(ImageFile.ImageFile):
    format = "TGA"

    def _open(self):
        self._mode, self._size, self.tile = "RGB", (64, 64), []
        self.how = self.fp.read(64).split()[1].decode()
        if self.how == "header":
            time.sleep(1000)

    def load(self):
        if self.how == "pixels":
            while True:
                pass
        if self.how == "memory":
            bytearray(8 << 30)
        if self.how == "print":
            os.write(1, b"{}\\n")
            os.write(2, b"of the decoder")
            self.im = Image.core.new("RGB", (64, 64))
            return
        os.kill(os.getpid(), getattr(signal, self.how))

Image.init()
Image.register_open("TGA", Bad, lambda prefix: prefix.startswith(b"BAD "))
"""


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(data.chelsea()).save(stream, "JPEG", quality=30, icc_profile=profiles.wide_rgb())
    return stream.getvalue()


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad decoder is there in the processes that are started now."""
    (tmp_path / "sitecustomize.py").write_text(BAD_DECODER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))


def same(one: Decoded, other: Decoded) -> bool:
    planes = [np.array_equal(*pair) for pair in ((one.pixels, other.pixels), (one.alpha, other.alpha))]
    return all(planes) and one._replace(pixels=other.pixels, alpha=other.alpha) == other


def test_another_process_decodes_to_the_same(jpeg: bytes) -> None:
    with Decoder() as decoder:
        for mode in ("RGB", "L", "P", "RGBA", "I;16"):
            stream = io.BytesIO()
            Image.fromarray(data.chelsea()[:41, :50]).convert("L" if mode == "I;16" else mode).convert(mode).save(
                stream, "PNG"
            )
            assert same(decoder.decode(stream.getvalue()), decoded(stream.getvalue()))
        found = decoder.decode(jpeg)
    assert same(found, decoded(jpeg))
    assert (found.pixels.shape, found.quality, found.icc_profile) == ((300, 451, 3), 30, profiles.wide_rgb())


def test_what_a_file_says_comes_along(jpeg: bytes) -> None:
    stream = io.BytesIO()
    faded = Image.fromarray(data.chelsea()[:41, :50]).convert("RGBA")
    faded.putalpha(7)
    faded.save(stream, "PNG", exif=exif(6), dpi=(300, 200), icc_profile=profiles.wide_rgb())
    with Decoder() as decoder:
        found = decoder.decode(stream.getvalue())
        assert same(found, decoded(stream.getvalue()))
        assert same(decoder.decode(jpeg[:9000], damaged=True), decoded(jpeg[:9000], damaged=True))
    assert found.pixels.shape == (50, 41, 3) and found.alpha is not None and (found.alpha == 7).all()
    assert found.metadata.exif and found.metadata.dpi == pytest.approx((200, 300), abs=0.02)
    assert (found.format, found.icc_profile) == ("PNG", profiles.wide_rgb())


def test_whole_ones_are_decoded_once_and_damaged_ones_to_the_same_pixels(
    jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = len(jpeg) // 2
    lost, zero = jpeg[:middle] + jpeg[middle + 300 :], jpeg[:middle] + bytes(100) + jpeg[middle + 100 :]
    for stream, clause in ((lost, "its data end too early: at least "), (zero, "")):
        found = decoded(stream)
        assert np.array_equal(found.pixels, Image.open(io.BytesIO(stream))) and clause in found.damage != ""
    again: list[bytes] = []
    monkeypatch.setattr(decoding, "_decoded_again", lambda stream, max_pixels: again.append(stream))
    progressive = io.BytesIO()
    Image.fromarray(data.chelsea()).save(progressive, "JPEG", progressive=True)
    for stream in (jpeg, progressive.getvalue()):
        found = decoded(stream)
        assert np.array_equal(found.pixels, Image.open(io.BytesIO(stream))) and found.damage == ""
    assert again == []


def answer(**changed: object) -> bytes:
    said = {"shape": [2, 3], "alpha": False, "qualities": [30, None], "format": "JPEG", "notes": ["", ""], "dpi": None}
    return json.dumps({**said, "parts": [0, 0, 0, 0], **changed}).encode() + b"\n" + bytes(20)


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": [2, 3, 4]},
        {"shape": [10**6, 10**6]},
        {"shape": [-2, -3]},
        {"shape": [2]},
        {"shape": "23"},
        {"qualities": [101, None]},
        {"qualities": [True, "x"]},
        {"format": "EPS"},
        {"format": ["JPEG"]},
        {"notes": ["two\nlines", ""]},
        {"notes": ["", "x" * 600]},
        {"dpi": [0, 72]},
        {"dpi": [float("inf"), 72]},
        {"dpi": [72]},
        {"parts": [1 << 40, 0, 0, 0]},
        {"parts": [-1, 0, 0, 0]},
        {"parts": [0, 0, 0]},
        {"parts": [15, 0, 0, 0]},
    ],
    ids=str,
)
def test_what_no_decoder_says_is_no_answer(changed: dict[str, object]) -> None:
    assert _read_answer(io.BytesIO(answer()), 100).quality == 30
    with pytest.raises(_NoAnswer):
        _read_answer(io.BytesIO(answer(**changed)), 100)


def test_what_cannot_be_decoded_has_its_reason_there_too(jpeg: bytes) -> None:
    with Decoder() as decoder:
        for wrong, limit in ((b"", 10**6), (b"words", 10**6), (jpeg[:3000], 10**6), (jpeg, 1000), (jpeg, 300 * 451)):
            with pytest.raises(Rejected) as here:
                decoded(wrong, limit)
            with pytest.raises(Rejected) as there:
                decoder.decode(wrong, limit)
            assert str(here.value) == str(there.value)
        with pytest.raises(Rejected, match="not an image"):
            decoder.decode(jpeg, formats=("PNG",))
        assert decoder.decode(jpeg, 304 * 456).quality == 30


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize("where", ["header", "pixels"])
def test_a_decoder_that_hangs_is_ended(jpeg: bytes, where: str) -> None:
    with Decoder(0.7) as decoder:
        first = decoder._running().pid
        with pytest.raises(Rejected, match=r"^too slow: decoding it takes more than 0\.7 s$"):
            decoder.decode(f"BAD {where} ".encode())
        assert same(decoder.decode(jpeg), decoded(jpeg))
        assert decoder._running().pid != first
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize("how", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_decoder_that_crashes_is_replaced(jpeg: bytes, how: str) -> None:
    with Decoder() as decoder:
        with pytest.raises(Rejected, match=rf"^crashed: decoding it ended the process \({how}\)$"):
            decoder.decode(f"BAD {how} ".encode())
        assert same(decoder.decode(jpeg), decoded(jpeg))


@pytest.mark.usefixtures("bad")
def test_a_decoder_takes_memory_in_proportion_to_the_image(jpeg: bytes) -> None:
    with Decoder() as decoder:
        with pytest.raises(Rejected, match="^too large: not enough memory to decode it$"):
            decoder.decode(b"BAD memory ")
        assert same(decoder.decode(jpeg), decoded(jpeg))


@pytest.mark.usefixtures("bad")
def test_what_a_decoder_prints_is_neither_an_answer_nor_shown(jpeg: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with Decoder() as decoder:
        assert not decoder.decode(b"BAD print ").pixels.any()
        assert same(decoder.decode(jpeg), decoded(jpeg))
    assert capfd.readouterr() == ("", "")


def test_a_process_that_died_meanwhile_is_replaced(jpeg: bytes) -> None:
    with Decoder() as decoder:
        decoder.decode(jpeg)
        os.kill(decoder._running().pid, signal.SIGKILL)
        assert same(decoder.decode(jpeg), decoded(jpeg))


def test_threads_get_their_own_answers(jpeg: bytes) -> None:
    images, answers = [np.full((20 + n, 9), n, np.uint8) for n in range(8)], {}
    streams = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        streams.append(stream.getvalue())
    with Decoder() as decoder:
        threads = [
            threading.Thread(target=lambda n=n: answers.update({n: decoder.decode(streams[n])})) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(np.array_equal(answers[n].pixels, images[n]) for n in range(8))


def test_its_process_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    code = (
        "import os, signal; from ced.decoding import Decoder; d = Decoder().start(); print(d._process.pid, flush=True)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}; os.kill(os.getpid(), signal.SIGKILL)"], stdout=subprocess.PIPE, text=True
    )
    child = int(ended.stdout)
    for _ in range(200):
        status = Path(f"/proc/{child}/status")
        if not status.exists() or "Z (zombie)" in status.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("the process is still there")


def test_guarded_work_that_takes_too_long_is_passed_over_the_second_time() -> None:
    assert guarded(lambda: 7, again=False) == guarded(lambda: 7, again=True) == 7
    with pytest.raises(Rejected, match=r"^too slow: decoding it takes more than 0\.3 s$"):
        guarded(lambda: time.sleep(1000), again=True, seconds=0.3)
    with pytest.raises(Rejected, match=r"^crashed: decoding it ended the process \(SIGBUS\)$"):
        guarded(lambda: os.kill(os.getpid(), signal.SIGBUS), again=True)


def test_guarded_work_that_takes_too_long_ends_the_process_the_first_time() -> None:
    code = "import time; from ced.decoding import guarded\n"
    code += "guarded(lambda: time.sleep(0.1), False, 5); time.sleep(0.2); print('on', flush=True)\n"
    code += "guarded(lambda: time.sleep(1000), False, 0.2)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "on\n", "")
