"""The work of one evaluation task: one image at one quality factor, every method -> one part, and its spectra."""

import functools
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ced.cluster.parts import Row
from ced.core.images import Rejected, decode_rgb, luminance, png
from ced.core.metrics import SMALLEST, Reference
from ced.core.spectrum import Filled
from ced.data import sources
from ced.data.sources import Photograph
from ced.decoding import guarded
from ced.evaluation.metrics import Comparison, Metric
from ced.evaluation.runner import PICTURES, image_ended, restore
from ced.methods import Damaged, Failed, Method
from ced.store.attempts import Attempts
from ced.store.outputs import write_bytes, write_table_later

PARTS, SPECTRA = ".parts/rows", ".parts/spectra"  # scratch: of each image and quality factor
ORIGINAL = "original"


@dataclass(frozen=True)
class Fidelity:
    """How near methods come to the original: the measurer of Table 2."""

    dataset: str
    folder: str
    colour: str
    methods: tuple[Method, ...]
    pictures: int  # images whose restorations are kept as PNG
    metrics: tuple[Metric, ...]  # of each image; workers do not know of those that were added
    schema: pa.Schema  # of per_image.parquet

    def measure(self, task: Row, attempts: Attempts) -> Sequence[Future[Any]]:
        """Measure all methods on one image at one quality factor.

        `task` has "part", "name", "number", "quality" and "photograph". Raises Rejected.
        """
        attempts.take(ORIGINAL, lambda: image_ended("decoded it"))
        original = _opened(Photograph(*task["photograph"]), self.colour, attempts.before > 0)
        quality = task["quality"]
        height, width = original.image.shape[:2]
        facts = {"dataset": self.dataset, "image_id": task["name"], "colour": self.colour, "quality": quality}
        facts |= {"height": height, "width": width, "reason": "", "message": ""}
        rows, spectra, pictures = [], {ORIGINAL: original.spectrum}, {ORIGINAL: original.image}
        damaged = Damaged.of(task["name"], quality, original.image)
        for method in self.methods:
            row = facts | {"method": method.name}
            try:
                seconds, restored = restore(method, damaged, method.name, attempts)
            except Failed as error:
                rows.append(row | {"reason": error.reason, "message": error.message})
                continue
            plane = restored if self.colour == "y" else luminance(restored)
            rows.append(row | self._figures(original.reference, plane) | {"seconds": seconds})
            key = version(quality, method.name)
            spectra[key], pictures[key] = Filled.of(plane).to_bytes(packed=False), restored
        if task["number"] < self.pictures:
            for key, image in pictures.items():
                data = png(image, compress_level=1)  # a third of the default's time, for a tenth more bytes
                write_bytes(Path(self.folder, PICTURES, f"{task['number']:05d}-{key}.png"), data)
        columns = pa.table({key: [data] for key, data in spectra.items()})
        measured = pa.Table.from_pylist(rows, self.schema)
        return (
            write_table_later(Path(self.folder, SPECTRA, task["part"]), columns, packed=False),
            write_table_later(Path(self.folder, PARTS, task["part"]), measured),
        )

    def _figures(self, reference: Reference, plane: np.ndarray) -> dict[str, float]:
        compared = Comparison(reference.plane, plane, reference.measure(plane))
        return {metric.name: metric.per_image(compared) for metric in self.metrics if metric.per_image}


def part_name(number: int, quality: int) -> str:
    """The part of image `number` at a quality factor."""
    return f"part-{number:05d}-q{quality:03d}.parquet"


def version(quality: int, method: str) -> str:
    """What file names call an image's version: "original", or a method at a quality factor."""
    return ORIGINAL if method == ORIGINAL else f"q{quality:03d}-{method}"


def picture_name(number: int, quality: int, method: str) -> str:
    """The file of a kept picture; `method` is "original" too."""
    return f"{number:05d}-{version(quality, method)}.png"


@dataclass(frozen=True, eq=False)
class _Original:
    """An image, with what all its versions are compared with."""

    image: np.ndarray  # as it is coded: (H, W) luminance or (H, W, 3) RGB
    reference: Reference
    spectrum: bytes


@functools.lru_cache(maxsize=1)  # often the next task is the same image at another quality factor
def _opened(photograph: Photograph, colour: str, again: bool) -> _Original:
    """`again`: whether this part was begun before. Raises Rejected."""
    rgb = guarded(functools.partial(decode_rgb, sources.read(photograph)), again)
    if min(rgb.shape[:2]) < SMALLEST:
        least = f"the measures take {SMALLEST}x{SMALLEST} and more"
        raise Rejected("too small", f"{rgb.shape[1]}x{rgb.shape[0]} pixels, {least}")
    luma = luminance(rgb)
    return _Original(luma if colour == "y" else rgb, Reference.of(luma), Filled.of(luma).to_bytes(packed=False))
