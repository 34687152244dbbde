"""Several sources at once, and lists of files."""

import os
import tarfile
from pathlib import Path

import pytest

from ced.core.images import Rejected
from ced.data import sources as photographs
from ced.data.sources import Photograph
from ced.errors import InputError


def file(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(*sources: object, pattern: str = "") -> list[str]:
    return [p.name for p in photographs.find(tuple(map(str, sources)), pattern)]


def test_sources_stay_in_the_order_given_and_folders_are_sorted(tmp_path: Path) -> None:
    for name in ("z/b.jpg", "z/a/c.jpg", "z/B.jpg", "a/one.jpg"):
        file(tmp_path / name)
    with tarfile.open(tmp_path / "m.tar", "w") as archive:
        for name in ("b.jpg", "a.jpg"):
            archive.add(tmp_path / "a" / "one.jpg", name)
    single = file(tmp_path / "single.raw")
    found = names(tmp_path / "z", tmp_path / "m.tar", "builtin:test", single, tmp_path / "a")
    assert found == [
        *("z/B.jpg", "z/a/c.jpg", "z/b.jpg", "m.tar/b.jpg", "m.tar/a.jpg"),
        *("skimage/chelsea.png", "skimage/coffee.png", "single.raw", "a/one.jpg"),
    ]


def test_the_same_source_twice_has_two_identities(tmp_path: Path) -> None:
    file(tmp_path / "set" / "a.jpg")
    file(tmp_path / "set" / "2" / "set" / "a.jpg")
    twice = names(*[tmp_path / "set"] * 3)
    assert twice[:2] == ["set/2/set/a.jpg", "set/a.jpg"]
    assert twice[2:] == [f"{n}/{name}" for n in (2, 3) for name in twice[:2]]


def test_a_pattern_is_of_the_path_within_the_source(tmp_path: Path) -> None:
    for name in ("val/a.JPEG", "x/test/a.JPEG", "x/test/y/b.JPEG", "x/test/b.jpeg", "x/test/n.txt", "x/test/._a.JPEG"):
        file(tmp_path / "set" / name)
    taken = ["set/x/test/._a.JPEG", "set/x/test/a.JPEG", "set/x/test/y/b.JPEG"]
    assert names(tmp_path / "set", pattern="*/test/*.JPEG") == taken
    assert names(tmp_path / "set", pattern="*.txt") == ["set/x/test/n.txt"]
    assert names(tmp_path / "set", pattern="val/[a-c].????") == ["set/val/a.JPEG"]
    assert names("builtin:train", pattern="*.jpg")[0] == "skimage/hubble_deep_field.jpg"
    for source in (tmp_path / "set", tmp_path / "set" / "val" / "a.JPEG", "builtin:train"):
        with pytest.raises(InputError, match=f"{source}: none of its [0-9]+ files matches 'set/"):
            photographs.find((str(source),), "set/*.JPEG")


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


def test_files_larger_than_the_limit_are_not_read(tmp_path: Path) -> None:
    (found,) = photographs.find((str(file(tmp_path / "a.jpg", bytes(11))),))
    assert photographs.read(found, 11) == bytes(11)
    with pytest.raises(Rejected, match="too large: 11 bytes, the limit is 10"):
        photographs.read(found, 10)


def test_the_content_is_of_names_stamps_and_sizes_alone() -> None:
    one = Photograph("a", "/x/a", "1 2", 1)
    assert photographs.content([one]) == photographs.content([one._replace(path="/y/a", member=5, index="/i")])
    others = [one._replace(name="b"), one._replace(stamp="1 3"), one._replace(size=2)]
    assert len({photographs.content(found) for found in ([one], [], [one, one], *([other] for other in others))}) == 6


def test_a_first_look_finds_the_mistakes_that_the_listing_would(tmp_path: Path) -> None:
    file(tmp_path / "set" / "below" / "a.jpg")
    file(tmp_path / "words" / "a.txt")
    (tmp_path / "empty").mkdir()
    photographs.check((str(tmp_path / "set"), "builtin:test", "s3://far/away"))
    photographs.check((str(tmp_path / "words"),), pattern="*.txt")
    photographs.check((str(tmp_path / "words" / "a.txt"),))
    for sources, pattern, clause in (
        ((), "", "no photographs given"),
        ((str(tmp_path / "set"), str(tmp_path / "gone")), "", "gone: no such folder"),
        ((str(tmp_path / "empty"),), "", "no files in it"),
        ((str(tmp_path / "words"),), "", "1 files but no images"),
        ((str(tmp_path / "set"),), "*.png", "png"),
        (("builtin:tests",), "", "unknown"),
    ):
        for look in (photographs.check, photographs.find):
            with pytest.raises(InputError, match=clause):
                look(sources, pattern)


def test_a_first_look_ends_at_the_first_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        file(tmp_path / f"{number:02d}" / "a.jpg")
    seen: list[str] = []
    walk = os.walk

    def counted(top: str, **options: object):  # type: ignore[no-untyped-def]
        for found in walk(top, **options):  # type: ignore[call-overload]
            seen.append(found[0])
            yield found

    monkeypatch.setattr(os, "walk", counted)
    photographs.check((str(tmp_path),))
    assert len(seen) == 2
