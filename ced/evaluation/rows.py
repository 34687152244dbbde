"""From the rows of per_image.parquet to a row of Table 2: means, their intervals, and which differences hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ced.core.resampling import Interval, percentiles, resampled
from ced.evaluation.metrics import Metric, Row, in_tables
from ced.evaluation.paper import Key


@dataclass(frozen=True, eq=False)
class Means:
    """Means over the images that a method restored, and what follows from them, by metric."""

    restored: Sequence[dict[str, Any]]  # rows of per_image.parquet
    failures: int
    values: Mapping[str, float]
    drawn: Mapping[str, np.ndarray]  # the same of each draw of images: (repeats,); of as many images the same draws

    @classmethod
    def of(cls, images: Sequence[dict[str, Any]]) -> Self:
        """The means of a method's rows of per_image.parquet."""
        restored = [measured for measured in images if not measured["reason"]]
        failures = len(images) - len(restored)
        if not restored:
            return cls(restored, failures, {}, {})
        names = [m.name for m in in_tables() if m.per_image and restored[0].get(m.name) is not None]
        measures = np.array([[measured[name] for name in names] for measured in restored], np.float64)
        derived = {metric.name: metric.of_means for metric in in_tables() if metric.of_means}

        def with_derived(means: np.ndarray) -> dict[str, float]:
            measured = dict(zip(names, means.tolist(), strict=True))
            return measured | {name: follows(measured) for name, follows in derived.items()}

        values = with_derived(measures.mean(axis=0))
        drawn = np.array([[*with_derived(draw).values()] for draw in resampled(measures)])
        return cls(restored, failures, values, dict(zip(values, drawn.T, strict=True)))


def row_of(
    key: Key, means: Means, pooled: Mapping[str, float], pooled_intervals: Mapping[str, tuple[float, float]]
) -> Row:
    """The row of a data set, quality factor, colour and method; `pooled` are its figures that are pooled over the
    images, with their intervals."""
    if not means.restored:
        return Row(*key, images=0, failures=means.failures)
    of_images = {metric.name: metric.of_images(means.restored) for metric in in_tables() if metric.of_images}
    ends = percentiles(np.stack([*means.drawn.values()], axis=1))
    return Row(
        *key,
        images=len(means.restored),
        failures=means.failures,
        values={**means.values, **of_images, **pooled},
        intervals={name: (low, high) for name, (low, high) in zip(means.drawn, ends, strict=True)}
        | dict(pooled_intervals),
    )


def from_best(key: Key, rows: Mapping[Key, Row], means: Mapping[Key, Means]) -> dict[str, Interval]:
    """By metric, where the difference of a row's figure from the best of its rivals' lies (95 %).

    The images are drawn anew for both together, so that what is hard for both does not count. Of means over images and
    what follows from them; without the metrics that the row itself is best at, and none where a method failed.
    """
    rivals = [other for other in rows if other[:3] == key[:3] and not rows[other].failures]
    if key not in rivals:
        return {}
    found = {}
    for metric in in_tables():
        shared = [other for other in rivals if metric.name in means[other].drawn]
        if metric.better == "none" or key not in shared:
            continue
        best = _best(metric, {other: means[other].values[metric.name] for other in shared})
        if metric.beats(means[best].values[metric.name], means[key].values[metric.name]):
            with np.errstate(invalid="ignore"):  # of two that are infinite in a draw there is no difference
                apart = means[key].drawn[metric.name] - means[best].drawn[metric.name]
            if not np.isnan(apart).any():
                found[metric.name] = percentiles(apart[:, None])[0]
    return found


def _best(metric: Metric, figures: Mapping[Key, float]) -> Key:
    """Whose figure no other one beats, the first of equals."""
    best, *others = figures
    for other in others:
        best = other if metric.beats(figures[other], figures[best]) else best
    return best
