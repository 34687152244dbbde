"""Stage 5: test images x methods x quality factors -> per_image.parquet, pooled.parquet, spectra (section 4.3); and the
rows of Table 2 from these.

From top to bottom the way of a test image: `run` makes a part of it and each quality factor, `Fidelity` measures such a
part in a worker, and `rows_of` makes a row of what all images have together (ced/evaluation/rows.py).
"""

import functools
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.cluster.parts import Part
from ced.config import DAMAGES, PAIRS, Config, EvaluateConfig, as_dict
from ced.core import jpeg
from ced.core.images import Rejected, decode_rgb, luminance, open_upright, png
from ced.core.metrics import SMALLEST, Reference
from ced.core.spectrum import Filled
from ced.data import sources
from ced.data.sources import Photograph
from ced.decoding import guarded
from ced.errors import ConfigError, InputError
from ced.evaluation import metrics, pairs, pool, runner
from ced.evaluation.metrics import Comparison, Metric, Row, in_tables
from ced.evaluation.rows import Means, from_best, row_of
from ced.evaluation.runner import FILE, ORIGINAL, PICTURES, image_ended, restore
from ced.methods import Damaged, Failed, Method, find, parse, takes_colours
from ced.methods.blend import BlendMethod
from ced.methods.folder import check_apart
from ced.methods.method import JPEG
from ced.methods.restorer import restorer
from ced.store.attempts import Attempts
from ced.store.outputs import Making, Output, Store, make, write_bytes, write_table, write_table_later
from ced.store.session import Session

logger = logging.getLogger("ced")

QUARANTINE = "quarantine.parquet"
PARTS, SPECTRA = ".parts/rows", ".parts/spectra"  # scratch: of each image and quality factor
_FORM = 4  # of what is measured; another number measures again


def check(config: Config) -> None:
    """Find out early what would only fail later, some of it after training. Raises InputError or ConfigError."""
    sources.check(config.images, config.prepare.pattern)
    if not config.test_images:
        raise InputError("no test images given; name them with --test-images")
    _listed(config.test_images, config.evaluate, quiet=True)
    if config.publish.method not in config.evaluate.trained:
        raise ConfigError(f"publish.method {config.publish.method} is not evaluated; add it to evaluate.methods")
    metrics.gate(config.publish.gate)
    if config.evaluate.trained and (config.prepare.colour, config.evaluate.colour) == ("rgb", "y"):
        raise ConfigError("networks for prepare.colour=rgb restore colour images alone; set evaluate.colour=rgb too")
    metrics.measured(config.evaluate)


def run(config: EvaluateConfig, images: str, restorers: dict[str, Output], session: Session) -> Output:
    """Measure every method of `config` on every image of `images`, or find it measured.

    `restorers` holds an output of `ced.pipeline.restorers` for each method of `config.trained`. Raises CedError.
    """
    measured = metrics.measured(config)
    methods = tuple(_method(text, config, restorers, session.store) for text in config.methods)
    listed = _listed(images, config, session.store.root / "archives")
    check_apart(methods, [original.name for original, *_ in listed], config)
    inputs = {"images": sources.content([photograph for photographs in listed for photograph in photographs])}
    inputs |= {method.name: method.content for method in methods if method.content}
    dataset = damaged_name(config.name or dataset_name(images), config.damage)
    described = {**as_dict(config), "methods": list(config.names), "dataset": dataset, "form": _FORM}
    described |= {"name": "", "schema": schema.VERSION}
    if blends := {m.name: [m.weight, m.first.content, m.second.content] for m in methods if isinstance(m, BlendMethod)}:
        described["blends"] = blends
    if added := metrics.added():
        described["metrics"] = added

    def produce(making: Making) -> None:
        settings = (config.colour, config.damage, methods, config.pictures, measured, metrics.per_image_schema())
        measurer = Fidelity(dataset, str(making.folder), *settings)
        _produce(measurer, config.qualities, listed, session, making)

    output = make(session.store, "evaluate", described, inputs, produce)
    _report_failures(output)
    return output


