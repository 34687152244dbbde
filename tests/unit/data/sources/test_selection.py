"""Which files are photographs, by name, pattern and first bytes; what is passed over is counted and named."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.core.images import FORMATS, SUFFIXES
from ced.data.sources.selection import HEADER, Glob, Passed, Selection, is_image, undecided

ROOT = Path(__file__).parents[4]


def test_the_page_names_every_suffix() -> None:
    (row,) = re.findall(r"^\| with an image's suffix, in any case: `(.*?)`", (ROOT / "docs/data.md").read_text(), re.M)
    assert set(row.split()) == SUFFIXES and len(row.split()) == len(SUFFIXES)


def yes() -> bool:
    return True


def unopened() -> bool:
    raise AssertionError("a name that decides was not enough")


@pytest.mark.parametrize(
    ("name", "pattern", "taken"),
    [
        ("a/b.JpEg", "", True),
        ("a/b.jfif", "", True),
        ("a/b.JPG_large", "", True),
        ("a/b.txt", "", False),
        ("a/b.NEF", "", False),
        ("a/._b.jpg", "", False),
        (".thumbnails/b.jpg", "", False),
        ("x/__MACOSX/b.jpg", "", False),
        ("x/@eaDir/b.jpg/SYNOPHOTO_THUMB_M.jpg", "", False),
        ("my__MACOSX/b.jpg", "", True),
        ("a/b.tar", "", False),
        ("a/b.jpg.zip", "", False),
        ("a/b.7z", "", False),
        ("a/b/c.JPEG", "*/*.JPEG", True),
        ("a/._c.JPEG", "*/*.JPEG", True),
        ("a/c.jpeg", "*/*.JPEG", False),
        ("a/c", "a/*", True),
        ("a/c.jpg", "c.jpg", False),
    ],
)
def test_a_name_that_decides(name: str, pattern: str, taken: bool) -> None:
    selection = Selection("set", pattern)
    assert selection.takes(name, unopened) is taken
    assert selection.files == 1
    assert bool(selection.passed()) is not (taken or bool(pattern)), "what a pattern leaves out is asked for"


@pytest.mark.parametrize("name", ["a", "a.bak", "a.jpg~", "a.jpg_original", "a.0001", "b/x.chk", "a.jpg.part"])
def test_a_name_that_does_not_decide(name: str) -> None:
    assert undecided(name)
    assert Selection("set").takes(name, yes)
    assert not Selection("set").takes(name)


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3)).convert(mode).save(
        stream, kind, **options
    )
    return stream.getvalue()


WITHOUT_A_MARK = ("DIB", "TGA")


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in WITHOUT_A_MARK])
@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_every_format_shows_in_its_first_bytes(kind: str, mode: str) -> None:
    mode = "L" if mode == "1" and kind == "JPEG2000" else mode
    assert is_image(encoded(kind, mode)[:HEADER])


@pytest.mark.parametrize(
    "data",
    [
        encoded("JPEG", exif=Image.Exif()),
        encoded("TIFF", big_tiff=True),
        encoded("JPEG2000", no_jp2=True),
        encoded("AVIF").replace(b"ftypavif", b"ftypmif1", 1),  # named among the compatible brands alone
        b"P5 3 3 255 " + bytes(9),
        b"P6\n# by a scanner\n3 3 255\n" + bytes(27),
    ],
)
def test_variants_of_formats(data: bytes) -> None:
    assert is_image(data[:HEADER])


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xff", b"words", b"BMW 320, second hand, and what is to be said of it\n" * 2, b"P1 meeting: notes\n"),
        *(b"%PDF-1.7", b"8BPS\0\1" + bytes(30), b"GIF8 is a format", b"RIFF\0\0\1\0AVI LIST", b"<svg xmlns=''/>"),
        *(b"PK\3\4" + bytes(60), b"IIU\0" + bytes(60), struct.pack("<IHHHHHH", 500, 0xAF11, 1, 64, 48, 8, 3)),
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(30),
        b"\0\0\0\x24ftypheic\0\0\0\0mif1heicmiaf" + bytes(30),
        b"\0\0\0\x24ftypmif1\0\0\0\0mif1heicmiaf" + bytes(30),
    ],
)
def test_other_files_show_in_their_first_bytes(data: bytes) -> None:
    assert not is_image(data[:HEADER])


def test_what_is_passed_over_is_named() -> None:
    selection = Selection("s3://me:PASS@bucket/photos?endpoint_override=host")
    for name in ("x.psd", "clip.mov", "a.jpg", "notes\n.txt", "a/._a.jpg"):
        selection.takes(name)
    assert not selection.enters("b/.git") and selection.enters("b")
    selection.pass_over(Passed.BESIDE, "old.zip")
    assert selection.passed() == (
        "s3://bucket/photos: passed over 3 files of other kinds (clip.mov, notes\\n.txt, x.psd), 2 hidden files and "
        "folders (a/._a.jpg, b/.git/), 1 archive beside photographs (old.zip); name archives as sources of their own "
        "to read them too"
    )


def test_of_thousands_the_suffixes_are_counted() -> None:
    selection = Selection("set")
    for number in range(3000):
        selection.takes(f"{number}.json")
        selection.takes(f"{number}.TXT" if number % 3 else f"{number}")
    assert selection.passed() == (
        "set: passed over 6000 files of other kinds (3000 .json, 2000 .txt, 1000 without a suffix)"
    )
    for number in range(7):
        selection.takes(f"x.{number}")
    assert selection.passed().endswith("without a suffix, 1 .0, 1 .1, ...)")


def test_what_cannot_be_opened_is_no_file_of_another_kind() -> None:
    def closed() -> bool:
        raise PermissionError

    selection = Selection("set")
    assert not selection.takes("x.bak", closed)
    assert selection.passed() == ("set: passed over 1 file that cannot be opened (x.bak); check links and permissions")


def test_a_source_with_nothing_says_what_is_there_instead() -> None:
    selection = Selection("set")
    for name in ("notes.txt", "deep/old.7z", "in.zip"):
        selection.takes(name)
    assert str(selection.nothing()) == (
        "set: 3 files but no images in it (1 file of another kind (notes.txt), 1 archive in an archive (in.zip), "
        "1 archive that cannot be read in place (deep/old.7z)); "
        "give a folder of photographs (JPEG, PNG, TIFF, WebP ...)"
    )


@pytest.mark.parametrize(
    ("text", "taken", "left"),
    [
        ("*.jpg", ["a.jpg", ".jpg"], ["b/a.jpg", "a.jpeg", "xa.jpg.txt"]),
        ("**/*.jpg", ["a.jpg", "b/a.jpg", "b/c/a.jpg"], ["a.png", "b/a.jpg.png"]),
        ("2019*", ["2019.jpg", "2019-01/a.jpg", "2019/b/a.jpg"], ["x/2019.jpg", "2020/2019"]),
        ("*/a?.jp[eg]", ["x/ab.jpg", "x/ac.jpe"], ["ab.jpg", "x/a.jpg", "x/y/ab.jpg", "x/ab.jpeg"]),
        ("x/**", ["x/a", "x/b/c"], ["a", "y/x/a"]),
        ("**", ["a", "b/c"], []),
        ("a**z", ["abz"], ["a/z"]),
    ],
)
def test_wildcards(text: str, taken: list[str], left: list[str]) -> None:
    glob = Glob(text)
    assert [name for name in taken + left if glob.takes(name)] == taken


@pytest.mark.parametrize(
    ("text", "entered", "left"),
    [
        ("*.jpg", ["x.jpg", "x.jpg/y"], ["x", "y"]),
        ("*/b/*.jpg", ["x", "x/b", "x/b/z.jpg"], ["x/c", "x/b/c", "x/c/b"]),
        ("x/**/*.tar", ["x", "x/y", "x/y/z"], ["y", "xx"]),
    ],
)
def test_no_folder_is_walked_in_which_nothing_can_match(text: str, entered: list[str], left: list[str]) -> None:
    glob = Glob(text)
    assert [name for name in entered + left if glob.leads(name)] == entered
