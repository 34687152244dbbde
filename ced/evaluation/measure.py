"""The work of one evaluation task: one image at one quality factor, every method -> one part, and its spectra."""

import functools
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from ced.cluster import ray_data
from ced.core import metrics
from ced.core.colour import luminance
from ced.core.images import Rejected, decode_rgb
from ced.core.spectrum import Spectrum
from ced.data import sources
from ced.data.sources import Photograph
from ced.evaluation.metrics import Comparison, Metric
from ced.methods import Damaged, Failed, Method, Prepared, checked, open_method
from ced.store.attempts import MOST, Attempts
from ced.store.outputs import write_bytes, write_table_later

PARTS, SPECTRA, BEGUN = ".parts/rows", ".parts/spectra", ".parts/begun"  # scratch: of each image and quality factor
PICTURES = "pictures"
ORIGINAL = "original"


@dataclass(frozen=True)
class Task:
    """What a worker needs to evaluate an image."""

    dataset: str
    folder: str
    colour: str
    methods: tuple[Prepared, ...]
    pictures: int  # images whose restorations are kept as PNG
    metrics: tuple[Metric, ...]  # that are measured: workers do not know of those that were added
    schema: pa.Schema  # of a part


@dataclass(frozen=True, eq=False)
class _Original:
    """An image, with what all its versions are compared with."""

    image: np.ndarray  # as it is coded: (H, W) luminance or (H, W, 3) RGB
    reference: metrics.Reference
    spectrum: bytes


@dataclass(frozen=True)
class _Found:
    """What was found out about one image so far."""

    rows: list[dict[str, Any]]
    spectra: dict[str, bytes]  # by version
    pictures: dict[str, np.ndarray]  # by version


def evaluate_image(task: Task, row: ray_data.Row) -> ray_data.Later:
    """Measure all methods on one image at one quality factor, and wait for the disk. The answer says why where that
    cannot be done. What has ended this process again and again has failed."""
    name = part_name(row["number"], row["quality"])
    attempts = Attempts(Path(task.folder, BEGUN, name))
    answer = {name: row[name] for name in ("name", "number", "quality")} | {"reason": "", "message": ""}
    try:
        attempts.take(ORIGINAL, _crashed)
        original = _opened(Photograph(*row["photograph"]), task.colour)
    except Rejected as error:
        attempts.end()
        answer |= {"reason": error.reason, "message": error.message}
        return lambda: answer
    found = _measure_all(task, row["name"], original, row["quality"], attempts)
    attempts.pause()
    if row["number"] < task.pictures:
        for key, image in found.pictures.items():
            write_bytes(Path(task.folder, PICTURES, f"{row['number']:05d}-{key}.png"), _png(image))
    spectra = pa.table({key: [data] for key, data in found.spectra.items()})
    rows = pa.Table.from_pylist(found.rows, task.schema)
    written = [write_table_later(Path(task.folder, SPECTRA, name), spectra, packed=False)]
    written.append(write_table_later(Path(task.folder, PARTS, name), rows))

    def told() -> ray_data.Row:
        for one in written:
            one.result()
        attempts.end()
        return answer

    return told


def part_name(number: int, quality: int) -> str:
    """The part of image `number` at a quality factor."""
    return f"part-{number:05d}-q{quality:03d}.parquet"


def version(quality: int, method: str) -> str:
    """What file names call an image's version: "original", or a method at a quality factor."""
    return ORIGINAL if method == ORIGINAL else f"q{quality:03d}-{method}"


def picture_name(number: int, quality: int, method: str) -> str:
    """The file of a kept picture; `method` is "original" too."""
    return f"{number:05d}-{version(quality, method)}.png"


@functools.lru_cache(maxsize=1)  # often the next task is the same image at another quality factor
def _opened(photograph: Photograph, colour: str) -> _Original:
    """Raises Rejected."""
    rgb = decode_rgb(sources.read(photograph))
    if min(rgb.shape[:2]) < metrics.SMALLEST:
        least = f"the measures take {metrics.SMALLEST}x{metrics.SMALLEST} and more"
        raise Rejected("too small", f"{rgb.shape[1]}x{rgb.shape[0]} pixels, {least}")
    luma = luminance(rgb)
    return _Original(luma if colour == "y" else rgb, metrics.Reference.of(luma), Spectrum.bytes_of(luma))


def _crashed() -> Rejected:
    return Rejected("crashed", f"{MOST} times the process ended that decoded it")


def _deadly() -> Failed:
    return Failed("crashed", f"{MOST} times the process ended in which it restored this image")


def _measure_all(task: Task, name: str, original: _Original, quality: int, attempts: Attempts) -> _Found:
    found = _Found([], {ORIGINAL: original.spectrum}, {ORIGINAL: original.image})
    height, width = original.image.shape[:2]
    facts = {"dataset": task.dataset, "image_id": name, "colour": task.colour, "quality": quality}
    facts |= {"height": height, "width": width, "reason": "", "message": ""}
    damaged = Damaged.of(name, quality, original.image)
    for prepared in task.methods:
        told = {**facts, "method": prepared.name}
        try:
            attempts.take(prepared.name, _deadly)
            method = open_method(prepared)  # loading is not restoring
            seconds, restored = _timed(method, damaged)
        except Failed as error:
            found.rows.append(told | {"reason": error.reason, "message": error.message})
            continue
        plane = restored if task.colour == "y" else luminance(restored)
        compared = Comparison(original.reference.plane, plane, original.reference.measure(plane))
        measured = {metric.name: metric.per_image(compared) for metric in task.metrics if metric.per_image}
        found.rows.append({**told, **measured, "seconds": seconds})
        key = version(quality, prepared.name)
        found.spectra[key], found.pictures[key] = Spectrum.bytes_of(plane), restored
    return found


def _timed(method: Method, damaged: Damaged) -> tuple[float | None, np.ndarray]:
    started = time.perf_counter()
    restored = checked(method, damaged)
    return time.perf_counter() - started if method.timed else None, restored


def _png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    # A third of the default's time, for a tenth more bytes.
    Image.fromarray(image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