def dataset_name(images: str) -> str:
    """What the data set is called in the tables: the folder's name, LIVE1 and BSDS500 as the paper writes them."""
    name = "built-in" if images.startswith("builtin:") else sources.title(images)
    known = {"live1": "LIVE1", "bsds500": "BSDS500"}
    return known.get(name.lower(), name)


def damaged_name(dataset: str, damage: str) -> str:
    """A data set after a damage is another one, in every table: "LIVE1, saved twice"."""
    return f"{dataset}, {title}" if (title := DAMAGES.get(damage)) else dataset


def _listed(
    images: str, config: EvaluateConfig, cache: Path | None = None, quiet: bool = False
) -> list[tuple[Photograph, ...]]:
    """The test images: each original, and its damaged file where there are pairs. Raises InputError."""
    if config.damage == PAIRS:
        return list(pairs.find(images, cache))
    return [(photograph,) for photograph in sources.find((images,), cache=cache, quiet=quiet)]


def _method(text: str, config: EvaluateConfig, restorers: dict[str, Output], store: Store) -> Method:
    request = parse(text)
    if request.name in restorers:
        output = restorers[request.name]
        method = restorer(request.name, output.path, output.manifest.content)
        return takes_colours(method, config, str(output.path))
    return find(request, config, store.root)


@dataclass(frozen=True)
class Fidelity:
    """How near methods come to the original: the measurer of Table 2."""

    dataset: str
    folder: str
    colour: str
    damage: str  # one of config.DAMAGES, or PAIRS
    methods: tuple[Method, ...]
    pictures: int  # images whose restorations are kept as PNG
    metrics: tuple[Metric, ...]  # of each image; workers do not know of those that were added
    schema: pa.Schema  # of per_image.parquet

    def measure(self, task: dict[str, Any], attempts: Attempts) -> Sequence[Future[Any]]:
        """Measure all methods on one image at one quality factor.

        `task` has "part", "name", "number", "quality", "patches" (whether its patches are judged) and "photographs":
        the original and, in pairs, its damaged file. Raises Rejected.
        """
        attempts.take(ORIGINAL, lambda: image_ended("decoded it"))
        smallest = max(SMALLEST, *(metric.smallest for metric in self.metrics))
        photograph, *found = (Photograph(*fields) for fields in task["photographs"])
        whole, original, reference, spectrum = _opened(
            photograph, self.colour, self.damage, smallest, attempts.before > 0
        )
        quality = task["quality"]
        if found:
            damaged = guarded(functools.partial(pairs.read, found[0], original), attempts.before > 0)
        else:
            damaged = Damaged.of(task["name"], quality, whole, self.damage)
        height, width = original.shape[:2]
        facts = {"dataset": self.dataset, "image_id": task["name"], "colour": self.colour, "quality": quality}
        facts |= {"height": height, "width": width, "reason": "", "message": ""}
        rows, kept = [], {ORIGINAL: spectrum}
        pictures = {ORIGINAL: original, pool.version(quality, JPEG): damaged.image}
        for method in self.methods:
            row = facts | {"method": method.name}
            try:
                seconds, restored = restore(method, damaged, method.name, attempts)
            except Failed as error:
                rows.append(row | {"reason": error.reason, "message": error.message})
                continue
            plane = restored if self.colour == "y" else luminance(restored)
            compared = Comparison(reference.plane, plane, reference.measure(plane), (original, restored))
            rows.append(row | self._figures(compared) | {"seconds": seconds})
            key = pool.version(quality, method.name)
            kept[key], pictures[key] = Filled.of(plane).to_bytes(packed=False), restored
        if task["patches"]:
            kept |= self._features(pictures)
        if task["number"] < self.pictures:
            for key, image in pictures.items():
                data = png(image, compress_level=1)  # a third of the default's time, for a tenth more bytes
                write_bytes(_picture_file(Path(self.folder), task["number"], key), data)
        columns = pa.table({key: [data] for key, data in kept.items()})
        measured = pa.Table.from_pylist(rows, self.schema)
        return (
            write_table_later(Path(self.folder, SPECTRA, task["part"]), columns, packed=False),
            write_table_later(Path(self.folder, PARTS, task["part"]), measured),
        )

    def _figures(self, compared: Comparison) -> dict[str, float]:
        return {metric.name: metric.per_image(compared) for metric in self.metrics if metric.per_image}

    def _features(self, pictures: Mapping[str, np.ndarray]) -> dict[str, bytes]:
        """What the pooled judges keep of the patches of each version, in columns beside its spectrum's."""
        judges = [(metric.judge, metric.patches.features) for metric in self.metrics if metric.patches]
        return {
            pool.column(version, judge): pool.stored(features(picture))
            for version, picture in pictures.items()
            for judge, features in judges
        }


