"""Several sources at once; and a kind of source that is declared here alone."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ced.config import PrepareConfig
from ced.core.images import Rejected
from ced.data import prepare
from ced.data import sources as photographs
from ced.data.sources import Photograph, SourceKind
from ced.errors import ConfigError, InputError
from ced.store.outputs import Store
from ced.store.session import Session


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


def toy_find(source: str, pattern: str, cache: Path | None) -> list[Photograph]:
    return [Photograph(f"toy/{number}", f"{source}/{number}", "never changes", kind="toy") for number in range(3)]


def toy_read(photograph: Photograph, max_bytes: int) -> bytes:
    """A gray square; number 1 is broken."""
    number = int(photograph.path.rpartition("/")[2])
    if number == 1:
        raise Rejected("unreadable", "the toy is broken")
    stream = io.BytesIO()
    Image.fromarray(np.full((40, 40), 100 * number, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.usefixtures("tasks_here")
def test_a_kind_of_source_that_is_declared_here_alone_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs.KINDS, "_entries", {})
    photographs.KINDS.add("toy", SourceKind(lambda source: source.startswith("toy:"), toy_find, toy_read))
    photographs.check(("toy:gray", "builtin:test"))
    assert names("toy:gray", "builtin:test")[2:4] == ["toy/2", "skimage/chelsea.png"]
    output = prepare.run(PrepareConfig(size=32), ("toy:gray",), Session(Store(tmp_path)))
    assert prepare.quarantined(output) == [{"source": "toy/1", "reason": "unreadable", "message": "the toy is broken"}]
    examples = pq.read_table(output.path / "examples").to_pylist()
    assert [row["image_id"] for row in examples] == ["toy/0", "toy/0", "toy/2", "toy/2"]
    assert {row["target"][0] for row in examples} == {16, 188}  # luminance of 0 and 200


def test_a_photograph_of_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown kind of source .toy."):
        photographs.read(Photograph("a", "/a", "", kind="toy"))


def test_the_builtin_photographs_are_there_and_apart() -> None:
    train, test = (photographs.find((name,)) for name in ("builtin:train", "builtin:test"))
    assert (len(train), len(test)) == (12, 2)
    assert not {p.name for p in train} & {p.name for p in test}
    assert all(Path(p.path).is_file() for p in train + test)
    with pytest.raises(InputError, match="unknown; use builtin:train or builtin:test"):
        photographs.find(("builtin:other",))
