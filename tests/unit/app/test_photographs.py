"""What the page says of a file before and after, and what it gives back."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.app import photographs
from ced.config import NetworkConfig
from ced.core import images, jpeg
from ced.core.images import Rejected, luminance
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.restoration import restorer
from ced.restoration.family import FAITHFUL, RELEASED, Family

PHOTOGRAPH = data.coffee()[100:164, 100:180]


@pytest.fixture(scope="module")
def family() -> Family:
    return Family.load(RELEASED)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_file_is_described_by_its_header() -> None:
    stream = jpeg.encode(PHOTOGRAPH, 10)
    assert photographs.facts(stream) == [
        "JPEG",
        "80 × 64 pixels",
        photographs.size(len(stream)),
        "colour",
        "quality factor 10",
        "standard tables",
        "colours 4:2:0",
    ]
    gray = photographs.facts(jpeg.encode(luminance(PHOTOGRAPH), 30))
    assert gray[3:] == ["gray", "quality factor 30", "standard tables"]
    assert photographs.facts(images.png(PHOTOGRAPH))[3:] == ["colour"]


@pytest.mark.parametrize(("number", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_the_sampling_of_colours_is_named(number: int, name: str) -> None:
    stream = encoded(Image.fromarray(PHOTOGRAPH), quality=20, subsampling=number)
    assert photographs.facts(stream)[-1] == f"colours {name}"


def test_tables_of_another_program_are_called_so() -> None:
    tables = [[min(255, value + 1) for value in table] for table in jpeg.tables_of(jpeg.encode(PHOTOGRAPH, 50))[:2]]
    stream = encoded(Image.fromarray(PHOTOGRAPH), qtables=[list(map(int, table)) for table in tables])
    assert photographs.facts(stream)[5] == "tables of its own, nearest to those of this factor"


@pytest.mark.parametrize(
    ("quality", "plan"),
    [
        (10, "It will be restored by CED-GT, with the network for quality factors up to 12."),
        (60, "It will be restored by CED-GT, with the network for quality factors up to 70."),
        (71, "It stays as it is: quality factor 71."),
    ],
)
def test_what_is_said_is_what_is_done(quality: int, plan: str, family: Family) -> None:
    stream = jpeg.encode(PHOTOGRAPH, quality)
    assert photographs.plan(stream, family) == plan
    assert bool(photographs.restore(stream, family).file.left) == plan.startswith("It stays")


def test_every_family_has_a_plan_for_every_file() -> None:
    stream = jpeg.encode(PHOTOGRAPH, 80)
    assert (
        photographs.plan(stream, Family.load(FAITHFUL))
        == "It will be restored by ED, with the network for quality factors up to 90."
    )
    family = Family.load(RELEASED)
    assert photographs.plan(images.png(PHOTOGRAPH), family).startswith("It stays as it is: not a JPEG file")
    assert "does not say how strong" in photographs.plan(images.png(PHOTOGRAPH), family.everything())


def test_a_file_that_says_more_than_its_pixels_is_told_apart(family: Family) -> None:
    once = jpeg.decode(jpeg.encode(np.asarray(Image.fromarray(data.astronaut()).reduce(2)), 10))
    assert photographs.plan(jpeg.encode(once, 90), family) == (
        "It was saved twice: quality factor 90 by its header, 10 by its pixels. "
        "It will be restored by CED-GT, with the network for quality factors up to 12."
    )
    assert photographs.plan(images.png(once), family).startswith("It was a JPEG of quality factor 10, by its pixels. ")


@pytest.mark.parametrize(
    ("file", "reason"),
    [(b"", "empty"), (b"text", "not an image"), (b"P5 70000 1 255 ", "too large")],
)
def test_what_is_no_image_is_rejected(file: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        photographs.facts(file)
    assert rejected.value.reason == reason


def test_a_large_image_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = AutoEncoder(NetworkConfig(width=8, width_half=4, width_full=4, blocks=1), 1, conditioned=False)
    for name, content in restorer.files("ed", weights.encode(network)).items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(restorer, "TILE_PIXELS", 130 * 130)
    told: list[float] = []
    photographs.restore(jpeg.encode(data.camera()[:320, :320], 10), Family.load(tmp_path), told.append)
    assert len(told) > 2 and np.allclose(told, np.arange(1, len(told) + 1) / len(told))


def test_what_is_missing_is_said(family: Family) -> None:
    stream = jpeg.encode(PHOTOGRAPH, 10)[:-100]
    assert (
        photographs.plan(stream, family)
        == "It will be restored by CED-GT, with the network for quality factors up to 12."
    )
    assert "missing" in photographs.restore(stream, family).file.warning


def test_pictures_are_whole_or_pixel_for_pixel(family: Family) -> None:
    large = np.tile(PHOTOGRAPH, (20, 30, 1))  # 1280 x 2400 pixels, 3.07 million
    before = images.png(large)
    after = images.png(255 - large)
    shown = [Image.open(io.BytesIO(png)) for png in photographs.pictures(before, after, False)]
    assert shown[0].size == shown[1].size and 0.99 < shown[0].width * shown[0].height / photographs.SHOWN < 1.01
    details = [np.asarray(Image.open(io.BytesIO(png))) for png in photographs.pictures(before, after, True)]
    assert np.array_equal(details[0], large[340:940, 800:1600])
    assert np.array_equal(details[1], 255 - details[0])


def test_no_two_new_files_have_the_same_name() -> None:
    sources = ["x.jpg", "x.jpeg", "X.JPG", "x.jpeg", "a/b.tiff", "..\\c.jpg", ".jpg", ""]
    assert photographs.names(sources, [".png"] * len(sources)) == [
        "x.png",
        "x.jpeg.png",
        "X.JPG.png",
        "x.jpeg-2.png",
        "b.png",
        "c.png",
        ".jpg.png",
        "photograph.png",
    ]


def test_what_is_left_keeps_its_name() -> None:
    sources = ["x.jpg", "x.png", "x.png", "a.TIFF", "b.JPEG", "c"]
    assert photographs.names(sources, [".png", "", "", "", "", ""]) == [
        "x.jpg.png",
        "x.png",
        "x-2.png",
        "a.TIFF",
        "b.JPEG",
        "c",
    ]


def test_the_archive_holds_the_files() -> None:
    files = [("a.png", b"one"), ("日本.png", b"two")]
    with zipfile.ZipFile(io.BytesIO(photographs.archive(files))) as zipped:
        assert [(name, zipped.read(name)) for name in zipped.namelist()] == files
