"""Stage 5: test images x methods x quality factors -> per_image.parquet, pooled.parquet, spectra (section 4.3)."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.cluster.parts import Part
from ced.config import Config, EvaluateConfig, as_dict
from ced.core.images import open_upright
from ced.data import sources
from ced.data.sources import Photograph
from ced.errors import ConfigError, InputError
from ced.evaluation import metrics, perceptual, pool, runner
from ced.evaluation.measure import PARTS, SPECTRA, Fidelity, part_name, picture_name
from ced.evaluation.runner import FILE, PICTURES
from ced.methods import Method, find, parse, takes_colours
from ced.methods.folder import check_apart
from ced.methods.restorer import restorer
from ced.store.outputs import Making, Output, Store, make, write_table
from ced.store.session import Session

logger = logging.getLogger("ced")

QUARANTINE = "quarantine.parquet"
_FORM = 3  # of what is measured; another number measures again


def check(config: Config) -> None:
    """Find out early what would only fail later, some of it after training. Raises InputError or ConfigError."""
    sources.check(config.images, config.prepare.pattern)
    if not config.test_images:
        raise InputError("no test images given; name them with --test-images")
    sources.find((config.test_images,))
    if config.publish.method not in config.evaluate.trained:
        raise ConfigError(f"publish.method {config.publish.method} is not evaluated; add it to evaluate.methods")
    metrics.gate(config.publish.gate)
    if config.evaluate.trained and (config.prepare.colour, config.evaluate.colour) == ("rgb", "y"):
        raise ConfigError("networks for prepare.colour=rgb restore colour images alone; set evaluate.colour=rgb too")
    if config.evaluate.lpips:
        perceptual.check()


def run(config: EvaluateConfig, images: str, restorers: dict[str, Output], session: Session) -> Output:
    """Measure every method of `config` on every image of `images`, or find it measured.

    `restorers` holds an output of `ced.pipeline.restorers` for each method of `config.trained`. Raises CedError.
    """
    if config.lpips:
        perceptual.check()
    methods = tuple(_method(text, config, restorers, session.store) for text in config.methods)
    photographs = sources.find((images,), cache=session.store.root / "archives")
    check_apart(methods, [photograph.name for photograph in photographs], config)
    inputs = {"images": sources.content(photographs)}
    inputs |= {method.name: method.content for method in methods if method.content}
    dataset = config.name or dataset_name(images)
    described = {**as_dict(config), "methods": list(config.names), "dataset": dataset, "form": _FORM}
    described |= {"name": "", "schema": schema.VERSION}
    if added := metrics.added():
        described["metrics"] = added
    measured = tuple(m for m in metrics.metrics() if m.per_image and (not m.option or getattr(config, m.option)))

    def produce(making: Making) -> None:
        settings = (config.colour, methods, config.pictures, measured, metrics.per_image_schema())
        measurer = Fidelity(dataset, str(making.folder), *settings)
        _produce(measurer, config.qualities, photographs, session, making)

    output = make(session.store, "evaluate", described, inputs, produce)
    _report_failures(output)
    return output


def dataset_name(images: str) -> str:
    """What the data set is called in the tables: the folder's name, LIVE1 and BSDS500 as the paper writes them."""
    name = "built-in" if images.startswith("builtin:") else sources.title(images)
    known = {"live1": "LIVE1", "bsds500": "BSDS500"}
    return known.get(name.lower(), name)


def per_image(output: Output) -> list[dict[str, Any]]:
    """The rows of per_image.parquet, by image in the order of the source, quality factor and method."""
    rows: list[dict[str, Any]] = pq.read_table(output.path / FILE).to_pylist()
    return rows


def picture(output: Output, number: int, quality: int, version: str) -> np.ndarray | None:
    """A kept picture of image `number`: "original", or what `version` made of it, None where that failed.

    Shape: (H, W) or (H, W, 3) uint8.
    """
    path = output.path / PICTURES / picture_name(number, quality, version)
    if not path.exists():
        return None
    return np.asarray(open_upright(path.read_bytes()))


def _method(text: str, config: EvaluateConfig, restorers: dict[str, Output], store: Store) -> Method:
    request = parse(text)
    if request.name in restorers:
        output = restorers[request.name]
        method = restorer(request.name, output.path, output.manifest.content)
        return takes_colours(method, config, str(output.path))
    return find(request, config, store.root)


def _produce(
    measurer: Fidelity, qualities: tuple[int, ...], photographs: list[Photograph], session: Session, making: Making
) -> None:
    folder = making.folder
    if not (folder / FILE).exists():  # written last: with it there only tidying is left
        pooled = pool.Pool(qualities, [method.name for method in measurer.methods])
        set_aside = _measure(measurer, qualities, photographs, session, pooled)
        numbers = [number for number, photograph in enumerate(photographs) if photograph.name not in set_aside]
        if not numbers:
            reasons = ", ".join(sorted({row["reason"] for row in set_aside.values()}))
            raise InputError(f"none of the {len(photographs)} test images can be measured ({reasons}); give other ones")
        if set_aside:
            rows = [set_aside[source] for source in sorted(set_aside)]
            write_table(folder / QUARANTINE, pa.Table.from_pylist(rows, schema.QUARANTINE))
        names = [part_name(number, quality) for number in numbers for quality in qualities]
        _pool(folder, pooled, qualities, numbers, [method.name for method in measurer.methods])
        runner.collect(folder, [folder / PARTS / name for name in names], measurer.schema)
    making.counts.update(_counts(folder))
    for scratch in (PARTS, SPECTRA):
        shutil.rmtree(folder / scratch, ignore_errors=True)


def _measure(
    measurer: Fidelity,
    qualities: tuple[int, ...],
    photographs: list[Photograph],
    session: Session,
    pooled: pool.Pool,
) -> dict[str, dict[str, str]]:
    """Write what parts are missing, pooling them as they come; the images that were set aside, by name."""
    folder, parts, set_aside = Path(measurer.folder), [], {}
    # The largest first: the last tasks, which keep the other cores waiting, are short.
    for number, photograph in sorted(enumerate(photographs), key=lambda numbered: -numbered[1].size):
        for quality in qualities:
            name = part_name(number, quality)
            task = {"part": name, "number": number, "quality": quality, "name": photograph.name}
            task["photograph"] = tuple(photograph)
            parts.append(Part(task, (folder / SPECTRA / name, folder / PARTS / name)))
    for answer in runner.measure("evaluate", measurer, parts, "damaged images", session):
        if answer["reason"]:
            reasons = {"reason": answer["reason"], "message": answer["message"]}
            set_aside[answer["name"]] = {"source": answer["name"], **reasons}
        else:
            pooled.add(folder / SPECTRA / answer["part"], answer["quality"])
    return set_aside


def _pool(folder: Path, pooled: pool.Pool, qualities: tuple[int, ...], numbers: list[int], methods: list[str]) -> None:
    """Take in what was made before this run, and write what all have together."""
    parts = {folder / SPECTRA / part_name(number, quality): quality for quality in qualities for number in numbers}
    if not pooled.added.keys() <= parts.keys():  # an image that went bad under our hands
        pooled = pool.Pool(qualities, methods)
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
