"""Archives read in place: order, identity, every member's bytes; and a damaged archive is never a shorter listing."""

import io
import multiprocessing
import os
import pickle
import random
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ced.core.images import Rejected
from ced.data import sources
from ced.data.sources import archives, files
from ced.data.sources.photograph import Location
from ced.errors import InputError

KINDS = (".tar", ".tar.gz", ".tgz", ".zip")
MEMBERS = {"b/two.jpg": b"2" * 700, "a.png": b"1", "b/one.JPEG": b"", "notes.txt": b"words", "c d/é\n例.jpg": b"c" * 99}
IMAGES = ["b/two.jpg", "a.png", "b/one.JPEG", "c d/é\n例.jpg"]


def pack(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("kind", KINDS)
def test_the_images_of_an_archive_in_its_own_order(tmp_path: Path, kind: str) -> None:
    path = pack(tmp_path / f"set{kind}", MEMBERS)
    found = sources.find((str(path),))
    assert [p.name for p in found] == [f"set{kind}/{name}" for name in IMAGES]
    assert [sources.read(p) for p in found] == [MEMBERS[name] for name in IMAGES]
    assert [p.size for p in found] == [len(MEMBERS[name]) for name in IMAGES]
    assert {p.path for p in found} == {str(path)}


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_pattern_exactly_what_matches_whatever_its_suffix(tmp_path: Path, kind: str) -> None:
    path = str(pack(tmp_path / f"set{kind}", MEMBERS))
    assert [p.name for p in sources.find((path,), "b/*")] == [f"set{kind}/b/two.jpg", f"set{kind}/b/one.JPEG"]
    assert [p.name for p in sources.find((path,), "*.txt")] == [f"set{kind}/notes.txt"]
    with pytest.raises(InputError, match=r"none of its 5 files matches '\*/test/\*.JPEG'") as refusal:
        sources.find((path,), "*/test/*.JPEG")
    assert path in str(refusal.value)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12), st.sampled_from(KINDS), st.randoms())
def test_every_member_has_the_bytes_put_in(sizes: list[int], kind: str, order: random.Random) -> None:
    members = {f"{number}.jpg": noise(size, number) for number, size in enumerate(sizes)}
    with tempfile.TemporaryDirectory() as folder:
        found = sources.find((str(pack(Path(folder, f"x{kind}"), members)),), cache=Path(folder, "cache"))
        order.shuffle(found)
        assert {p.name.split("/")[1]: sources.read(p) for p in found} == members


@pytest.mark.parametrize("kind", KINDS)
def test_members_beyond_the_first_place_of_an_index(tmp_path: Path, kind: str) -> None:
    members = {f"{n}.jpg": noise(900_000, n) + bytes(100_000) for n in range(14)}
    found = sources.find((str(pack(tmp_path / f"x{kind}", members)),))
    for photograph in reversed(found):
        assert sources.read(photograph) == members[photograph.name.split("/")[1]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(tmp_path: Path, kind: str, method: str) -> None:
    members = {f"{n}.jpg": noise(50_000, n) for n in range(20)}
    found = sources.find((str(pack(tmp_path / f"x{kind}", members)),))
    sources.read(found[0])  # opened here before it is forked
    assert pickle.loads(pickle.dumps(found)) == found
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(sources.read, found, chunksize=1) == list(members.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tenth", range(10))
def test_a_cut_archive_is_a_failed_download(tmp_path: Path, kind: str, tenth: int) -> None:
    path = pack(tmp_path / f"set{kind}", {f"{n}.jpg": noise(20_000, n) for n in range(20)})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * tenth // 10])
    with pytest.raises(InputError, match="breaks after [0-9]+ members, .*; fetch it again") as refusal:
        sources.find((str(path),), cache=tmp_path / "cache")
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
    assert not list((tmp_path / "cache").rglob("*.parquet"))


@pytest.mark.parametrize("cut", [1, 100, 511, 512, 513, 1023])
def test_a_tar_cut_where_tarfile_notices_nothing(tmp_path: Path, cut: int) -> None:
    path = pack(tmp_path / "set.tar", {f"{n}.jpg": noise(512, n) for n in range(4)})
    path.write_bytes(path.read_bytes()[: 4 * 1024 - cut])
    with pytest.raises(InputError, match="breaks after [34] members"):
        sources.find((str(path),))
    path.write_bytes(path.read_bytes()[: 3 * 1024])  # between two members
    with pytest.raises(InputError, match="breaks after 3 members"):
        sources.find((str(path),))


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 12])
def test_a_compressed_tar_without_its_checksum(tmp_path: Path, cut: int) -> None:
    path = pack(tmp_path / "set.tar.gz", MEMBERS)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match="breaks after 5 members"):
        sources.find((str(path),))