def part_name(number: int, quality: int) -> str:
    """The part of image `number` at a quality factor."""
    return f"part-{number:05d}-q{quality:03d}.parquet"


@functools.lru_cache(maxsize=1)  # often the next task is the same image at another quality factor
def _opened(
    photograph: Photograph, colour: str, damage: str, smallest: int, again: bool
) -> tuple[np.ndarray, np.ndarray, Reference, bytes]:
    """An image as it is coded, (H, W) luminance or (H, W, 3) RGB; as it lies after the damage; and what all its
    versions are compared with: the reference and spectrum of that. Raises Rejected."""
    rgb = guarded(functools.partial(decode_rgb, sources.read(photograph)), again)
    whole = luminance(rgb) if colour == "y" else rgb
    original = jpeg.moved(whole, damage)
    if min(original.shape[:2]) < smallest:
        least = f"the measures take {smallest}x{smallest} and more"
        raise Rejected("too small", f"{original.shape[1]}x{original.shape[0]} pixels, {least}")
    luma = original if colour == "y" else luminance(original)
    return whole, original, Reference.of(luma), Filled.of(luma).to_bytes(packed=False)


def _produce(
    measurer: Fidelity,
    qualities: tuple[int, ...],
    listed: list[tuple[Photograph, ...]],
    session: Session,
    making: Making,
) -> None:
    folder = making.folder
    if not (folder / FILE).exists():  # written last: with it there only tidying is left
        judges = {metric.judge: metric.patches.compare for metric in measurer.metrics if metric.patches}
        pooled = pool.Pool(qualities, [method.name for method in measurer.methods], judges)
        set_aside = _measure(measurer, qualities, listed, session, pooled)
        numbers = [number for number, (original, *_) in enumerate(listed) if original.name not in set_aside]
        if not numbers:
            reasons = ", ".join(sorted({row["reason"] for row in set_aside.values()}))
            raise InputError(f"none of the {len(listed)} test images can be measured ({reasons}); give other ones")
        if set_aside:
            rows = [set_aside[source] for source in sorted(set_aside)]
            write_table(folder / QUARANTINE, pa.Table.from_pylist(rows, schema.QUARANTINE))
        names = [part_name(number, quality) for number in numbers for quality in qualities]
        _pool(folder, pooled, qualities, numbers)
        runner.collect(folder, [folder / PARTS / name for name in names], measurer.schema)
    making.counts.update(_counts(folder))
    for scratch in (PARTS, SPECTRA):
        shutil.rmtree(folder / scratch, ignore_errors=True)


