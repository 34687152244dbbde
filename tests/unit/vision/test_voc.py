"""VOC folders: both layouts give the same scenes, and bad ones one clear line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.core.images import Rejected
from ced.errors import FormatError, InputError
from ced.vision import voc
from ced.vision.objects import CLASSES

REAL = Path(__file__).parents[4] / "shared" / "data" / "voc2007-val"
Edit = Callable[[Callable[[dict], object]], str]


@pytest.fixture
def folder(tiny_voc: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_voc, tmp_path / "voc"))


@pytest.fixture
def devkit(tiny_voc: Path, tmp_path: Path) -> Path:
    """The same images as a VOCdevkit with XML, 1-based and inclusive."""
    root = tmp_path / "VOCdevkit" / "VOC2007"
    for name in ("JPEGImages", "SegmentationClass"):
        shutil.copytree(tiny_voc / name, root / name)
    (root / "Annotations").mkdir()
    stored = json.loads((tiny_voc / "boxes.json").read_text())
    for name, one in stored.items():
        objects = "".join(map(element, one["objects"]))
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation><size/>{objects}</annotation>")
    for kind in ("Segmentation", "Main"):
        (root / "ImageSets" / kind).mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000001\n2007_000002\n\n2007_000003\n")
    return root


def element(one: dict) -> str:
    x1, y1, x2, y2 = one["bbox"]
    box = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    hard = one.get("difficult", 0)
    return f"<object><name>{one['class']}</name><difficult>{hard}</difficult>{part}<bndbox>{box}</bndbox></object>"


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Change boxes.json; the folder."""

    def change(how: Callable[[dict], object]) -> str:
        stored = json.loads((folder / "boxes.json").read_text())
        how(stored)
        (folder / "boxes.json").write_text(json.dumps(stored))
        return str(folder)

    return change


def test_boxes_json_is_read_as_it_stands(tiny_voc: Path) -> None:
    scenes = voc.find(str(tiny_voc))
    assert [scene.name for scene in scenes] == [f"2007_{number:06d}" for number in range(4)]
    third = scenes[2].objects
    assert third.boxes.tolist() == [[32, 0, 48, 16], [48, 32, 64, 48]]
    assert [CLASSES[number] for number in third.classes] == ["person", "dog"]
    assert not third.difficult.any()


def test_a_devkit_gives_the_same_scenes(tiny_voc: Path, devkit: Path) -> None:
    from_json = voc.find(str(tiny_voc))
    for root in (devkit, devkit.parent):
        found = voc.find(str(root))
        assert [one[3:] for one in found] == [one[3:] for one in from_json]
        assert voc.content(found) == voc.content(from_json)


def test_difficult_is_read_in_both(devkit: Path, edit: Edit) -> None:
    folder = edit(lambda stored: stored["2007_000002"]["objects"][1].update(difficult=1))
    path = devkit / "Annotations" / "2007_000002.xml"
    hard = path.read_text().rsplit("<difficult>0<", 1)
    path.write_text("<difficult>1<".join(hard))
    for root in (folder, str(devkit)):
        assert voc.find(root)[2].difficult == [False, True]


@pytest.mark.parametrize("split", ["val", "train"])
def test_a_split_of_boxes_json(tiny_voc: Path, split: str) -> None:
    assert [s.name for s in voc.find(str(tiny_voc), split)] == [
        f"2007_{n:06d}" for n in ([1, 2, 3] if split == "val" else [0])
    ]


def test_a_split_of_a_devkit(devkit: Path) -> None:
    assert [scene.name for scene in voc.find(str(devkit), "val")] == ["2007_000001", "2007_000002", "2007_000003"]
    with pytest.raises(InputError, match="--split test: no .*test.txt; sets that are there: val"):
        voc.find(str(devkit), "test")


def test_only_images_labelled_for_both_are_taken(folder: Path, edit: Edit) -> None:
    (folder / "SegmentationClass" / "2007_000001.png").unlink()
    edit(lambda stored: stored["2007_000003"].update(objects=[]))
    assert [scene.name for scene in voc.find(str(folder))] == ["2007_000000", "2007_000002"]


def test_the_digest_changes_with_images_masks_and_boxes(folder: Path, edit: Edit) -> None:
    seen = {voc.content(voc.find(str(folder)))}
    edit(lambda stored: stored["2007_000000"]["objects"][0].update(difficult=1))
    seen.add(voc.content(voc.find(str(folder))))
    for name in ("JPEGImages", "SegmentationClass"):
        path = folder / name / "2007_000000.png"
        path.write_bytes(path.read_bytes() + b"\0")
        seen.add(voc.content(voc.find(str(folder))))
    assert len(seen) == 4


def test_an_image_and_its_mask(tiny_voc: Path) -> None:
    rgb, mask = voc.read(voc.find(str(tiny_voc))[0])
    assert (rgb.shape, mask.shape) == ((48, 64, 3), (48, 64))
    assert (mask[:16, :16] == 15).all() and (rgb[:16, :16] == (255, 0, 0)).all()
    assert sorted(np.unique(mask)) == [0, 15, 255]


def no_masks(root: Path) -> None:
    shutil.rmtree(root / "SegmentationClass")