@pytest.mark.parametrize("kind", [".tar", ".tar.gz"])
def test_a_damaged_byte_in_the_middle(tmp_path: Path, kind: str) -> None:
    """Of a plain tar a header, of a compressed one anything."""
    path = pack(tmp_path / f"set{kind}", {f"{n}.jpg": noise(512, n) for n in range(8)})
    data = bytearray(path.read_bytes())
    data[4 * 1024 + 3 if kind == ".tar" else len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(InputError, match="breaks after [0-9]+ members"):
        sources.find((str(path),))


def test_a_zip_whose_directory_lost_entries(tmp_path: Path) -> None:
    path = pack(tmp_path / "set.zip", {f"{n}.jpg": b"1" for n in range(4)})
    data = bytearray(path.read_bytes())
    data[-22 + 12] -= 51  # the size of the directory: an entry of 46 bytes and a name of 5
    del data[data.rindex(b"PK\x01\x02") : -22]
    path.write_bytes(data)
    with pytest.raises(InputError, match="breaks after 0 members"):
        sources.find((str(path),))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", noise(5000), b"\x1f\x8b" + noise(400)])
def test_no_archive_at_all(tmp_path: Path, kind: str, data: bytes) -> None:
    path = tmp_path / f"set{kind}"
    path.write_bytes(data)
    with pytest.raises(InputError, match="breaks after 0 members, a failed download or no archive at all"):
        sources.find((str(path),))


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_without_images(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"1 files but no images in it"):
        sources.find((str(pack(tmp_path / f"set{kind}", {"notes.txt": b"words"})),))
    with pytest.raises(InputError, match=r"no files in it"):
        sources.find((str(pack(tmp_path / f"none{kind}", {})),))


@pytest.mark.parametrize("name", ["set.tar.bz2", "set.TXZ", "set.7z"])
def test_an_archive_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"cannot be read in place; use .tar, .tar.gz or .zip"):
        sources.find((str(tmp_path / name),))


