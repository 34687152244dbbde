"""The end of Table 3: per_image.parquet -> results.json, the table in four forms, and the drawings."""

import dataclasses
import json
import math
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ced import __version__
from ced.adapters import vision
from ced.adapters.storage import Making, Output, Place, make, write_bytes, write_text
from ced.core import detection, segmentation
from ced.core.voc import CLASSES, SEGMENTS, Detections, Objects
from ced.report import table3
from ced.report.table3 import Models, VisionRow
from ced.stages import evaluate_vision
from ced.stages.evaluate_vision import PICTURES, Sources
from ced.stages.report import versions

RESULTS = "results.json"
_PACKAGES = ("onnxruntime", "ai-edge-litert", "torchvision")
_NUMBERS = {name: number for number, name in enumerate(CLASSES)}


def run(sources: Sources, evaluated: Output, place: Place) -> Output:
    """Make results.json, table.md, table.tex, table.csv and pictures/*.png of an evaluation, or find them made."""
    described = {"version": __version__, "config": evaluated.manifest.config, **models(sources)._asdict()}
    produce = partial(_produce, sources, evaluated)
    return make(place, "report-vision", described, {"evaluate-vision": evaluated.manifest.content}, produce)


def models(sources: Sources) -> Models:
    """What looked at the images, as tables name it."""
    return Models(vision.title(sources.detector), vision.title(sources.segmenter))


def rows_of(evaluated: Output) -> tuple[VisionRow, ...]:
    """The rows of Table 3, in the order measured."""
    return tuple(summarise(evaluate_vision.per_image(evaluated)))


def summarise(table: pa.Table) -> list[VisionRow]:
    """mAP and mIoU of each method, quality factor and colour, from the rows of per_image.parquet alone."""
    groups: dict[tuple[str, str, int, str], list[dict[str, Any]]] = {}
    for one in table.to_pylist():
        groups.setdefault((one["dataset"], one["colour"], one["quality"], one["method"]), []).append(one)
    return [_row(key, ones) for key, ones in groups.items()]


def _row(key: tuple[str, str, int, str], everyone: list[dict[str, Any]]) -> VisionRow:
    """Over the images that the method restored, and as many failures."""
    ones = [one for one in everyone if not one["reason"]]
    truths = [Objects.of(one["true_boxes"], _numbers(one["true_classes"]), one["true_difficult"]) for one in ones]
    found = [Detections.of(one["boxes"], one["scores"], _numbers(one["classes"])) for one in ones]
    precision = detection.precision(truths, found)
    shape = (len(ones), segmentation.SIZE, segmentation.SIZE)
    confusion = np.frombuffer(b"".join(one["confusion"] for one in ones), "<i8").reshape(shape).sum(axis=0)
    agreement = segmentation.agreement(confusion)
    return VisionRow(
        *key,
        images=len(ones),
        failures=len(everyone) - len(ones),
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
    rows, looked = rows_of(evaluated), models(sources)
    write_text(making.folder / RESULTS, _results(evaluated, rows, looked))
    write_text(making.folder / "table.md", table3.markdown(rows, looked))
    write_text(making.folder / "table.tex", table3.latex(rows, looked))
    write_text(making.folder / "table.csv", table3.comma_separated(rows))
    pictures = sorted((evaluated.path / PICTURES).glob("*.png"))
    for path in pictures:
        write_bytes(making.folder / PICTURES / path.name, path.read_bytes())
    making.counts.update(rows=len(rows), pictures=len(pictures))


def _results(evaluated: Output, rows: tuple[VisionRow, ...], looked: Models) -> str:
    """Strict JSON: null where a class is not there to be found."""
    config = {**evaluated.manifest.config, **looked._asdict(), "inputs": evaluated.manifest.inputs}
    found = {
        "versions": versions(*_PACKAGES),
        "config": config,
        "rows": [_finite(dataclasses.asdict(row)) for row in rows],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
