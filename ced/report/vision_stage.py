"""The end of Table 3: per_image.parquet -> results.json, the table in four forms, the drawings, and a page of all."""

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced import __version__, strict_json
from ced.report import html, table3
from ced.report.model import Drawing, Models, Report, Vision, VisionRow
from ced.report.stage import PAGE, RESULTS, TABLE, machine_facts, versions, write_files
from ced.store.outputs import Making, Output, make
from ced.store.session import Session
from ced.vision import backends, detection, evaluate, segmentation
from ced.vision.evaluate import PICTURES, Sources
from ced.vision.objects import CLASSES, SEGMENTS, Detections, Objects

_MEASURES = ("map", "map_area", "miou")
_FORM = 3  # of what is made; another number makes it again
_FITS = {"native": "at their own size", "scaled": "scaled to its input"}
_KEYS = ["image_id", "colour", "quality", "method"]
_PACKAGES = ("onnxruntime", "ai-edge-litert", "torchvision")
_NUMBERS = {name: number for number, name in enumerate(CLASSES)}


def run(sources: Sources, evaluated: Output, session: Session) -> Output:
    """Make report.html, results.json, table.md, .tex and .csv and pictures/*.png of an evaluation, or find them."""
    described = {
        "version": __version__,
        "form": _FORM,
        "config": evaluated.manifest.config,
        **models(sources)._asdict(),
    }
    produce = partial(_produce, sources, evaluated)
    return make(session.store, "report-vision", described, {"evaluate-vision": evaluated.manifest.content}, produce)


def models(sources: Sources) -> Models:
    """What looked at the images, as tables name it."""
    return Models(backends.title(sources.detector), backends.title(sources.segmenter))


def rows_of(evaluated: Output) -> tuple[VisionRow, ...]:
    """The rows of Table 3, in the order measured."""
    return tuple(summarise(evaluate.per_image(evaluated)))


def figures_of(rows: Iterable[VisionRow]) -> dict[str, float]:
    """The figures as MLflow has them, by name."""
    names = [(f"{row.method}/q{row.quality}/{row.colour}", row) for row in rows]
    return {f"{name}/{measure}": getattr(row, measure) for name, row in names for measure in _MEASURES}


def summarise(table: pa.Table) -> list[VisionRow]:
    """mAP and mIoU of each method, quality factor and colour, from the rows of per_image.parquet alone."""
    groups: dict[tuple[str, str, int, str], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        groups.setdefault((row["dataset"], row["colour"], row["quality"], row["method"]), []).append(row)
    return [_row(key, images) for key, images in groups.items()]


def _row(key: tuple[str, str, int, str], images: list[dict[str, Any]]) -> VisionRow:
    """Over the images that the method restored, and as many failures."""
    restored = [row for row in images if not row["reason"]]
    truths = [Objects.of(row["true_boxes"], _numbers(row["true_classes"]), row["true_difficult"]) for row in restored]
    detections = [Detections.of(row["boxes"], row["scores"], _numbers(row["classes"])) for row in restored]
    precision = detection.precision(truths, detections)
    shape = (len(restored), segmentation.SIZE, segmentation.SIZE)
    confusion = np.frombuffer(b"".join(row["confusion"] for row in restored), "<i8").reshape(shape).sum(axis=0)
    agreement = segmentation.agreement(confusion)
    return VisionRow(
        *key,
        images=len(restored),
        failures=len(images) - len(restored),
        map=precision.mean_eleven_point,
        map_area=precision.mean_area,
        miou=agreement.mean,
        ap=dict(zip(CLASSES, precision.eleven_point.tolist(), strict=True)),
        ap_area=dict(zip(CLASSES, precision.area.tolist(), strict=True)),
        iou=dict(zip(SEGMENTS, agreement.iou.tolist(), strict=True)),
    )


def _numbers(names: list[str]) -> list[int]:
    return [_NUMBERS[name] for name in names]


def _produce(sources: Sources, evaluated: Output, making: Making) -> None:
    rows, models_used, installed = rows_of(evaluated), models(sources), versions(*_PACKAGES)
    drawings = _drawings(evaluated)
    config = {**evaluated.manifest.config, **models_used._asdict(), "inputs": evaluated.manifest.inputs}
    results = {"versions": installed, "config": config, "rows": [dataclasses.asdict(row) for row in rows]}
    page = Report(
        title=f"ced: {evaluated.manifest.config['dataset']}, detection and segmentation",
        facts=(*_facts(evaluated, models_used), *machine_facts(installed)),
        vision=Vision(rows, models_used, tuple(drawings.values())),
    )
    files: dict[str, str | bytes] = {
        RESULTS: strict_json.text(results),
        f"{TABLE}.md": table3.markdown(rows, models_used),
        f"{TABLE}.tex": table3.latex(rows, models_used),
        f"{TABLE}.csv": table3.comma_separated(rows),
        PAGE: html.page(page),
    }
    write_files(making.folder, files | {f"{PICTURES}/{name}": drawing.png for name, drawing in drawings.items()})
    making.counts.update(rows=len(rows), pictures=len(drawings))


def _facts(evaluated: Output, models_used: Models) -> tuple[tuple[str, str], ...]:
    """What stands in the head of the page."""
    counts, config = evaluated.manifest.counts, evaluated.manifest.config
    through = config["through"] or "as the model was trained: rgb, or each channel of YCbCr"
    return (
        ("images", f"{counts['images']}, with {counts['objects']} objects"),
        ("detector", models_used.detector),
        ("segmenter", f"{models_used.segmenter}, images {_FITS[config['fit']]}"),
        ("RGB is restored", through),
    )


def _drawings(evaluated: Output) -> dict[str, Drawing]:
    """The kept drawings by file name: the images in their order, in each its versions in the order of the table."""
    rows = pq.read_table(evaluated.path / evaluate.FILE, columns=_KEYS).to_pylist()
    numbers = {name: number for number, name in enumerate(dict.fromkeys(row["image_id"] for row in rows))}
    drawings = {}
    for row in sorted(rows, key=lambda row: (numbers[row["image_id"]], row["colour"], row["quality"])):
        version = (row["colour"], row["quality"], row["method"])
        path = evaluated.path / PICTURES / evaluate.picture_name(numbers[row["image_id"]], *version)
        if path.exists():
            drawings[path.name] = Drawing(row["image_id"], *version, path.read_bytes())
    return drawings