def test_a_member_without_bytes_of_its_own_is_set_aside_and_a_folder_is_none(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.jpg")
            info.type, info.linkname = kind, "real.jpg"
            archive.addfile(info)
        info = tarfile.TarInfo("./real.jpg")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    *others, real = sources.find((str(path),))
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
    assert [p.name for p in others] == [f"set.tar/{kind.decode()}.jpg" for kind in kinds]
    for other in others:
        with pytest.raises(Rejected, match="unreadable: a link or a sparse file in a tar"):
            sources.read(other)
    assert (real.name, sources.read(real)) == ("set.tar/real.jpg", b"abc")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.mkdir("folder.jpg")
        archive.writestr("real.jpg", b"abc")
    assert [p.name for p in sources.find((str(tmp_path / "set.zip"),))] == ["set.zip/real.jpg"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_would_leave_the_archive_or_come_twice(tmp_path: Path, kind: str) -> None:
    members = {"../../up.jpg": b"1", "/root.jpg": b"2", "a/./b/../c.jpg": b"3", "a/c.jpg": b"4"}
    found = sources.find((str(pack(tmp_path / f"x{kind}", members)),))
    names = ["up.jpg", "root.jpg", "a/c.jpg"]
    assert [p.name for p in found] == [f"x{kind}/{name}" for name in names] + [f"2/x{kind}/a/c.jpg"]
    assert [sources.read(p) for p in found] == [b"1", b"2", b"3", b"4"]


def test_a_members_name_that_is_no_text(tmp_path: Path) -> None:
    (found,) = sources.find((str(pack(tmp_path / "x.tar", {os.fsdecode(b"\xff.jpg"): b"1"})),))
    assert found.name == "x.tar/\\xff.jpg"
    assert sources.read(found) == b"1"


def test_an_encrypted_or_unknown_member_of_a_zip(tmp_path: Path) -> None:
    path = pack(tmp_path / "set.zip", {"a.jpg": b"1" * 100})
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    for offset, value, clause in ((8, 1, "unreadable: encrypted"), (10, 99, "unreadable: compression method 99")):
        spoiled = bytearray(data)
        spoiled[directory + offset] = value
        spoiled[offset - 2] = value
        path.write_bytes(spoiled)
        (found,) = sources.find((str(path),), cache=tmp_path / str(value))
        with pytest.raises(Rejected, match=clause):
            sources.read(found)


def test_a_damaged_member_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"A" * 1000)
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AABA", 1))
    (found,) = sources.find((str(path),))
    with pytest.raises(Rejected) as refusal:
        sources.read(found)
    assert (refusal.value.reason, refusal.value.message) == ("damaged", "its checksum in the archive is wrong")


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_larger_than_the_limit_is_not_read(tmp_path: Path, kind: str) -> None:
    (found,) = sources.find((str(pack(tmp_path / f"x{kind}", {"a.jpg": bytes(101)})),))
    assert sources.read(found, 101) == bytes(101)
    with pytest.raises(Rejected, match="too large: 101 bytes, the limit is 100"):
        sources.read(found, 100)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_changed_or_gone_after_its_listing(tmp_path: Path, kind: str) -> None:
    path = pack(tmp_path / f"x{kind}", {"a.jpg": bytes(50)})
    (found,) = sources.find((str(path),))
    for spoil in (lambda: pack(path, {"b.jpg": noise(900)}), path.unlink):
        spoil()
        with pytest.raises(Rejected, match="unreadable: the archive is gone or has changed since it was listed"):
            sources.read(found)


@pytest.mark.parametrize("kind", [".tar", ".tar.gz"])
def test_a_member_that_ends_early(tmp_path: Path, kind: str) -> None:
    (found,) = sources.find((str(pack(tmp_path / f"x{kind}", {"a.jpg": bytes(50)})),))
    with pytest.raises(Rejected, match=f"truncated: [0-9]+ of {10**6} bytes in the archive"):
        sources.read(found._replace(size=10**6))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_listing_does_not_read_the_archive(tmp_path: Path, kind: str) -> None:
    path, cache = pack(tmp_path / f"x{kind}", MEMBERS), tmp_path / "cache"
    first = sources.find((str(path),), cache=cache)
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)  # nothing of it is left but its size and time
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert sources.find((str(path),), cache=cache) == first
    assert [p.name for p in sources.find((str(path),), "b/t*", cache)] == [f"x{kind}/b/two.jpg"]
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="breaks after 0 members"):
        sources.find((str(path),), cache=cache)


def test_an_unfinished_listing_is_made_again(tmp_path: Path) -> None:
    path, cache = pack(tmp_path / "x.tar.gz", MEMBERS), tmp_path / "cache"
    first = sources.find((str(path),), cache=cache)
    (place,) = cache.iterdir()
    (place / archives.LISTING).unlink()
    (place / archives.INDEX).write_bytes(b"half")
    assert sources.find((str(path),), cache=cache) == first
    assert sources.read(first[0]) == MEMBERS["b/two.jpg"]
    assert sorted(p.name for p in place.iterdir()) == [archives.INDEX, archives.LISTING]


def test_the_content_is_that_of_the_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar.gz", MEMBERS)
    digests = [sources.content(sources.find((str(path),), cache=tmp_path / c)) for c in ("one", "two")]
    os.utime(path, ns=(1, 1))
    digests.append(sources.content(sources.find((str(path),), cache=tmp_path / "one")))
    assert digests[0] == digests[1] != digests[2]


def test_an_archive_of_another_kind_is_refused_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "locate", lambda source: Location(source, "file", "1 2", 1))
    with pytest.raises(InputError) as refusal:
        sources.find(("s3://KEY:PASS@bucket/a.rar?endpoint_override=host",))
    assert str(refusal.value) == "s3://bucket/a.rar: cannot be read in place; use .tar, .tar.gz or .zip, or unpack it"


def test_a_folder_that_is_named_as_an_archive_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set.zip").mkdir()
    (tmp_path / "set.zip" / "a.jpg").write_bytes(b"x")
    (found,) = sources.find((str(tmp_path / "set.zip"),))
    assert (found.name, found.kind, sources.read(found)) == ("set.zip/a.jpg", "files", b"x")
