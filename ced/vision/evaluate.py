"""Table 3: what a detector and a segmenter make of restored images -> per_image.parquet (section 4.4).

From top to bottom: `run` makes a part of each image, and `Recognition` restores it by every method in a worker, shows
what comes out to the models, and draws what they saw.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from ced import schema
from ced.cluster.parts import Part
from ced.config import VisionConfig, as_dict
from ced.core.images import luminance
from ced.drawing import font, grid, image
from ced.errors import InputError
from ced.evaluation import runner
from ced.evaluation.runner import FILE, ORIGINAL, PICTURES, image_ended
from ced.methods import Damaged, Failed, Method, find, parse
from ced.methods.pyfunc import ModelMethod
from ced.methods.restorer import RestorerMethod
from ced.store.attempts import Attempts
from ced.store.outputs import Making, Output, make, part_name, write_bytes, write_table_later
from ced.store.session import Session
from ced.vision import backends, layouts, scoring, voc
from ced.vision.objects import CLASSES, Detections, Objects

MIN_SCORE = 0.3  # detections with a lower score are not drawn
_PARTS = ".parts"  # one an image, scratch
_FORM = 2  # of what is found out; another number looks again
_LABELLED = (255, 255, 255)

# Once a worker.
_detector = functools.lru_cache(maxsize=1)(backends.load_detector)
_segmenter = functools.lru_cache(maxsize=1)(backends.load_segmenter)

_Version = tuple[str, int, str]  # of an image: method, quality factor (0 for the original), colour


class Sources(NamedTuple):
    """What is looked at, and by what: a VOC folder, one of its image sets ("" for all), and the specs of the models."""

    voc: str
    split: str
    detector: str
    segmenter: str


def run(config: VisionConfig, sources: Sources, session: Session) -> Output:
    """Detect and segment in every version of every image, or find it done. Raises CedError."""
    scenes = voc.find(sources.voc, sources.split)
    methods = find_methods(config, session.store.root)
    backends.load_detector(sources.detector)
    backends.load_segmenter(sources.segmenter, config.fit)
    inputs = {
        "images": voc.content(scenes),
        "detector": backends.content(sources.detector),
        "segmenter": backends.content(sources.segmenter),
        **{method.name: method.content for method in methods if method.content},
    }
    conventions = {"score": layouts.SCORE, "overlap": layouts.OVERLAP, "fill": layouts.FILL}
    described = {**as_dict(config), "methods": list(config.names), **conventions, "dataset": dataset_name(sources)}
    described |= {"schema": schema.VERSION, "form": _FORM}

    def produce(making: Making) -> None:
        _produce(Recognition(config, sources, str(making.folder), methods), scenes, session, making)

    output = make(session.store, "evaluate-vision", described, inputs, produce)
    runner.tell_failures("evaluate-vision", output.path / FILE)
    return output


def find_methods(config: VisionConfig, store: Path) -> tuple[Method, ...]:
    """All methods but the original, found and checked before any work. Raises CedError."""
    requests = [parse(text) for text in config.methods if text != ORIGINAL]
    return tuple(_through(find(request, config, store), config, request.target) for request in requests)


def _through(method: Method, config: VisionConfig, where: str) -> Method:
    """A network with the way that RGB takes through it, which has to fit what it was trained on. Raises InputError.

    "rgb" is for models of RGB; one of luminance is given "luma" alone or each channel of "ycbcr", its default.
    """
    if not isinstance(method, RestorerMethod | ModelMethod):
        return method
    in_colour, through = method.channels == 3, config.through
    if "rgb" in config.colours and through and in_colour != (through == "rgb"):
        kind, cure = ("RGB", "rgb") if in_colour else ("luminance", "ycbcr or luma")
        raise InputError(f"--methods {method.name}: {where} restores {kind}; use --through {cure}, or leave it out")
    return dataclasses.replace(method, through="luma" if through == "luma" else "ycbcr")


def dataset_name(sources: Sources) -> str:
    """What the images are called in the table: the folder's name, and the set's."""
    return f"{Path(sources.voc).resolve().name} {sources.split}".strip()


def picture_name(number: int, colour: str, quality: int, method: str) -> str:
    """The file of what was seen in a version of image `number`."""
    return f"{number:05d}-{colour}-q{quality:03d}-{method}.png"


@dataclass(frozen=True)
class Recognition:
    """What models recognise in what methods restored: the measurer of Table 3."""

    config: VisionConfig
    sources: Sources
    folder: str
    methods: tuple[Method, ...]  # all but the original

    def measure(self, task: dict[str, Any], attempts: Attempts) -> Sequence[Future[Any]]:
        """Detect and segment in all versions of one image.

        `task` has "part", "name", "number" and "scene", JSON of a voc.Scene. Raises Rejected.
        """
        scene = voc.Scene(*json.loads(task["scene"]))
        attempts.take("image", lambda: image_ended("decoded it"))
        rgb, mask = voc.read(scene, attempts.before > 0)
        facts, rows = self._facts(scene, rgb.shape), []
        for version, restored in self._restorations(scene, rgb, attempts):
            method, quality, colour = version
            row = facts | {"method": method, "quality": quality, "colour": colour}
            if isinstance(restored, Failed):
                rows.append(row | _nothing(restored))
                continue
            step = _step(version)
            attempts.take(f"models at {step}", functools.partial(image_ended, f"showed {step} to the models"))
            shown = _three_channels(restored)
            detections = _detector(self.sources.detector).detect(shown)
            labels = _segmenter(self.sources.segmenter, self.config.fit).segment(shown)
            rows.append(row | _seen(detections, scoring.confusion(mask, labels)))
            if task["number"] < self.config.pictures:
                name = picture_name(task["number"], colour, quality, method)
                write_bytes(Path(self.folder, PICTURES, name), overlay(shown, detections, scene.objects, labels))
        return (write_table_later(Path(self.folder, _PARTS, task["part"]), pa.Table.from_pylist(rows, schema.VISION)),)

    def _restorations(
        self, scene: voc.Scene, rgb: np.ndarray, attempts: Attempts
    ) -> Iterator[tuple[_Version, np.ndarray | Failed]]:
        """The original once, and each other method at each quality factor, in each colour: the image, (H, W) or
        (H, W, 3) uint8, or why there is none."""
        for colour in self.config.colours:
            original = rgb if colour == "rgb" else luminance(rgb)
            if ORIGINAL in self.config.methods:
                yield (ORIGINAL, 0, colour), original
            for quality in self.config.qualities:
                damaged = Damaged.of(f"{scene.name}.jpg", quality, original)
                for method in self.methods:
                    version = method.name, quality, colour
                    try:
                        _, restored = runner.restore(method, damaged, _step(version), attempts)
                        yield version, restored
                    except Failed as failed:
                        yield version, failed

    def _facts(self, scene: voc.Scene, shape: tuple[int, ...]) -> dict[str, object]:
        """What a row says of the image, whatever was made of it."""
        truth = scene.objects
        return {
            "dataset": dataset_name(self.sources),
            "image_id": scene.name,
            "height": shape[0],
            "width": shape[1],
            "true_boxes": truth.boxes.tolist(),
            "true_classes": [CLASSES[number] for number in truth.classes],
            "true_difficult": truth.difficult.tolist(),
        }


def _produce(measurer: Recognition, scenes: list[voc.Scene], session: Session, making: Making) -> None:
    parts = []
    for number, scene in enumerate(scenes):
        task = {"part": part_name(number), "name": scene.name, "number": number, "scene": json.dumps(scene)}
        parts.append(Part(task, (making.folder / _PARTS / part_name(number),)))
    answers = runner.measure("evaluate-vision", measurer, parts, "images", session)
    rejected = [f"{row['name']} ({row['reason']}: {row['message']})" for row in answers if row["reason"]]
    if rejected:
        more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        raise InputError(f"image {min(rejected)}{more} cannot be evaluated; repair it or take out its labels")
    table = runner.collect(making.folder, [part.files[0] for part in parts], schema.VISION)
    objects = sum(len(scene.boxes) for scene in scenes)
    failures = sum(bool(reason) for reason in table["reason"].to_pylist())
    making.counts.update(images=len(scenes), objects=objects, rows=table.num_rows, failures=failures)


def _step(version: _Version) -> str:
    """What the attempts at a version are called."""
    return "{} {} {}".format(*version)


def _seen(detections: Detections, confusion: np.ndarray) -> dict[str, object]:
    return {
        "boxes": detections.boxes.tolist(),
        "scores": detections.scores.tolist(),
        "classes": [CLASSES[number] for number in detections.classes],
        "confusion": confusion.astype("<i8").tobytes(),
        "reason": "",
        "message": "",
    }


def _nothing(failed: Failed) -> dict[str, object]:
    nothing: dict[str, object] = {"boxes": [], "scores": [], "classes": [], "confusion": None}
    return {**nothing, "reason": failed.reason, "message": failed.message}


def _three_channels(image: np.ndarray) -> np.ndarray:
    """Luminance as gray, RGB as it is. Shape: (H, W) or (H, W, 3) -> (H, W, 3) uint8."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def overlay(rgb: np.ndarray, detections: Detections, truth: Objects, labels: np.ndarray) -> bytes:
    """Side by side: the boxes (labelled ones white and thin), and the classes of the pixels over the image.

    Shape: (H, W, 3) uint8, labels (H, W) uint8 -> a PNG of 2 W x H.
    """
    return grid([[image(draw_boxes(rgb, detections, truth)), image(tint_classes(rgb, labels))]]).png()


