"""Lists of files: what they name, in which order, and what is missing."""

import os
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
