"""From measures of images to the rows of Table 2: means, what follows from them, and their confidence intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ced.core.resampling import intervals
from ced.evaluation import evaluate, pool
from ced.evaluation.metrics import Metric, Row, in_tables
from ced.evaluation.pool import Figures
from ced.store.outputs import Output


def rows_of(evaluated: Output) -> tuple[Row, ...]:
    """The rows of Table 2: means over the images, by data set, quality factor and method in the order measured."""
    groups: dict[tuple[str, int, str, str], list[dict[str, Any]]] = {}
    for measured in evaluate.per_image(evaluated):
        key = (measured["dataset"], measured["quality"], measured["colour"], measured["method"])
        groups.setdefault(key, []).append(measured)
    pooled = pool.figures(evaluated)
    return tuple(row(key, images, pooled[key[1], key[3]]) for key, images in groups.items())


def figures_of(rows: Iterable[Row]) -> dict[str, float]:
    """The figures by their names in MLflow; times are no figures of a method."""
    names = [metric.name for metric in in_tables() if metric.better != "none"]
    return {f"{row.method}/q{row.quality}/{name}": row.value(name) for row in rows for name in names}


def row(key: tuple[str, int, str, str], images: Sequence[dict[str, Any]], pooled: Figures) -> Row:
    """The row of a data set, quality factor, colour and method.

    `images` are its rows of per_image.parquet. Figures are over the images that the method restored.
    """
    restored = [measured for measured in images if not measured["reason"]]
    if not restored:
        return Row(*key, images=0, failures=len(images))
    averaged = [m for m in in_tables() if m.per_image and restored[0].get(m.name) is not None]
    derived = [metric for metric in in_tables() if metric.of_means]
    names = [metric.name for metric in averaged]
    measures = np.array([[measured[name] for name in names] for measured in restored], np.float64)
    means = dict(zip(names, measures.mean(axis=0).tolist(), strict=True))
    values = means | _derived(derived, means)
    values |= {metric.name: metric.of_images(restored) for metric in in_tables() if metric.of_images}
    # The same draws for all: what follows from means has an interval too.
    ends = intervals(measures, lambda draws: np.array([_with_derived(names, derived, draw) for draw in draws]))
    named = zip([*names, *(metric.name for metric in derived)], ends, strict=True)
    return Row(
        *key,
        images=len(restored),
        failures=len(images) - len(restored),
        values=values | pooled.values,
        intervals={name: (low, high) for name, (low, high) in named} | dict(pooled.intervals),
    )


def _derived(metrics: Sequence[Metric], means: Mapping[str, float]) -> dict[str, float]:
    return {metric.name: metric.of_means(means) for metric in metrics if metric.of_means}


def _with_derived(names: Sequence[str], derived: Sequence[Metric], draw: np.ndarray) -> list[float]:
    means = dict(zip(names, draw.tolist(), strict=True))
    return [*means.values(), *_derived(derived, means).values()]
