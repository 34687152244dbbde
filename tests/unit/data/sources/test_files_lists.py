"""Lists of files: what they name, in which order, and what is missing."""

import logging
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from ced.core.images import Rejected
from ced.data import sources as photographs
from ced.errors import InputError


def file(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(source: Path, pattern: str = "") -> list[str]:
    return [p.name for p in photographs.find((str(source),), pattern)]


def test_a_list_names_files_beside_it_elsewhere_and_missing_ones(tmp_path: Path) -> None:
    file(tmp_path / "here" / "9f2c", b"5")  # named, and so taken without a suffix
    beside, below = file(tmp_path / "here" / "b.jpg", b"1"), file(tmp_path / "here" / "x" / "a b.png", b"2")
    above, elsewhere = file(tmp_path / "up.jpg", b"3"), file(tmp_path / "else" / "ünï.webp", b"4")
    lines = ["b.jpg", "", "x/a b.png\r", "../up.jpg", "gone.jpg", "   ", str(elsewhere), f"file://{above}", "9f2c"]
    listed = file(tmp_path / "here" / "set.txt", ("\ufeff" + "\n".join(lines)).encode())
    found = photographs.find((str(listed),))
    inside = ["b.jpg", "x/a b.png", "up.jpg", "gone.jpg", str(elsewhere)[1:], str(above)[1:], "9f2c"]
    assert [p.name for p in found] == [f"set.txt/{name}" for name in inside]
    missing = found.pop(3)
    assert [photographs.read(p) for p in found] == [b"1", b"2", b"3", b"4", b"3", b"5"]
    assert [os.path.realpath(p.path) for p in found] == [
        *map(str, (beside, below, above, elsewhere, above, tmp_path / "here" / "9f2c"))
    ]
    with pytest.raises(Rejected, match="unreadable: No such file"):
        photographs.read(missing)
    assert (missing.stamp, missing.size) == ("unreadable", -1)


def test_a_list_keeps_its_order_and_obeys_a_pattern(tmp_path: Path) -> None:
    listed = file(tmp_path / "set.TXT", b"z/test/b.JPEG\na/test/a.JPEG\na/val/a.JPEG\n\xff/test/n.JPEG")
    wanted = ["set.TXT/z/test/b.JPEG", "set.TXT/a/test/a.JPEG", "set.TXT/\\xff/test/n.JPEG"]
    assert names(listed, pattern="*/test/*.JPEG") == wanted
    with pytest.raises(InputError, match=r"none of its 4 files matches '\*.png'"):
        names(listed, pattern="*.png")


def test_a_list_without_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no files in it"):
        names(file(tmp_path / "set.txt", b"\n \n"))


def test_a_list_of_folders_and_archives(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("set/b.jpg", "set/deep/a.jpg", "set/notes.txt", "one.bin"):
        file(tmp_path / name, name.encode())
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.add(tmp_path / "set" / "b.jpg", "m.jpg")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr("k.png", b"k")
    listed = file(tmp_path / "l.txt", f"s.tar\none.bin\nset/\nfile://{tmp_path}/z.zip\nmore.txt".encode())
    file(tmp_path / "more.txt", b"set")
    found = photographs.find((str(listed),))
    inside = ["s.tar/m.jpg", "one.bin", "set/b.jpg", "set/deep/a.jpg", f"{tmp_path}/z.zip/k.png"[1:], "more.txt"]
    assert [p.name for p in found] == [f"l.txt/{name}" for name in inside]
    data = [b"set/b.jpg", b"one.bin", b"set/b.jpg", b"set/deep/a.jpg", b"k", b"set"]
    assert [photographs.read(p) for p in found] == data, "a list in a list is a file like any other: it is no image"
    assert names(listed, "*/*.jpg") == ["l.txt/s.tar/m.jpg", "l.txt/set/b.jpg", "l.txt/set/deep/a.jpg"]
    with pytest.raises(InputError, match=f"^{tmp_path}/gone.tar: no such folder or file"):
        names(file(tmp_path / "g.txt", b"gone.tar"))


def test_what_a_list_names_is_not_taken_again_out_of_its_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `find set > l.txt` writes it."""
    for name in ("a.jpg", "deep/b.jpg", "deep/c.jpg"):
        file(tmp_path / "set" / name, b"x")
    listed = file(tmp_path / "l.txt", b"set\n./set/a.jpg\nset/deep\nset/deep/b.jpg\nset/deep/b.jpg")
    with caplog.at_level(logging.INFO, "ced"):
        assert names(listed) == [f"l.txt/{name}" for name in ("set/deep/c.jpg", "set/a.jpg", "set/deep/b.jpg")] + [
            "2/l.txt/set/deep/b.jpg"
        ], "a line twice is two lines"
    assert caplog.messages == [
        f"{listed}: passed over 4 files that are named twice (l.txt/set/a.jpg, l.txt/set/deep/b.jpg, "
        "l.txt/set/deep/b.jpg, l.txt/set/deep/c.jpg)"
    ]