def no_boxes(root: Path) -> None:
    (root / "boxes.json").unlink()


def no_images(root: Path) -> None:
    shutil.rmtree(root / "JPEGImages")


def one_image_less(root: Path) -> None:
    (root / "JPEGImages" / "2007_000001.png").unlink()


def all_masks_gone(root: Path) -> None:
    for path in (root / "SegmentationClass").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_masks, "no SegmentationClass/ in it; detection and segmentation need both labels"),
        (no_boxes, "no Annotations/ and no boxes.json in it"),
        (no_images, "no JPEGImages/ in it; name a VOC folder such as VOCdevkit/VOC2007"),
        (one_image_less, "2007_000001.jpg: labelled, but not there; put it back or take out its labels"),
        (all_masks_gone, "no image has both boxes and a mask"),
    ],
)
def test_bad_folders_are_one_clear_line(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        voc.find(str(folder))
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_several_years(tmp_path: Path, devkit: Path) -> None:
    with pytest.raises(InputError, match="no such folder; name a VOC folder with --voc"):
        voc.find(str(tmp_path / "gone"))
    shutil.copytree(devkit, devkit.with_name("VOC2012"))
    with pytest.raises(InputError, match="several years \\(VOC2007, VOC2012\\); name one of them"):
        voc.find(str(devkit.parent))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "unicorn"}, "2007_000000 has an object 'unicorn', which is no class of VOC"),
        ({"bbox": [5, 5, 5, 9]}, "2007_000000 has a box \\[5.0, 5.0, 5.0, 9.0\\]"),
        ({"bbox": [1, 2, 3]}, "2007_000000 has a box \\[1.0, 2.0, 3.0\\]"),
        ({"bbox": "words"}, "not boxes as docs/vision.md describes them"),
        ({"bbox": None}, "not boxes as docs/vision.md describes them"),
    ],
)
def test_bad_boxes_are_one_clear_line(edit: Edit, change: dict, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        voc.find(edit(lambda stored: stored["2007_000000"]["objects"][0].update(change)))


@pytest.mark.parametrize("text", ["[]", "words", '{"a": 1}', '{"a": {"split": "val"}}'])
def test_other_json_is_one_clear_line(folder: Path, text: str) -> None:
    (folder / "boxes.json").write_text(text)
    with pytest.raises(FormatError, match="boxes.json: not boxes as docs/vision.md describes them"):
        voc.find(str(folder))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "not an annotation of VOC"),
        ("<a><object><name>dog</name></object></a>", "has a box \\[nan, nan, nan, nan\\]"),
        ("<a><object><bndbox><xmin>one</xmin></bndbox></object></a>", "not an annotation of VOC"),
    ],
)
def test_bad_annotations_are_one_clear_line(devkit: Path, text: str, message: str) -> None:
    (devkit / "Annotations" / "2007_000001.xml").write_text(text)
    with pytest.raises(FormatError, match=message):
        voc.find(str(devkit))


def test_a_mask_is_opened_as_photographs_are(folder: Path) -> None:
    """Formats that ced does not list, and sizes beyond the limits, are no masks."""
    mask = folder / "SegmentationClass" / "2007_000000.png"
    for size, kind, reason in (((64, 48), "PCX", "not an image"), ((70_000, 1), "PNG", "70000x1 pixels, the limit")):
        Image.new("L", size).save(mask, kind)
        with pytest.raises(Rejected, match=reason):
            voc.read(voc.find(str(folder))[0])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((48, 64), 21, np.uint8), "its mask has the value 21; classes are 0 to 20"),
        (np.zeros((48, 63), np.uint8), "its mask has 63x48 pixels"),
        (np.zeros((48, 64, 3), np.uint8), "its mask is RGB"),
    ],
)
def test_bad_masks_say_why(folder: Path, mask: np.ndarray, message: str) -> None:
    Image.fromarray(mask).save(folder / "SegmentationClass" / "2007_000000.png")
    with pytest.raises(Rejected, match=message):
        voc.read(voc.find(str(folder))[0])


def test_bad_images_say_why(folder: Path) -> None:
    (folder / "JPEGImages" / "2007_000000.png").write_bytes(b"words")
    (folder / "SegmentationClass" / "2007_000001.png").write_bytes(b"words")
    scenes = voc.find(str(folder))
    with pytest.raises(Rejected, match="not an image"):
        voc.read(scenes[0])
    with pytest.raises(Rejected, match="not an image: its mask: "):
        voc.read(scenes[1])


@pytest.mark.skipif(not REAL.is_dir(), reason="VOC 2007 is not on this machine")
def test_the_real_images() -> None:
    scenes = voc.find(str(REAL))
    assert (len(scenes), sum(len(s.boxes) for s in scenes), sum(map(sum, (s.difficult for s in scenes)))) == (
        213,
        582,
        98,
    )
    for scene in scenes[::40]:
        rgb, mask = voc.read(scene)
        assert rgb.shape[:2] == mask.shape
        assert 255 in mask
        assert scene.objects.boxes[:, 2].max() <= rgb.shape[1] and scene.objects.boxes[:, 3].max() <= rgb.shape[0]
