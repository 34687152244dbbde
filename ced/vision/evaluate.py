"""Table 3: what a detector and a segmenter make of restored images -> per_image.parquet (section 4.4)."""

import functools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ced import schema
from ced.cluster.parts import Part, Row
from ced.config import VisionConfig, as_dict
from ced.core.images import luminance
from ced.errors import InputError
from ced.evaluation import runner
from ced.evaluation.runner import FILE, PICTURES, image_ended
from ced.methods import Damaged, Failed, Method
from ced.store.attempts import Attempts
from ced.store.outputs import Making, Output, make, part_name, write_bytes, write_table_later
from ced.store.session import Session
from ced.vision import backends, layouts, overlays, scoring, voc
from ced.vision import methods as vision_methods
from ced.vision.objects import CLASSES, Detections

_PARTS = ".parts"  # one an image, scratch
_FORM = 2  # of what is found out; another number looks again


class Sources(NamedTuple):
    """What is looked at, and by what: a VOC folder, one of its image sets ("" for all), and the specs of the models."""

    voc: str
    split: str
    detector: str
    segmenter: str


class Restored(NamedTuple):
    """What one method made of an image."""

    method: str
    quality: int  # 0 for the original
    colour: str
    image: np.ndarray | Failed  # (H, W) or (H, W, 3) uint8, or why there is none

    @property
    def step(self) -> str:
        """What the attempts at this version are called."""
        return f"{self.method} {self.quality} {self.colour}"


@dataclass(frozen=True)
class Recognition:
    """What models recognise in what methods restored: the measurer of Table 3."""

    config: VisionConfig
    sources: Sources
    folder: str
    methods: tuple[Method, ...]  # all but the original

    def measure(self, task: Row, attempts: Attempts) -> Sequence[Future[Any]]:
        """Detect and segment in all versions of one image.

        `task` has "part", "name", "number" and "scene", JSON of a voc.Scene. Raises Rejected.
        """
        scene = voc.Scene(*json.loads(task["scene"]))
        attempts.take("image", lambda: image_ended("decoded it"))
        rgb, mask = voc.read(scene, attempts.before > 0)
        rows = []
        for restored in self._restorations(scene, rgb, attempts):
            facts = self._facts(scene, restored, rgb.shape)
            if isinstance(restored.image, Failed):
                rows.append(facts | _nothing(restored.image))
                continue
            step = restored.step
            attempts.take(f"models at {step}", functools.partial(image_ended, f"showed {step} to the models"))
            image = _three_channels(restored.image)
            detections = _detector(self.sources.detector).detect(image)
            labels = _segmenter(self.sources.segmenter, self.config.fit).segment(image)
            rows.append(facts | _seen(detections, scoring.confusion(mask, labels)))
            if task["number"] < self.config.pictures:
                name = picture_name(task["number"], restored.colour, restored.quality, restored.method)
                write_bytes(Path(self.folder, PICTURES, name), overlays.png(image, detections, scene.objects, labels))
        return (write_table_later(Path(self.folder, _PARTS, task["part"]), pa.Table.from_pylist(rows, schema.VISION)),)

    def _restorations(self, scene: voc.Scene, rgb: np.ndarray, attempts: Attempts) -> Iterator[Restored]:
        """The original once, and each other method at each quality factor, in each colour."""
        for colour in self.config.colours:
            original = rgb if colour == "rgb" else luminance(rgb)
            if vision_methods.ORIGINAL in self.config.methods:
                yield Restored(vision_methods.ORIGINAL, 0, colour, original)
            for quality in self.config.qualities:
                damaged = Damaged.of(f"{scene.name}.jpg", quality, original)
                for method in self.methods:
                    try:
                        _, image = runner.restore(method, damaged, f"{method.name} {quality} {colour}", attempts)
                        yield Restored(method.name, quality, colour, image)
                    except Failed as failed:
                        yield Restored(method.name, quality, colour, failed)

    def _facts(self, scene: voc.Scene, restored: Restored, shape: tuple[int, ...]) -> dict[str, object]:
        """What a row says of the image, whatever was made of it."""
        truth = scene.objects
        return {
            "dataset": dataset_name(self.sources),
            "image_id": scene.name,
            "method": restored.method,
            "quality": restored.quality,
            "colour": restored.colour,
            "height": shape[0],
            "width": shape[1],
            "true_boxes": truth.boxes.tolist(),
            "true_classes": [CLASSES[number] for number in truth.classes],
            "true_difficult": truth.difficult.tolist(),
        }


def run(config: VisionConfig, sources: Sources, session: Session) -> Output:
    """Detect and segment in every version of every image, or find it done. Raises CedError."""
    scenes = voc.find(sources.voc, sources.split)
    methods = vision_methods.methods(config, session.store.root)
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


def dataset_name(sources: Sources) -> str:
    """What the images are called in the table: the folder's name, and the set's."""
    return f"{Path(sources.voc).resolve().name} {sources.split}".strip()


def picture_name(number: int, colour: str, quality: int, method: str) -> str:
    """The file of what was seen in a version of image `number`."""
    return f"{number:05d}-{colour}-q{quality:03d}-{method}.png"


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


@functools.lru_cache(maxsize=1)
def _detector(spec: str) -> backends.Detector:
    return backends.load_detector(spec)


@functools.lru_cache(maxsize=1)
def _segmenter(spec: str, fit: str) -> backends.Segmenter:
    return backends.load_segmenter(spec, fit)
