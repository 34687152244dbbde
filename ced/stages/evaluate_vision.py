"""Table 3: what a detector and a segmenter make of restored images -> per_image.parquet (section 4.4)."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.adapters import ray_data, vision, voc
from ced.adapters.storage import Making, Output, Place, make, write_bytes, write_table
from ced.config import VisionConfig, as_dict
from ced.core import canvas, jpeg, segmentation, yolox
from ced.core.colour import luminance
from ced.core.images import Rejected
from ced.core.voc import CLASSES, Detections, Objects
from ced.errors import InputError
from ced.report import overlays
from ced.stages import vision_methods
from ced.stages.prepare import part_name
from ced.stages.progress import Progress

FILE, PICTURES = "per_image.parquet", "pictures"
_PARTS = ".parts"  # one an image, scratch


class Sources(NamedTuple):
    """What is looked at, and by what: a VOC folder, one of its image sets ("" for all), and the specs of the models."""

    voc: str
    split: str
    detector: str
    segmenter: str


@dataclass(frozen=True)
class Task:
    """What a worker needs to evaluate one image."""

    config: VisionConfig
    sources: Sources
    folder: str
    methods: tuple[tuple[str, str], ...]  # (method, folder of its restorer; "" for original and jpeg)


class Version(NamedTuple):
    """An image as one method leaves it."""

    method: str
    quality: int  # 0 for the original
    colour: str
    image: np.ndarray  # (H, W) or (H, W, 3) uint8


def run(config: VisionConfig, sources: Sources, restorers: dict[str, Output], place: Place, workers: int = 0) -> Output:
    """Detect and segment in every version of every image, or find it done.

    `restorers` holds an output of `ced.stages.restorers` for each method but "original" and "jpeg". Raises InputError.
    """
    scenes = voc.find(sources.voc, sources.split)
    folders = {name: str(restorers[name].path) for name in config.methods if name not in vision_methods.BUILT_IN}
    for name, folder in folders.items():
        vision_methods.check(name, folder, config.colours, config.through)
    vision.load_detector(sources.detector)
    vision.load_segmenter(sources.segmenter, config.fit)
    inputs = {
        "images": voc.content(scenes),
        "detector": vision.content(sources.detector),
        "segmenter": vision.content(sources.segmenter),
        **{name: restorers[name].manifest.content for name in folders},
    }
    conventions = {"score": yolox.SCORE, "overlap": yolox.OVERLAP, "fill": canvas.FILL}
    described = {**as_dict(config), **conventions, "dataset": dataset_name(sources), "schema": schema.VERSION}
    methods = tuple((name, folders.get(name, "")) for name in config.methods)

    def produce(making: Making) -> None:
        _produce(Task(config, sources, str(making.folder), methods), scenes, workers, making)

    return make(place, "evaluate-vision", described, inputs, produce)


def dataset_name(sources: Sources) -> str:
    """What the images are called in the table: the folder's name, and the set's."""
    return f"{Path(sources.voc).resolve().name} {sources.split}".strip()


def per_image(output: Output) -> pa.Table:
    """The rows of per_image.parquet."""
    return pq.read_table(output.path / FILE)


def _produce(task: Task, scenes: list[voc.Scene], workers: int, making: Making) -> None:
    parts = [making.folder / _PARTS / part_name(number) for number in range(len(scenes))]
    progress = Progress("evaluate-vision", len(scenes), "images")
    rows = []
    for number, (scene, part) in enumerate(zip(scenes, parts, strict=True)):
        if part.exists():
            progress.skip(1)
        else:
            rows.append({"number": number, "scene": json.dumps(scene)})
    rejected = []
    for row in ray_data.run_tasks(functools.partial(evaluate_image, task), rows, workers):
        progress.advance()
        if row["reason"]:
            rejected.append(f"{row['name']} ({row['reason']}: {row['message']})")
    if rejected:
        more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        raise InputError(f"image {min(rejected)}{more} cannot be evaluated; repair it or take out its labels")
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    write_table(making.folder / FILE, table)
    objects = sum(len(scene.boxes) for scene in scenes)
    making.counts.update(images=len(scenes), objects=objects, rows=table.num_rows)


def evaluate_image(task: Task, row: ray_data.Row) -> ray_data.Row:
    """Detect and segment in all versions of one image: one part. The row says why where it cannot be done."""
    scene = voc.Scene(*json.loads(row["scene"]))
    answer = {"name": scene.name, "reason": "", "message": ""}
    try:
        rgb, mask = voc.read(scene)
    except Rejected as error:
        return answer | {"reason": error.reason, "message": error.message}
    rows = []
    for version in _versions(task, rgb):
        shown = _three_channels(version.image)
        found = _detector(task.sources.detector).detect(shown)
        labels = _segmenter(task.sources.segmenter, task.config.fit).segment(shown)
        rows.append(_row(task, scene, version, found, segmentation.confusion(mask, labels)))
        if row["number"] < task.config.pictures:
            name = f"{row['number']:05d}-{version.colour}-q{version.quality:03d}-{version.method}.png"
            write_bytes(Path(task.folder, PICTURES, name), overlays.png(shown, found, scene.objects, labels))
    write_table(Path(task.folder, _PARTS, part_name(row["number"])), pa.Table.from_pylist(rows, schema.VISION))
    return answer


def _versions(task: Task, rgb: np.ndarray) -> Iterator[Version]:
    """The original once, and each other method at each quality factor, in each colour."""
    restored = [(name, folder) for name, folder in task.methods if name != vision_methods.ORIGINAL]
    for colour in task.config.colours:
        original = rgb if colour == "rgb" else luminance(rgb)
        if len(restored) < len(task.methods):
            yield Version(vision_methods.ORIGINAL, 0, colour, original)
        for quality in task.config.qualities:
            damaged = jpeg.decode(jpeg.encode(original, quality))
            for name, folder in restored:
                restore = vision_methods.load(folder, task.config.through)
                yield Version(name, quality, colour, restore(damaged))


def _row(task: Task, scene: voc.Scene, version: Version, found: Detections, confusion: np.ndarray) -> dict[str, object]:
    height, width = version.image.shape[:2]
    truth: Objects = scene.objects
    return {
        "dataset": dataset_name(task.sources),
        "image_id": scene.name,
        "method": version.method,
        "quality": version.quality,
        "colour": version.colour,
        "height": height,
        "width": width,
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "classes": [CLASSES[number] for number in found.classes],
        "true_boxes": truth.boxes.tolist(),
        "true_classes": [CLASSES[number] for number in truth.classes],
        "true_difficult": truth.difficult.tolist(),
        "confusion": confusion.astype("<i8").tobytes(),
    }


def _three_channels(image: np.ndarray) -> np.ndarray:
    """Luminance as gray, RGB as it is. Shape: (H, W) or (H, W, 3) -> (H, W, 3) uint8."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@functools.lru_cache(maxsize=1)
def _detector(spec: str) -> vision.Detector:
    return vision.load_detector(spec)


@functools.lru_cache(maxsize=1)
def _segmenter(spec: str, fit: str) -> vision.Segmenter:
    return vision.load_segmenter(spec, fit)
