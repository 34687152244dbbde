"""Pascal VOC folders: the images that are labelled for both detection and segmentation (section 4.4).

Two layouts: the devkit's own (Annotations/*.xml, ImageSets/, SegmentationClass/*.png), and one `boxes.json` instead
of Annotations: {name: {"split", "size", "objects": [{"class", "bbox": [x1, y1, x2, y2], "difficult"}]}} with boxes
0-based and half open.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from ced.core.images import Rejected, decode_rgb, opened
from ced.decoding import guarded
from ced.errors import FormatError, InputError
from ced.vision.objects import CLASSES, SEGMENTS, VOID, Objects

IMAGES, MASKS, ANNOTATIONS, BOXES, SETS = "JPEGImages", "SegmentationClass", "Annotations", "boxes.json", "ImageSets"


class Scene(NamedTuple):
    """An image with its labels: what a worker needs to know of it."""

    name: str
    image: str  # path
    mask: str  # path
    boxes: list[list[float]]  # x1, y1, x2, y2, 0-based and half open
    classes: list[int]  # indices in ced.vision.objects.CLASSES
    difficult: list[bool]

    @property
    def objects(self) -> Objects:
        return Objects.of(self.boxes, self.classes, self.difficult)


def find(folder: str, split: str = "") -> list[Scene]:
    """All images of a VOC folder with boxes and a mask, by name; with `split` those of that image set alone.

    `folder` is a VOCdevkit with one year in it, a year's folder, or one with boxes.json. Raises InputError where there
    is no such layout or no such image, FormatError for annotations that do not say what they should.
    """
    root = _root(Path(folder))
    labelled = _from_json(root / BOXES, split) if (root / BOXES).is_file() else _from_xml(root, split)
    scenes = [
        Scene(name, str(_image(root, name)), str(root / MASKS / f"{name}.png"), *labels)
        for name, labels in sorted(labelled.items())
        if labels[0] and (root / MASKS / f"{name}.png").is_file()
    ]
    if not scenes:
        which = f" of the set {split!r}" if split else ""
        raise InputError(
            f"{folder}: no image{which} has both boxes and a mask in {MASKS}/; name a VOC folder with both"
        )
    return scenes


def content(scenes: list[Scene]) -> str:
    """A digest of the images, masks and boxes, whatever folder they are in."""
    digest = hashlib.sha256()
    for scene in scenes:
        for path in (scene.image, scene.mask):
            digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        digest.update(json.dumps([scene.name, scene.boxes, scene.classes, scene.difficult]).encode())
    return digest.hexdigest()[:16]


def read(scene: Scene, again: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The image and its mask. Shape: (H, W, 3) uint8, (H, W) uint8 in 0..20 or 255. Raises Rejected.

    `again`: whether this process was begun again, since it ended while it read them (ced.decoding.guarded).
    """
    try:
        image, labels = Path(scene.image).read_bytes(), Path(scene.mask).read_bytes()
    except OSError as error:
        raise Rejected("unreadable", str(error)) from error
    rgb = guarded(functools.partial(decode_rgb, image), again)
    try:
        mode, mask = guarded(functools.partial(_palette, labels), again)
    except Rejected as error:
        raise Rejected(error.reason, f"its mask: {error.message}") from error
    if mode not in ("P", "L"):
        raise Rejected("damaged", f"its mask is {mode}, not a palette image whose values are classes")
    if mask.shape != rgb.shape[:2]:
        raise Rejected("damaged", f"its mask has {mask.shape[1]}x{mask.shape[0]} pixels, the image other numbers")
    if (strange := mask[(mask >= len(SEGMENTS)) & (mask != VOID)]).size:
        raise Rejected("damaged", f"its mask has the value {strange.max()}; classes are 0 to 20, and 255 is void")
    return rgb, mask


def _palette(data: bytes) -> tuple[str, np.ndarray]:
    """The mode of an image, and its values as they are stored. Raises Rejected."""
    with opened(data) as image:
        return image.mode, np.asarray(image)