def _measure(
    measurer: Fidelity,
    qualities: tuple[int, ...],
    listed: list[tuple[Photograph, ...]],
    session: Session,
    pooled: pool.Pool,
) -> dict[str, dict[str, str]]:
    """Write what parts are missing, pooling them as they come; the images that were set aside, by name."""
    folder, parts, set_aside = Path(measurer.folder), [], {}
    every = -(-len(listed) // pool.JUDGED)
    # The largest first: the last tasks, which keep the other cores waiting, are short.
    for number, photographs in sorted(enumerate(listed), key=lambda numbered: -numbered[1][0].size):
        for quality in qualities:
            name = part_name(number, quality)
            task = {"part": name, "number": number, "quality": quality, "name": photographs[0].name}
            task["patches"] = number % every == 0
            task["photographs"] = list(map(tuple, photographs))
            parts.append(Part(task, (folder / SPECTRA / name, folder / PARTS / name)))
    for answer in runner.measure("evaluate", measurer, parts, "damaged images", session):
        if answer["reason"]:
            reasons = {"reason": answer["reason"], "message": answer["message"]}
            set_aside[answer["name"]] = {"source": answer["name"], **reasons}
        else:
            pooled.add(folder / SPECTRA / answer["part"], answer["quality"])
    return set_aside


def _pool(folder: Path, pooled: pool.Pool, qualities: tuple[int, ...], numbers: list[int]) -> None:
    """Take in what was made before this run, and write what all have together."""
    parts = {folder / SPECTRA / part_name(number, quality): quality for quality in qualities for number in numbers}
    if not pooled.added.keys() <= parts.keys():  # an image that went bad under our hands
        pooled = pooled.empty()
    for part in parts.keys() - pooled.added.keys():
        pooled.add(part, parts[part])
    pooled.write(folder)


def _counts(folder: Path) -> dict[str, int]:
    """The counts, read back from what was written."""
    table = pq.read_table(folder / FILE, columns=["image_id", "reason"])
    counts = {"images": len(set(table["image_id"].to_pylist())), "rows": table.num_rows}
    counts["failures"] = sum(bool(reason) for reason in table["reason"].to_pylist())
    path = folder / QUARANTINE
    return counts | {"set aside": pq.read_metadata(path).num_rows if path.exists() else 0}


def _report_failures(output: Output) -> None:
    """Log which images were set aside, and which methods failed where."""
    if output.manifest.counts.get("set aside"):
        rows = pq.read_table(output.path / QUARANTINE).to_pylist()
        listed = runner.first_few(rows, "source", QUARANTINE)
        logger.warning("evaluate: %d test images set aside: %s", len(rows), listed)
    runner.tell_failures("evaluate", output.path / FILE)


def per_image(output: Output) -> list[dict[str, Any]]:
    """The rows of per_image.parquet, by image in the order of the source, quality factor and method."""
    rows: list[dict[str, Any]] = pq.read_table(output.path / FILE).to_pylist()
    return rows


def picture(output: Output, number: int, quality: int, method: str) -> np.ndarray | None:
    """A kept picture of image `number`: "original", or what `method` made of it, None where that failed.

    Shape: (H, W) or (H, W, 3) uint8.
    """
    path = _picture_file(output.path, number, pool.version(quality, method))
    if not path.exists():
        return None
    return np.asarray(open_upright(path.read_bytes()))


def _picture_file(folder: Path, number: int, version: str) -> Path:
    return folder / PICTURES / f"{number:05d}-{version}.png"


def rows_of(evaluated: Output) -> tuple[Row, ...]:
    """The rows of Table 2: means over the images, by data set, quality factor and method in the order measured."""
    pooled, groups = pool.figures(evaluated), runner.by_method(per_image(evaluated))
    means = {key: Means.of(images) for key, images in groups.items()}
    rows = {key: row_of(key, means[key], *pooled[key[1], key[3]]) for key in groups}
    return tuple(replace(row, from_best=from_best(key, rows, means)) for key, row in rows.items())


def figures_of(rows: Iterable[Row]) -> dict[str, float]:
    """The figures by their names in MLflow; times are no figures of a method."""
    names = [metric.name for metric in in_tables() if metric.better != "none"]
    return {f"{row.method}/q{row.quality}/{name}": row.value(name) for row in rows for name in names}
