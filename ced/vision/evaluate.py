"""Table 3: what a detector and a segmenter make of restored images -> per_image.parquet (section 4.4)."""

import functools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.cluster import ray_data
from ced.config import VisionConfig, as_dict
from ced.core.colour import luminance
from ced.core.images import Rejected
from ced.data.prepare import part_name
from ced.errors import InputError
from ced.evaluation import failures as tell
from ced.methods import Damaged, Failed, Prepared, checked, open_method
from ced.progress import Progress
from ced.store.attempts import MOST, Attempts
from ced.store.outputs import Making, Output, make, write_bytes, write_table
from ced.store.session import Session
from ced.vision import backends, letterbox, overlays, scoring, voc, yolox
from ced.vision import methods as vision_methods
from ced.vision.objects import CLASSES, Detections, Objects

FILE, PICTURES = "per_image.parquet", "pictures"
_PARTS, _BEGUN = ".parts", ".begun"  # one an image, scratch
_FORM = 2  # of what is found out; another number looks again
_TOLD = ["image_id", "method", "quality", "colour", "reason", "message"]


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
    methods: tuple[Prepared, ...]  # all but the original


class Version(NamedTuple):
    """An image as one method leaves it."""

    method: str
    quality: int  # 0 for the original
    colour: str
    image: np.ndarray | Failed  # (H, W) or (H, W, 3) uint8, or why there is none


def run(config: VisionConfig, sources: Sources, session: Session) -> Output:
    """Detect and segment in every version of every image, or find it done. Raises CedError."""
    scenes = voc.find(sources.voc, sources.split)
    methods = vision_methods.prepared(config, session.store.root)
    backends.load_detector(sources.detector)
    backends.load_segmenter(sources.segmenter, config.fit)
    inputs = {
        "images": voc.content(scenes),
        "detector": backends.content(sources.detector),
        "segmenter": backends.content(sources.segmenter),
        **{method.name: method.content for method in methods if method.content},
    }
    conventions = {"score": yolox.SCORE, "overlap": yolox.OVERLAP, "fill": letterbox.FILL}
    described = {**as_dict(config), "methods": list(config.names), **conventions, "dataset": dataset_name(sources)}
    described |= {"schema": schema.VERSION, "form": _FORM}

    def produce(making: Making) -> None:
        _produce(Task(config, sources, str(making.folder), methods), scenes, session.workers, making)

    output = make(session.store, "evaluate-vision", described, inputs, produce)
    file = output.path / FILE
    tell.failures("evaluate-vision", pq.read_table(file, columns=_TOLD).to_pylist(), file)
    return output


def dataset_name(sources: Sources) -> str:
    """What the images are called in the table: the folder's name, and the set's."""
    return f"{Path(sources.voc).resolve().name} {sources.split}".strip()


def picture_name(number: int, colour: str, quality: int, method: str) -> str:
    """The file of what was seen in a version of image `number`."""
    return f"{number:05d}-{colour}-q{quality:03d}-{method}.png"


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
    shutil.rmtree(making.folder / _BEGUN, ignore_errors=True)  # of tasks that were stopped with an earlier job
    for row in ray_data.run_tasks(partial(evaluate_image, task), rows, workers):
        progress.advance()
        if row["reason"]:
            rejected.append(f"{row['name']} ({row['reason']}: {row['message']})")
    if rejected:
        more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        raise InputError(f"image {min(rejected)}{more} cannot be evaluated; repair it or take out its labels")
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    write_table(making.folder / FILE, table)
    objects = sum(len(scene.boxes) for scene in scenes)
    failures = sum(bool(reason) for reason in table["reason"].to_pylist())
    making.counts.update(images=len(scenes), objects=objects, rows=table.num_rows, failures=failures)


def evaluate_image(task: Task, row: ray_data.Row) -> ray_data.Row:
    """Detect and segment in all versions of one image: one part. The row says why where it cannot be done, also where
    it has ended this process again and again."""
    scene = voc.Scene(*json.loads(row["scene"]))
    attempts = Attempts(Path(task.folder, _BEGUN, part_name(row["number"])))
    answer = {"name": scene.name, "reason": "", "message": ""}
    try:
        write_table(
            Path(task.folder, _PARTS, part_name(row["number"])), _looked_at(task, row["number"], scene, attempts)
        )
    except Rejected as error:
        answer |= {"reason": error.reason, "message": error.message}
    attempts.end()
    return answer


