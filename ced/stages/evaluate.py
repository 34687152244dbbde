"""Stage 5: test images x methods x quality factors -> per_image.parquet (section 4.3)."""

import functools
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ced import schema
from ced.adapters import photographs, ray_data
from ced.adapters.photographs import Photograph
from ced.adapters.storage import Making, Output, Place, make, write_bytes, write_table
from ced.config import Config, EvaluateConfig, as_dict
from ced.core import jpeg, metrics
from ced.core.colour import luminance
from ced.core.images import Rejected, decode_rgb
from ced.errors import ConfigError, InputError
from ced.stages.prepare import part_name
from ced.stages.progress import Progress

FILE = "per_image.parquet"
_PARTS = ".parts"  # one an image, scratch
PICTURES = "pictures"
_ORIGINAL = "original"


@dataclass(frozen=True)
class Task:
    """What a worker needs to evaluate one image."""

    dataset: str
    folder: str
    qualities: tuple[int, ...]
    methods: tuple[tuple[str, str], ...]  # (method, folder of its restorer; "" for jpeg)
    pictures: int  # images whose restorations are kept as PNG


def check(config: Config) -> None:
    """Find out early what would only fail after training. Raises InputError or ConfigError."""
    photographs.find((config.test_images,) if config.test_images else ())
    if config.publish.method not in config.evaluate.methods:
        raise ConfigError(f"publish.method {config.publish.method} is not evaluated; add it to evaluate.methods")


def run(config: EvaluateConfig, images: str, restorers: dict[str, Output], place: Place, workers: int = 0) -> Output:
    """Measure every method of `config` on every image of `images`, or find it measured.

    `restorers` holds an output of `ced.stages.restorers` for each method but "jpeg". Raises InputError.
    """
    found = photographs.find((images,), cache=place.root / "archives")
    inputs = {"images": photographs.content(found)}
    inputs |= {name: restorers[name].manifest.content for name in config.methods if name != "jpeg"}
    dataset = dataset_name(images)
    described = {**as_dict(config), "dataset": dataset, "schema": schema.VERSION, "colour": "y"}
    folders = tuple((name, str(restorers[name].path) if name != "jpeg" else "") for name in config.methods)

    def produce(making: Making) -> None:
        task = Task(dataset, str(making.folder), config.qualities, folders, config.pictures)
        _produce(task, found, workers, making)

    return make(place, "evaluate", described, inputs, produce)


def dataset_name(images: str) -> str:
    """What the data set is called in the tables: the folder's name, LIVE1 and BSDS500 as the paper writes them."""
    name = "built-in" if images.startswith("builtin:") else photographs.title(images)
    known = {"live1": "LIVE1", "bsds500": "BSDS500"}
    return known.get(name.lower(), name)


def _produce(task: Task, found: list[Photograph], workers: int, making: Making) -> None:
    parts = [making.folder / _PARTS / part_name(number) for number in range(len(found))]
    progress = Progress("evaluate", len(found), "images")
    rows = []
    for number, (photograph, part) in enumerate(zip(found, parts, strict=True)):
        if part.exists():
            progress.skip(1)
        else:
            rows.append({"number": number, "name": photograph.name, "photograph": tuple(photograph)})
    rejected = []
    for row in ray_data.run_tasks(partial(evaluate_image, task), rows, workers):
        progress.advance()
        if row["reason"]:
            rejected.append(f"{row['name']} ({row['reason']}: {row['message']})")
    if rejected:
        more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        raise InputError(f"test image {min(rejected)}{more} cannot be measured; take it out of the folder")
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    write_table(making.folder / FILE, table)
    making.counts.update(images=len(found), rows=table.num_rows)


def evaluate_image(task: Task, row: ray_data.Row) -> ray_data.Row:
    """Measure all methods on one image: one part. The row says why where it cannot be done."""
    answer = {"name": row["name"], "reason": "", "message": ""}
    try:
        rgb = decode_rgb(photographs.read(Photograph(*row["photograph"])))
        if min(rgb.shape[:2]) <= metrics.BLOCK:
            raise Rejected("too small", f"{rgb.shape[1]}x{rgb.shape[0]} pixels, the measures take 9x9 and more")
    except Rejected as error:
        return answer | {"reason": error.reason, "message": error.message}
    original = luminance(rgb)
    keep = Path(task.folder, PICTURES) if row["number"] < task.pictures else None
    rows = []
    for quality in task.qualities:
        rows += _measure(task, row, original, quality, keep)
    if keep:
        _keep(keep, row["number"], 0, _ORIGINAL, original)
    write_table(Path(task.folder, _PARTS, part_name(row["number"])), pa.Table.from_pylist(rows, schema.PER_IMAGE))
    return answer


def _measure(
    task: Task, row: ray_data.Row, original: np.ndarray, quality: int, keep: Path | None
) -> list[dict[str, object]]:
    damaged = jpeg.decode(jpeg.encode(original, quality))
    rows: list[dict[str, object]] = []
    for method, folder in task.methods:
        restorer = _restorer(folder) if folder else None  # loading is not restoring
        started = time.perf_counter()
        restored = restorer.restore_planes(damaged[None])[0] if restorer else damaged
        seconds = time.perf_counter() - started
        facts = {"dataset": task.dataset, "image_id": row["name"], "method": method, "quality": quality}
        size = {"height": original.shape[0], "width": original.shape[1]}
        measured = metrics.measure(original, restored)._asdict()
        rows.append({**facts, "colour": "y", **size, **measured, "seconds": seconds})
        if keep:
            _keep(keep, row["number"], quality, method, restored)
    return rows


@functools.lru_cache(maxsize=8)
def _restorer(folder: str):  # type: ignore[no-untyped-def]  # its type would import torch with this module
    from ced.restore import Restorer

    return Restorer.load(folder)


def _keep(folder: Path, number: int, quality: int, version: str, plane: np.ndarray) -> None:
    import io

    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "PNG")
    write_bytes(folder / f"{number:05d}-q{quality:03d}-{version}.png", stream.getvalue())


def per_image(output: Output) -> list[dict[str, object]]:
    """The rows of per_image.parquet."""
    rows: list[dict[str, object]] = pq.read_table(output.path / FILE).to_pylist()
    return rows


def picture(output: Output, number: int, quality: int, version: str) -> np.ndarray | None:
    """A kept plane of image `number`: "original", or what `version` made of it. Shape: (H, W) uint8."""
    quality = 0 if version == _ORIGINAL else quality
    path = output.path / PICTURES / f"{number:05d}-q{quality:03d}-{version}.png"
    if not path.exists():
        return None
    with Image.open(path) as image:
        return np.asarray(image)
