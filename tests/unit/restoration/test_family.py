"""Which restorer a file gets."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.core import images, jpeg
from ced.core.images import Rejected
from ced.decoding import decoded
from ced.errors import FormatError
from ced.restoration.family import FAITHFUL, RELEASED, Family, FamilyMember, files_of
from ced.restoration.restorer import Restorer

PHOTOGRAPH = data.coffee()[:48, :64]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize(
    ("quality", "colour", "folder"),
    [
        (1, "y", "y-q10"),
        (12, "y", "y-q10"),
        (13, "y", "y-q20"),
        (24, "rgb", "rgb-q20"),
        (25, "rgb", "rgb"),
        (100, "y", "y"),
        (None, "rgb", "rgb"),
    ],
)
def test_the_first_member_that_reaches_a_quality_restores_it(quality: int | None, colour: str, folder: str) -> None:
    member = Family.load(RELEASED).member(quality, colour)
    assert member is not None and member.folder == RELEASED / folder


def test_gray_goes_to_a_member_for_colour_where_none_is_for_gray_but_not_the_other_way() -> None:
    of_colour = Family((FamilyMember(Path("c"), ("rgb",)),))
    assert of_colour.member(10, "y") == of_colour.members[0]
    assert Family((FamilyMember(Path("g"), ("y",)),)).member(10, "rgb") is None


@pytest.mark.parametrize(("folder", "highest"), [(RELEASED, 70), (FAITHFUL, 90)])
def test_files_that_would_become_worse_are_left_as_they_are(folder: Path, highest: int) -> None:
    family = Family.load(folder)
    worst, good = jpeg.encode(PHOTOGRAPH, highest), jpeg.encode(PHOTOGRAPH, highest + 1)
    assert family.choose(decoded(worst)).restorer is not None and family.choose(decoded(good)).restorer is None
    assert family.restore_bytes(good) == images.png(jpeg.decode(good))
    assert np.array_equal(pixels(family.restore_bytes(good)), jpeg.decode(good))
    assert family.everything().choose(decoded(good)).restorer is not None


def test_a_single_restorer_is_a_family_of_one() -> None:
    family = Family.load(RELEASED / "y-q10")
    stream = jpeg.encode(PHOTOGRAPH, 95)
    expected = Restorer.load(RELEASED / "y-q10").restore_bytes(stream)
    assert family.restore_bytes(stream) == expected
    assert Family.load(RELEASED / "rgb").members[0].colours == ("rgb",)


def test_what_is_no_image_is_rejected() -> None:
    with pytest.raises(Rejected):
        Family.load(FAITHFUL).restore_bytes(b"words")


def test_a_family_can_be_copied_file_by_file(tmp_path: Path) -> None:
    for name, path in files_of(RELEASED).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / name)
    stream = jpeg.encode(PHOTOGRAPH, 20)
    assert Family.load(tmp_path).restore_bytes(stream) == Family.load(RELEASED).restore_bytes(stream)
    assert set(files_of(RELEASED / "y")) == {path.name for path in (RELEASED / "y").iterdir()}


@pytest.mark.parametrize(
    "described",
    [
        "{",
        "[]",
        '{"format": "ced-family", "version": 9, "members": []}',
        '{"format": "ced-family", "version": 1}',
        json.dumps({"format": "ced-family", "version": 1, "members": [{"folder": "../other", "colours": ["y"]}]}),
        json.dumps({"format": "ced-family", "version": 1, "members": [{"folder": "gone", "colours": ["y"]}]}),
        json.dumps({"format": "ced-family", "version": 1, "members": []}),
    ],
)
def test_what_is_no_family_is_one_line(tmp_path: Path, described: str) -> None:
    shutil.copytree(RELEASED / "y", tmp_path / "other")
    (tmp_path / "family").mkdir()
    (tmp_path / "family" / "family.json").write_text(described)
    with pytest.raises(FormatError, match=r"family\.json: ") as caught:
        Family.load(tmp_path / "family")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["family.json", "two members swapped"])
def test_a_family_that_was_altered_is_named(tmp_path: Path, what: str) -> None:
    shutil.copytree(RELEASED, tmp_path / "family")
    path = tmp_path / "family" / "family.json"
    if what == "family.json":
        path.write_text(path.read_text().replace('"leave_above": 70', '"leave_above": 71'))
    else:
        for old, new in (("y-q10", "x"), ("y-q20", "y-q10"), ("x", "y-q20")):
            (tmp_path / "family" / old).rename(tmp_path / "family" / new)
        path = tmp_path / "family" / "y-q10" / "restorer.json"
    with pytest.raises(FormatError, match=f"{path}: altered since it was made"):
        Family.load(tmp_path / "family")


def test_what_comes_with_ced_has_digests() -> None:
    for path in (*RELEASED.rglob("restorer.json"), *RELEASED.rglob("family.json")):
        assert set(json.loads(path.read_text())["sha256"]) > {""}, path
