"""Table 3's figures: its metrics, and the rows of an evaluation."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced.evaluation import runner
from ced.evaluation.metrics import Metric, Row
from ced.evaluation.paper import Key, table_3
from ced.evaluation.runner import FILE
from ced.registry import Registry
from ced.store.outputs import Output
from ced.vision import scoring
from ced.vision.objects import CLASSES, SEGMENTS, Detections, Objects

_NUMBERS = {name: number for number, name in enumerate(CLASSES)}


def _mean_of(figure: str) -> Any:
    """The mean of one of a row's figures of each class."""

    def mean(classes: Mapping[str, Any]) -> float:
        return scoring.mean(np.array(list(classes[figure].values())))

    return mean


# In the order of the columns. They are computed from a row's figures of each class, `Row.classes`.
_ALL = (
    Metric("map", "mAP", 3, "higher",
           "Mean over the 20 classes of the average precision at an overlap of 0.5, by VOC 2007's 11 points.",
           over="Detection", of_means=_mean_of("ap"), paper=table_3(0)),
    Metric("map_area", "mAP area", 3, "higher",
           "The same by the area under the curve, as VOC 2010 and later.",
           over="Detection", of_means=_mean_of("ap_area")),
    Metric("miou", "mIoU", 3, "higher",
           "Mean over the 21 classes of the intersection over union of pixels.",
           over="Segmentation", of_means=_mean_of("iou"), paper=table_3(2)),
)  # fmt: skip
ENTRIES = {metric.name: metric for metric in _ALL}
METRICS: Registry[Metric] = Registry("metric of Table 3", dict.fromkeys(ENTRIES, __name__))


def metrics() -> tuple[Metric, ...]:
    """All metrics of Table 3, in the order of its columns."""
    return tuple(METRICS.get(name) for name in METRICS.names)


def rows_of(evaluated: Output) -> tuple[Row, ...]:
    """The rows of Table 3, in the order measured."""
    return summarise(pq.read_table(evaluated.path / FILE))


def summarise(table: pa.Table) -> tuple[Row, ...]:
    """Those of each data set, quality factor, colour and method, from the rows of per_image.parquet alone."""
    return tuple(_row_of(key, images) for key, images in runner.by_method(table.to_pylist()).items())


def figures_of(rows: Iterable[Row]) -> dict[str, float]:
    """The figures by their names in MLflow."""
    return {
        f"{row.method}/q{row.quality}/{row.colour}/{metric.name}": row.value(metric.name)
        for row in rows
        for metric in metrics()
    }


def _row_of(key: Key, images: list[dict[str, Any]]) -> Row:
    """mAP and mIoU over the images that the method restored."""
    seen = [image for image in images if not image["reason"]]
    truths = [Objects.of(i["true_boxes"], _numbers(i["true_classes"]), i["true_difficult"]) for i in seen]
    detections = [Detections.of(i["boxes"], i["scores"], _numbers(i["classes"])) for i in seen]
    precision = scoring.precision(truths, detections)
    shape = (len(seen), scoring.SIZE, scoring.SIZE)
    confusion = np.frombuffer(b"".join(image["confusion"] for image in seen), "<i8").reshape(shape).sum(axis=0)
    classes = {
        "ap": dict(zip(CLASSES, precision.eleven_point.tolist(), strict=True)),
        "ap_area": dict(zip(CLASSES, precision.area.tolist(), strict=True)),
        "iou": dict(zip(SEGMENTS, scoring.intersection_over_union(confusion).tolist(), strict=True)),
    }
    values = {metric.name: metric.of_means(classes) for metric in metrics() if metric.of_means}
    return Row(*key, images=len(seen), failures=len(images) - len(seen), values=values, classes=classes)


def _numbers(names: list[str]) -> list[int]:
    return [_NUMBERS[name] for name in names]
