"""How much of a damaged JPEG is missing, against what was cut off; and nothing is said of whole ones."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.core import damage

CODINGS = ({}, {"optimize": True}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_rows": 1})
SEQUENTIAL = [coding for coding in CODINGS if "progressive" not in coding]


def encoded(pixels: np.ndarray, quality: int = 30, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def decode(stream: bytes) -> np.ndarray | None:
    try:
        return np.asarray(Image.open(io.BytesIO(stream)))
    except OSError:
        return None


def found(stream: bytes) -> str:
    pixels = decode(damage.completed(stream))
    assert pixels is not None
    return damage.found(stream, Image.fromarray(pixels), decode)


@pytest.mark.parametrize("coding", CODINGS, ids=str)
@pytest.mark.parametrize("quality", [3, 50, 100])
def test_nothing_is_said_of_what_is_whole(coding: dict[str, object], quality: int) -> None:
    odd, flat = data.coffee()[:97, :133], np.full((40, 50), 128, np.uint8)
    for pixels in (odd, odd[:17, :9], odd[..., 0], flat, np.full_like(odd, 255), odd[:1, :1]):
        stream = encoded(pixels, quality, **coding)
        assert found(stream) == found(stream + b"\xff\xd8 a second picture") == ""


@pytest.mark.parametrize("coding", SEQUENTIAL, ids=str)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_the_share_that_is_missing_is_the_share_that_is_gray(coding: dict[str, object], kept: float) -> None:
    stream = encoded(data.coffee()[:200, :304], **coding)
    cut = stream[: int(len(stream) * kept)]
    pixels = decode(damage.completed(cut))
    assert pixels is not None
    gray = float((pixels == 128).all(axis=2).mean())
    share, _, text = found(cut).partition(" % ")
    assert text == "of it is missing"
    assert gray * 100 - 0.5 <= float(share) <= gray * 100 + 2  # a row of units more at most: the cut goes through one


@pytest.mark.parametrize("coding", SEQUENTIAL, ids=str)
def test_the_last_bytes(coding: dict[str, object]) -> None:
    stream = encoded(data.coffee()[:200, :304], **coding)
    assert float(found(stream[:-5]).partition(" % of it is missing")[0]) < 1
    assert found(stream[:-2]) == "its end is missing, but none of its pixels"


def test_a_cut_through_a_stuffed_byte_makes_no_marker() -> None:
    stream = encoded(data.coffee()[:200, :304], 20)
    stuffed = stream.index(b"\xff\x00", len(stream) * 3 // 4)
    assert 5 < float(found(stream[: stuffed + 1]).partition(" % of it is missing")[0]) < 35


def test_a_gray_end_of_the_picture_is_not_missing() -> None:
    """What fills the gap is gray, and so may a photograph be."""
    pixels = data.camera()[:200, :304].copy()
    pixels[100:] = 128
    assert found(encoded(pixels, 10)) == ""
    assert found(encoded(pixels, 10)[:-2]) == "its end is missing, but none of its pixels"


def test_of_a_progressive_one_detail_is_missing() -> None:
    stream = encoded(data.coffee()[:200, :304], progressive=True)
    assert found(stream[: len(stream) // 2]) == "its last scans are missing: it has less detail than it had"
    (first, *_), ended = damage.stream_of(stream).scans, found(stream[:-40] + b"\xff\xd9")  # type: ignore[union-attr]
    assert ended == "its last scan ends too early: it has less detail than it had"
    share = float(found(stream[: sum(first) // 2]).partition(" % of it is missing")[0])
    assert 30 < share < 70


def test_data_that_are_lost_in_the_middle_are_seen() -> None:
    stream = encoded(data.coffee()[:200, :304])
    without = stream[: len(stream) // 2] + stream[len(stream) // 2 + 700 :]
    assert found(without).startswith("its data end too early: at least ")
    with_more = stream[: len(stream) // 2] + stream[len(stream) // 2 - 700 :]
    assert found(with_more) == "it has more data than its pixels need: part of it may be wrong"
    restarted = encoded(data.coffee()[:200, :304], restart_marker_rows=1)
    assert found(restarted.replace(b"\xff\xd3", b"\xff\xd5", 1)) == "its data are out of order: part of it may be wrong"


def watched(stream: bytes) -> damage.Watched:
    """Decoded by way of its own file: to the same pixels where none are missing."""
    image = Image.open(io.BytesIO(stream))
    file = damage.watched(stream, image)
    assert file is not None
    image.fp = file  # type: ignore[assignment]
    image.load()
    if found(stream) == "":
        assert np.array_equal(image, decode(stream))
    return file


@pytest.mark.parametrize("coding", SEQUENTIAL, ids=str)
@pytest.mark.parametrize("quality", [3, 50, 100])
def test_by_what_is_asked_for_whole_ones_are_known(coding: dict[str, object], quality: int) -> None:
    odd = data.coffee()[:97, :133]
    for pixels in (
        odd,
        odd[:17, :9],
        odd[..., 0],
        np.full_like(odd, 255),
        odd[:1, :1],
        np.full((16, 16), 128, np.uint8),
    ):
        file = watched(encoded(np.ascontiguousarray(pixels), quality, **coding) + b"\xff\xd8 a second picture")
        assert not file.too_few and not file.too_many


@pytest.mark.parametrize("coding", SEQUENTIAL, ids=str)
@pytest.mark.parametrize("kind", ["lost", "zero", "double", "end"])
def test_by_what_is_asked_for_damage_is_seen(coding: dict[str, object], kind: str) -> None:
    """Nearly all that is found by decoding again; not what is missing of the last block alone."""
    chance, seen, hidden = np.random.default_rng(7), 0, 0
    whole = encoded(data.coffee()[:200, :304], **coding)
    first = damage.stream_of(whole).scans[0][0] + 50  # type: ignore[union-attr]
    for _ in range(20):
        at, length = int(chance.integers(first, len(whole) - 700)), int(chance.integers(20, 200))
        spoilt = {
            "lost": whole[:at].rstrip(b"\xff") + whole[at + length :],
            "zero": whole[:at] + bytes(length) + whole[at + length :],
            "double": whole[: at + length] + whole[at:],
            "end": whole[: -length - 2].rstrip(b"\xff") + b"\xff\xd9",
        }[kind]
        what = found(spoilt) if decode(spoilt) is not None else ""
        if "end too early" in what or "more data" in what:
            file = watched(spoilt)
            seen, hidden = seen + (file.too_few or file.too_many), hidden + (not file.too_few and not file.too_many)
    assert seen > 5 or "restart_marker_rows" in coding
    assert hidden <= 1


def test_what_comes_in_several_scans_is_not_watched() -> None:
    for stream in (encoded(data.coffee()[:64, :64], progressive=True), encoded(data.coffee()[:64, :64])[:-2], b"none"):
        assert damage.watched(stream, Image.new("RGB", (64, 64))) is None


def test_of_large_ones_what_is_cut_off_is_measured_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = encoded(data.coffee()[:200, :304])
    without = stream[: len(stream) // 2] + stream[len(stream) // 2 + 700 :]
    monkeypatch.setattr(damage, "CHECKED", 60_000)
    assert found(without) == "" and found(stream[:-900]).endswith(" % of it is missing")


def test_what_is_no_jpeg_in_the_middle_ends_the_picture() -> None:
    """Libjpeg stops at a marker that makes no sense, though all before it is there."""
    stream = encoded(data.coffee()[:200, :304])
    middle = len(stream) // 2
    spoilt = stream[:middle] + b"\xff\xc4\x00\x20" + bytes(range(200)) + stream[middle + 204 :]
    assert decode(spoilt) is None
    assert 30 < float(found(spoilt).partition(" % of it is missing")[0]) < 60
    assert decode(damage.completed(stream + b"\xff")) is not None


def test_what_ends_before_its_pixels_is_not_completed() -> None:
    stream = encoded(data.coffee()[:64, :64])
    start = stream.index(b"\xff\xda")
    for cut in (stream[:start], stream[:40], b"", b"words", stream[: start + 5]):
        assert damage.stream_of(cut) is None and damage.completed(cut) == cut
    assert damage.completed(stream) == stream