def draw_boxes(rgb: np.ndarray, detections: Detections, truth: Objects) -> np.ndarray:
    """The image with its boxes. Shape: (H, W, 3) uint8 -> the same."""
    canvas = Image.fromarray(rgb)
    draw = ImageDraw.Draw(canvas)
    for box in truth.boxes:
        draw.rectangle(_corners(box), outline=_LABELLED)
    letters = font(11)
    for box, score, number in list(zip(*detections, strict=True))[::-1]:  # the surest on top
        if score < MIN_SCORE:
            continue
        colour = tuple(palette()[1 + number].tolist())
        draw.rectangle(_corners(box), outline=colour, width=2)
        text = f"{CLASSES[number]} {score:.2f}"
        corner = (float(box[0]) + 3, float(box[1]) + 2)
        draw.rectangle(draw.textbbox(corner, text, font=letters), fill=colour)
        draw.text(corner, text, fill=(0, 0, 0) if sum(colour) > 300 else (255, 255, 255), font=letters)
    return np.asarray(canvas)


def tint_classes(rgb: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image under half transparent colours of classes. Shape: (H, W, 3), (H, W) uint8 -> (H, W, 3) uint8."""
    mixed = (rgb.astype(np.uint16) + palette()[labels]) // 2
    tinted: np.ndarray = np.where((labels == 0)[..., None], rgb, mixed).astype(np.uint8)
    return tinted


def palette() -> np.ndarray:
    """VOC's colours: the bits of a class, three at a time, are the high bits of R, G and B. Shape: (256, 3) uint8."""
    number = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((number >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def _corners(box: np.ndarray) -> tuple[float, float, float, float]:
    """Half open -> the pixels that are inside, however small."""
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)
