"""Finding photographs: recursive, sorted, with unique printable identities; mistakes in one line."""

import os
from pathlib import Path

import pytest
from PIL import Image

from ced.adapters import photographs
from ced.core.images import Rejected
from ced.errors import InputError


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, "PNG")
    return path


def test_folders_are_searched_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ("b.JPEG", "a/c.png", "a/b/d.Jpg", "notes.txt", "x.jpg/inside.webp"):
        image(tmp_path / "set" / name)
    found = photographs.find((str(tmp_path / "set"),))
    assert [p.name for p in found] == ["set/a/b/d.Jpg", "set/a/c.png", "set/b.JPEG", "set/x.jpg/inside.webp"]
    assert all(Path(p.path).is_file() for p in found)


def test_identities_do_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    for place in ("one", "two"):
        image(tmp_path / place / "set" / "a.png")
    names = [[p.name for p in photographs.find((str(tmp_path / place / "set"),))] for place in ("one", "two")]
    assert names[0] == names[1] == [["set/a.png"]][0]


def test_sources_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    for place in ("one", "two", "three"):
        image(tmp_path / place / "set" / "a.png")
    sources = tuple(str(tmp_path / place / "set") for place in ("one", "two", "three"))
    found = photographs.find(sources)
    assert len({p.name for p in found}) == len({p.path for p in found}) == 3


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    assert photographs.find((str(path),)) == [photographs.Photograph("a.png", str(path))]


@pytest.mark.parametrize("name", ["with space.jpg", "new\nline.jpg", "ünïcödé 例.jpg", "quote\"'.jpg"])
def test_odd_names_are_found(tmp_path: Path, name: str) -> None:
    image(tmp_path / name)
    (found,) = photographs.find((str(tmp_path),))
    assert found.name.endswith(name)


def test_names_that_are_no_text_become_printable(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/bad\xff.png"
    image(tmp_path / "good.png").rename(os.fsdecode(raw))
    (found,) = photographs.find((str(tmp_path),))
    assert found.name.endswith("bad\\xff.png")
    found.name.encode("utf-8")
    assert photographs.read(found.path)


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (lambda path: None, "no such folder or file"),
        (lambda path: path.mkdir(), "no files in it"),
        (lambda path: image(path / "notes.txt"), "1 files but no images in it"),
    ],
)
def test_a_folder_without_photographs_is_refused(tmp_path: Path, make, clause: str) -> None:
    path = tmp_path / "set"
    make(path)
    with pytest.raises(InputError, match=clause) as refusal:
        photographs.find((str(path),))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="name folders with --images"):
        photographs.find(())


def test_the_builtin_photographs_are_there_and_apart() -> None:
    train, test = (photographs.find((name,)) for name in (photographs.BUILTIN_TRAIN, photographs.BUILTIN_TEST))
    assert (len(train), len(test)) == (12, 2)
    assert not {p.name for p in train} & {p.name for p in test}
    assert all(Path(p.path).is_file() for p in train + test)
    with pytest.raises(InputError, match="unknown; use builtin:train or builtin:test"):
        photographs.find(("builtin:other",))


def test_the_content_digest_sees_every_change(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    digests = {photographs.content(photographs.find((str(tmp_path),)))}
    os.utime(path, ns=(1, 1))
    digests.add(photographs.content(photographs.find((str(tmp_path),))))
    image(tmp_path / "b.png")
    digests.add(photographs.content(photographs.find((str(tmp_path),))))
    assert len(digests) == 3


def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        photographs.read(str(tmp_path))
    assert (refusal.value.reason, refusal.value.message) == ("unreadable", "Is a directory")
    with pytest.raises(Rejected, match="unreadable: No such file"):
        photographs.read(str(tmp_path / "gone.jpg"))
