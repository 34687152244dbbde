"""Folders by content; folders of archives; wildcards: all kinds of source by one listing, and what is passed over."""

import io
import logging
import os
import tarfile
import zipfile
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from ced.data import sources
from ced.errors import InputError


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


JPEG = jpeg()


def file(path: Path, data: bytes = JPEG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def pack(path: Path, names: dict[str, bytes]) -> Path:
    stream = io.BytesIO()
    if path.suffix == ".zip":
        with zipfile.ZipFile(stream, "w") as packed:
            for name, data in names.items():
                packed.writestr(name, data)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz" if path.suffix in (".tgz", ".gz") else "w") as archive:
            for name, data in names.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return file(path, stream.getvalue())


def names(source: object, pattern: str = "", cache: Path | None = None) -> list[str]:
    return [photograph.name for photograph in sources.find((str(source),), pattern, cache)]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ced")
    return caplog


# By content


def test_a_folder_is_listed_by_content(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    for name in ("a.jpg", "b.jfif", "c.JPG_large", "d", "e.bak", "f.jpeg~"):
        file(tmp_path / "set" / name)
    file(tmp_path / "set" / "broken.jpg", b"words")  # listed by its suffix, and set aside with its reason when read
    for name, data in {"notes.txt": JPEG, "x.psd": b"8BPS", "y": b"words", "empty": b"", "raw.NEF": b"II*\0"}.items():
        file(tmp_path / "set" / name, data)
    for name in (".DS_Store", "._a.jpg", "__MACOSX/._a.jpg", ".git/x.jpg"):
        file(tmp_path / "set" / name)
    taken = ["a.jpg", "b.jfif", "broken.jpg", "c.JPG_large", "d", "e.bak", "f.jpeg~"]
    assert names(tmp_path / "set") == [f"set/{name}" for name in taken]
    assert said.messages == [
        f"{tmp_path}/set: passed over 5 files of other kinds (empty, notes.txt, raw.NEF, x.psd, y), "
        "4 hidden files and folders (.DS_Store, ._a.jpg, .git/, __MACOSX/)"
    ]


def test_nothing_is_said_where_nothing_is_passed_over(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    file(tmp_path / "set" / "a.jpg")
    file(tmp_path / "set" / "notes.txt")
    assert names(tmp_path / "set", "*.jpg") == ["set/a.jpg"]
    assert len(sources.find((str(tmp_path / "set"),), quiet=True)) == 1
    assert said.messages == []


def test_the_digest_of_ordinary_files_stays(tmp_path: Path) -> None:
    """A store's folders are named after it: it is what it was when only suffixes counted."""
    for name in ("a.jpg", "b b/c.PNG", "z.tif", "b b/é.jpeg"):
        os.utime(file(tmp_path / "set" / name, name.encode()), (10**9, 10**9))
    listing = file(tmp_path / "l.txt", b"set/a.jpg\nset/z.tif\ngone.jpg\nset/a.jpg\nset/./z.tif\n")
    found = [sources.content(sources.find((str(source),))) for source in (tmp_path / "set", listing)]
    assert found == ["eb8e733f8af19b21", "f9014fbcea3df80e"]
    assert sources.content(sources.find((str(tmp_path / "set"),), "*b*")) == "bc04de3d66e09844"


def test_a_pipe_without_a_suffix_is_not_waited_for(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    file(tmp_path / "a.jpg")
    assert len(names(tmp_path)) == 1
    assert said.messages == [
        f"{tmp_path}: passed over 1 file of another kind (pipe), 1 file that cannot be opened (gone); "
        "check links and permissions"
    ]


@pytest.mark.parametrize("kind", [".tar", ".tgz", ".zip"])
def test_an_archive_is_listed_by_content(tmp_path: Path, kind: str, said: pytest.LogCaptureFixture) -> None:
    """Also behind a member without bytes, which ends where the next header begins."""
    members = {
        "none": b"",
        "d": JPEG,
        "b.jfif": JPEG,
        "e": b"words" * 5000,
        "f.bak": JPEG,
        "in.zip": b"PK",
        "._a.jpg": b"",
    }
    path = pack(tmp_path / f"set{kind}", members)
    assert names(path, cache=tmp_path / "cache") == [f"set{kind}/{name}" for name in ("d", "b.jfif", "f.bak")]
    line = (
        f"{path}: passed over 2 files of other kinds (e, none), 1 hidden file or folder (._a.jpg), "
        "1 archive in an archive (in.zip); unpack archives to read what is in them"
    )
    assert said.messages == [f"{path}: listing its members, once", line]
    assert names(path, cache=tmp_path / "cache") == [f"set{kind}/{name}" for name in ("d", "b.jfif", "f.bak")]
    assert said.messages[2:] == [line], "from the listing that is kept"


@pytest.mark.parametrize("name", ["a.jpg", "odd"])
def test_a_listing_of_suffixes_alone_is_made_again_where_content_decides(tmp_path: Path, name: str) -> None:
    import pyarrow.parquet as pq

    path, cache = pack(tmp_path / "set.tar", {"b.jpg": JPEG, name: JPEG}), tmp_path / "cache"
    both = names(path, cache=cache)
    (listing,) = cache.rglob("listing.parquet")
    pq.write_table(pq.read_table(listing).drop_columns(["image"]), listing)
    before = listing.read_bytes()
    assert names(path, "*", cache) == both and listing.read_bytes() == before
    assert names(path, cache=cache) == both
    assert (listing.read_bytes() == before) is (name == "a.jpg")


def test_a_prefix_is_listed_by_suffix(said: pytest.LogCaptureFixture) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("a.jfif", "b", "c.JPG_large", ".d/x.jpg"):
        memory.pipe(f"/prefix/{name}", JPEG)
    assert names("memory://prefix") == ["prefix/a.jfif", "prefix/c.JPG_large"]
    assert said.messages == [
        "memory://prefix: passed over 1 file of another kind (b), 1 hidden file or folder (.d/x.jpg)"
    ]
    memory.rm("/prefix", recursive=True)


# Folders of archives


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    pack(tmp_path / "shards" / "1.tar", {"z.jpg": JPEG, "a.jpg": JPEG, "a.json": b"{}"})
    pack(tmp_path / "shards" / "0.zip", {"b.jpg": JPEG})
    pack(tmp_path / "shards" / "deep" / "2.tgz", {"c": JPEG, "notes.txt": b"words"})
    pack(tmp_path / "shards" / "3.tar", {"only.txt": b"words"})
    file(tmp_path / "shards" / "index.json", b"{}")
    file(tmp_path / "shards" / "._1.tar", b"macOS")
    return tmp_path / "shards"


def test_a_folder_of_archives_is_read(shards: Path, said: pytest.LogCaptureFixture) -> None:
    found = sources.find((str(shards),))
    assert [p.name for p in found] == [
        f"shards/{name}" for name in ("0.zip/b.jpg", "1.tar/z.jpg", "1.tar/a.jpg", "deep/2.tgz/c")
    ]
    assert [sources.read(p) for p in found] == [JPEG] * 4
    assert said.messages[-1] == (
        f"{shards}: passed over 4 files of other kinds (1.tar/a.json, 3.tar/only.txt, deep/2.tgz/notes.txt, "
        "index.json), 1 hidden file or folder (._1.tar)"
    )
    sources.check((str(shards),))


def test_archives_of_a_folder_are_in_the_order_of_their_paths(tmp_path: Path) -> None:
    numbers = [f"{number:02d}" for number in range(30)]
    for number in reversed(numbers[::2] + numbers[1::2]):
        pack(tmp_path / "set" / f"{number}.tar", {"a.jpg": JPEG})
    assert names(tmp_path / "set") == [f"set/{number}.tar/a.jpg" for number in numbers]


def test_a_pattern_is_of_the_path_through_the_archives(shards: Path) -> None:
    assert names(shards, "1.tar/*.jpg") == ["shards/1.tar/z.jpg", "shards/1.tar/a.jpg"]
    assert names(shards, "*/notes.txt") == ["shards/deep/2.tgz/notes.txt"]
    assert names(shards, "*") == ["shards/index.json"], "archives are no photographs"
    with pytest.raises(InputError, match=r"none of its [0-9]+ files matches '\*\.tar'; give another pattern"):
        names(shards, "*.tar")


def test_archives_beside_photographs_are_named_and_not_read(shards: Path, said: pytest.LogCaptureFixture) -> None:
    file(shards / "deep" / "one.jpg")
    assert names(shards) == ["shards/deep/one.jpg"]
    assert said.messages == [
        f"{shards}: passed over 1 file of another kind (index.json), 1 hidden file or folder (._1.tar), 4 "
        "archives beside photographs (0.zip, 1.tar, 3.tar, deep/2.tgz); name archives as sources of their own "
        "to read them too"
    ]


def test_a_damaged_archive_in_a_folder_is_refused(shards: Path) -> None:
    file(shards / "1.tar", (shards / "1.tar").read_bytes()[:1300])
    with pytest.raises(InputError, match=f"^{shards}/1.tar: breaks after 1 members, .*; fetch it again$"):
        names(shards)


def test_a_folder_of_archives_without_images(tmp_path: Path) -> None:
    pack(tmp_path / "set" / "1.tar", {"only.txt": b"words"})
    file(tmp_path / "set" / "2.7z")
    with pytest.raises(InputError) as refusal:
        names(tmp_path / "set")
    assert str(refusal.value) == (
        f"{tmp_path}/set: 2 files but no images in it (1 file of another kind (1.tar/only.txt), 1 archive "
        "that cannot be read in place (2.7z)); give a folder of photographs (JPEG, PNG, TIFF, WebP ...)"
    )


def test_a_prefix_of_archives_is_read(shards: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(shards), "/shards", recursive=True)
    expected = ["shards/0.zip/b.jpg", "shards/1.tar/z.jpg", "shards/1.tar/a.jpg", "shards/deep/2.tgz/c"]
    assert names("memory://shards") == expected
    assert names("memory://shards/*.tar") == expected[1:3]
    assert names("memory://shards/**/*.tgz") == expected[3:]
    with pytest.raises(InputError, match=r"^memory://shards/\*.png: nothing there matches"):
        names("memory://shards/*.png")
    memory.rm("/shards", recursive=True)


# Wildcards


def test_wildcards_take_what_matches_and_name_it_as_the_folder_does(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "2019/c.jpg", "2019/d.png", "2019/x/e.jpg", "notes.txt"):
        file(tmp_path / "set" / name)
    everything = sources.find((str(tmp_path / "set"),))
    assert names(tmp_path / "set" / "*.jpg") == ["set/a.jpg", "set/b.jpg"]
    assert names(tmp_path / "set" / "**" / "*.jpg") == [p.name for p in everything if p.name.endswith(".jpg")]
    assert names(tmp_path / "set" / "20??") == ["set/2019/c.jpg", "set/2019/d.png", "set/2019/x/e.jpg"]
    assert sources.find((f"{tmp_path}/set/**",)) == everything
    assert sources.content(sources.find((f"{tmp_path}/set/*",))) == sources.content(everything)
    assert sources.title(f"{tmp_path}/set/**/*.jpg") == "set"


def test_wildcards_for_archives(shards: Path) -> None:
    file(shards / "one.jpg")  # which does not match
    assert names(shards / "**" / "*.t*") == ["shards/1.tar/z.jpg", "shards/1.tar/a.jpg", "shards/deep/2.tgz/c"]


def test_relative_wildcards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path / "set" / "a.jpg")
    monkeypatch.chdir(tmp_path / "set")
    assert names("*.jpg") == names("./*.jpg") == names("../set/*.jpg") == ["set/a.jpg"]
    sources.check(("*.jpg",))


def test_a_name_with_brackets_that_is_there_is_a_name(tmp_path: Path) -> None:
    file(tmp_path / "set [1]" / "a[b].jpg")
    assert names(tmp_path / "set [1]") == ["set [1]/a[b].jpg"]
    assert names(tmp_path / "set [1]" / "a[b].jpg") == ["a[b].jpg"]


def test_no_folder_is_entered_in_which_nothing_can_match(tmp_path: Path) -> None:
    file(tmp_path / "set" / "a.jpg")
    (tmp_path / "set" / "link").symlink_to(tmp_path, target_is_directory=True)  # it would be said
    file(tmp_path / "set" / "deep" / "b.jpg")
    walked: list[str] = []
    walk = os.walk
    with pytest.MonkeyPatch.context() as patched:

        def counted(top: str, **options: object):  # type: ignore[no-untyped-def]
            for found in walk(top, **options):  # type: ignore[call-overload]
                walked.append(found[0])
                yield found

        patched.setattr(os, "walk", counted)
        assert names(tmp_path / "set" / "*.jpg") == ["set/a.jpg"]
    assert walked == [str(tmp_path / "set")]


def test_wildcards_that_match_nothing(tmp_path: Path) -> None:
    file(tmp_path / "set" / "a.jpg")
    file(tmp_path / "set" / "notes.txt")
    for look in (sources.find, sources.check):
        with pytest.raises(InputError) as refusal:
            look((f"{tmp_path}/set/*.png",))
        assert str(refusal.value) == f"{tmp_path}/set/*.png: nothing there matches; check the wildcards"
        with pytest.raises(InputError, match=r"\*.txt: 1 files but no images in it \(1 file of another kind"):
            look((f"{tmp_path}/set/*.txt",))
        with pytest.raises(InputError, match="^.*/gone: no such folder or file"):
            look((f"{tmp_path}/gone/*.jpg",))