_Labels = tuple[list[list[float]], list[int], list[bool]]


def _root(folder: Path) -> Path:
    """The folder with JPEGImages. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a VOC folder with --voc")
    years = [folder] if (folder / IMAGES).is_dir() else sorted(path.parent for path in folder.glob(f"*/{IMAGES}"))
    if not years:
        raise InputError(f"{folder}: no {IMAGES}/ in it; name a VOC folder such as VOCdevkit/VOC2007")
    if len(years) > 1:
        raise InputError(f"{folder}: several years ({', '.join(year.name for year in years)}); name one of them")
    for name in (MASKS,) if (years[0] / BOXES).is_file() else (MASKS, ANNOTATIONS):
        if not (years[0] / name).is_dir():
            instead = f" and no {BOXES}" if name == ANNOTATIONS else ""
            raise InputError(f"{years[0]}: no {name}/{instead} in it; detection and segmentation need both labels")
    return years[0]


def _image(root: Path, name: str) -> Path:
    for suffix in (".jpg", ".jpeg", ".png"):
        if (path := root / IMAGES / f"{name}{suffix}").is_file():
            return path
    raise InputError(f"{root / IMAGES / name}.jpg: labelled, but not there; put it back or take out its labels")


def _from_json(path: Path, split: str) -> dict[str, _Labels]:
    try:
        stored = json.loads(path.read_bytes())
        kept = {name: image for name, image in stored.items() if not split or image["split"] == split}
        return {name: _labels(path, name, [_plain(o) for o in image["objects"]]) for name, image in kept.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: not boxes as docs/vision.md describes them ({_why(error)})") from error


def _plain(stored: dict[str, Any]) -> tuple[str, list[float], bool]:
    return stored["class"], [float(side) for side in stored["bbox"]], bool(stored.get("difficult", 0))


def _from_xml(root: Path, split: str) -> dict[str, _Labels]:
    names = [path.stem for path in (root / ANNOTATIONS).glob("*.xml")]
    wanted = _listed(root, split) if split else set(names)
    return {name: _annotation(root / ANNOTATIONS / f"{name}.xml", name) for name in names if name in wanted}


def _listed(root: Path, split: str) -> set[str]:
    """The names in a set of images: of Segmentation, since all of them are labelled for detection as well."""
    path = root / SETS / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise InputError(f"--split {split}: no {path}; sets that are there: {there}")
    return {line.split()[0] for line in path.read_text().splitlines() if line.strip()}


def _annotation(path: Path, name: str) -> _Labels:
    try:
        elements = ElementTree.parse(path).getroot().findall("object")
        return _labels(path, name, [_from_element(element) for element in elements])
    except (ElementTree.ParseError, ValueError) as error:
        raise FormatError(f"{path}: not an annotation of VOC ({_why(error)})") from error


def _from_element(element: ElementTree.Element) -> tuple[str, list[float], bool]:
    """1-based and inclusive there, 0-based and half open here."""
    x1, y1, x2, y2 = (float(element.findtext(f"bndbox/{side}", "nan")) for side in ("xmin", "ymin", "xmax", "ymax"))
    difficult = element.findtext("difficult", "0").strip() == "1"
    return element.findtext("name", "").strip(), [x1 - 1, y1 - 1, x2, y2], difficult


def _labels(path: Path, name: str, objects: list[tuple[str, list[float], bool]]) -> _Labels:
    for kind, box, _ in objects:
        if kind not in CLASSES:
            raise FormatError(f"{path}: {name} has an object {kind!r}, which is no class of VOC")
        if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
            raise FormatError(f"{path}: {name} has a box {box}; the four are x1 < x2 and y1 < y2 as x1, y1, x2, y2")
    boxes, difficult = [box for _, box, _ in objects], [hard for _, _, hard in objects]
    return boxes, [CLASSES.index(kind) for kind, _, _ in objects], difficult


def _why(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