def _looked_at(task: Task, number: int, scene: voc.Scene, attempts: Attempts) -> pa.Table:
    """The rows of an image. Raises Rejected."""
    attempts.take("image", partial(_crashed, "decoded it"))
    rgb, mask = voc.read(scene)
    rows = []
    for version in _versions(task, scene, rgb, attempts):
        if isinstance(version.image, Failed):
            rows.append(_facts(task, scene, version, rgb.shape) | _nothing(version.image))
            continue
        attempts.take(f"models at {_step(version)}", partial(_crashed, f"showed {_step(version)} to the models"))
        shown = _three_channels(version.image)
        found = _detector(task.sources.detector).detect(shown)
        labels = _segmenter(task.sources.segmenter, task.config.fit).segment(shown)
        facts = _facts(task, scene, version, shown.shape)
        rows.append(facts | _found(found, scoring.confusion(mask, labels)))
        if number < task.config.pictures:
            name = picture_name(number, version.colour, version.quality, version.method)
            write_bytes(Path(task.folder, PICTURES, name), overlays.png(shown, found, scene.objects, labels))
    return pa.Table.from_pylist(rows, schema.VISION)


def _crashed(what: str) -> Rejected:
    return Rejected("crashed", f"{MOST} times the process ended that {what}")


def _deadly() -> Failed:
    return Failed("crashed", f"{MOST} times the process ended in which it restored this image")


def _versions(task: Task, scene: voc.Scene, rgb: np.ndarray, attempts: Attempts) -> Iterator[Version]:
    """The original once, and each other method at each quality factor, in each colour."""
    for colour in task.config.colours:
        original = rgb if colour == "rgb" else luminance(rgb)
        if vision_methods.ORIGINAL in task.config.methods:
            yield Version(vision_methods.ORIGINAL, 0, colour, original)
        for quality in task.config.qualities:
            damaged = Damaged.of(f"{scene.name}.jpg", quality, original)
            for prepared in task.methods:
                step = f"{prepared.name} {quality} {colour}"
                yield Version(prepared.name, quality, colour, _restored(prepared, damaged, step, attempts))


def _step(version: Version) -> str:
    return f"{version.method} {version.quality} {version.colour}"


def _restored(prepared: Prepared, damaged: Damaged, step: str, attempts: Attempts) -> np.ndarray | Failed:
    try:
        attempts.take(step, _deadly)
        return checked(open_method(prepared), damaged)
    except Failed as failed:
        return failed


def _found(found: Detections, confusion: np.ndarray) -> dict[str, object]:
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "classes": [CLASSES[number] for number in found.classes],
        "confusion": confusion.astype("<i8").tobytes(),
        "reason": "",
        "message": "",
    }


def _nothing(failed: Failed) -> dict[str, object]:
    nothing: dict[str, object] = {"boxes": [], "scores": [], "classes": [], "confusion": None}
    return {**nothing, "reason": failed.reason, "message": failed.message}


def _facts(task: Task, scene: voc.Scene, version: Version, shape: tuple[int, ...]) -> dict[str, object]:
    """What a row says of the image, whatever was made of it."""
    truth: Objects = scene.objects
    return {
        "dataset": dataset_name(task.sources),
        "image_id": scene.name,
        "method": version.method,
        "quality": version.quality,
        "colour": version.colour,
        "height": shape[0],
        "width": shape[1],
        "true_boxes": truth.boxes.tolist(),
        "true_classes": [CLASSES[number] for number in truth.classes],
        "true_difficult": truth.difficult.tolist(),
    }


def _three_channels(image: np.ndarray) -> np.ndarray:
    """Luminance as gray, RGB as it is. Shape: (H, W) or (H, W, 3) -> (H, W, 3) uint8."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@functools.lru_cache(maxsize=1)
def _detector(spec: str) -> backends.Detector:
    return backends.load_detector(spec)


@functools.lru_cache(maxsize=1)
def _segmenter(spec: str, fit: str) -> backends.Segmenter:
    return backends.load_segmenter(spec, fit)
