"""Frequency classes: the edges that split all coefficients evenly, and the mapping M (sections 3.3 and 4.1)."""

import itertools
import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ced.core import quantiles
from ced.core.frequency import MIRROR
from ced.core.quantiles import Coarse, Fine
from ced.errors import FormatError

FORMAT = "ced-classes"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Classes:
    """What a class is, per frequency channel. K classes have K - 1 edges.

    Shapes: edges (16, K-1) float32 ascending; representatives (16, K) float32, the mean coefficient of each
    class, which is the class-to-coefficient mapping M; counts (16, K) int64, the training coefficients in each.
    """

    edges: np.ndarray
    representatives: np.ndarray
    counts: np.ndarray

    @property
    def count(self) -> int:
        """K, the number of classes (n_cl)."""
        return int(self.representatives.shape[1])

    @property
    def deviations(self) -> np.ndarray:
        """Standard deviation of M(y) over the training coefficients; 1 where it is zero. Shape: (16,) float32."""
        weights = self.counts / self.counts.sum(axis=1, keepdims=True)
        mean = (weights * self.representatives).sum(axis=1, keepdims=True)
        deviation = np.sqrt((weights * (self.representatives - mean) ** 2).sum(axis=1))
        positive: np.ndarray = np.where(deviation > 0, deviation, 1).astype(np.float32)
        return positive

    def label(self, q: np.ndarray) -> np.ndarray:
        """The class y of each coefficient: how many edges lie below it.

        Shape: (..., 16, h, w) float32 -> the same in uint8. Equals `searchsorted(edges, q, side="left")`.
        """
        labels = np.zeros(q.shape, np.uint8)
        for k in range(self.count - 1):
            labels += q > self.edges[:, k, None, None]
        return labels

    def label_mirrored(self, q: np.ndarray) -> np.ndarray:
        """The labels of each plane and of its horizontal mirror after it, from the plane's coefficients alone.

        Shape: (N, 16, h, w) float32 -> (2 N, 16, h, w) uint8.
        """
        count, *shape = q.shape
        labels = np.empty((count, 2, *shape), np.uint8)
        labels[:, 0] = self.label(q)
        labels[:, 1] = labels[:, 0, :, :, ::-1]
        for channel in np.flatnonzero(MIRROR < 0):
            negated = np.zeros((count, *shape[1:]), np.uint8)
            for edge in self.edges[channel]:
                negated += q[:, channel] < -edge
            labels[:, 1, channel] = negated[..., ::-1]
        return labels.reshape(2 * count, *shape)

    def coefficients(self, labels: np.ndarray) -> np.ndarray:
        """M(y). Shape: (..., 16, h, w) integers below K -> the same in float32."""
        channel = np.arange(len(self.representatives))[:, None, None]
        values: np.ndarray = self.representatives[channel, labels]
        return values

    def to_json(self) -> str:
        """The artifact classes.json. Its decimal numbers give the float32 values back exactly."""
        parts = {"edges": self.edges, "representatives": self.representatives, "counts": self.counts}
        rows = {name: array.tolist() for name, array in parts.items()}
        return json.dumps({"format": FORMAT, "version": VERSION, **rows}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "classes.json") -> Self:
        """The classes of `to_json`. Raises FormatError, naming `name`, for anything else."""
        stored = _parse(text, name)
        try:
            edges, representatives = (np.array(stored[k], np.float32) for k in ("edges", "representatives"))
            counts = np.array(stored["counts"], np.int64)
            channels, count = representatives.shape
            if edges.shape != (channels, count - 1) or counts.shape != (channels, count):
                raise ValueError("tables of different shapes")
            if not (np.isfinite(edges).all() and np.isfinite(representatives).all()):
                raise ValueError("a number that is not finite")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FormatError(f"{name}: not a valid class table ({error}); run `ced prepare` again") from error
        return cls(edges, representatives, counts)


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise FormatError(f"{name}: not JSON; run `ced prepare` again to make a class table") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise FormatError(f"{name}: not a class table (no format {FORMAT!r}); give a classes.json of `ced prepare`")
    if stored.get("version") != VERSION:
        raise FormatError(
            f"{name}: a class table of version {stored.get('version')!r}, this ced reads version {VERSION}; "
            "run `ced prepare` again"
        )
    return stored


def wanted_bins(coarse: Coarse, count: int) -> np.ndarray:
    """The coarse bins that hold the edges of `count` classes. Shape: (C, count-1) int64."""
    return coarse.locate(_ranks(coarse, count))


def fit(coarse: Coarse, fine: Fine, count: int) -> Classes:
    """Edges equal to `numpy.quantile(..., method="inverted_cdf")` of all values, and exact class means."""
    rows = [_fit_channel(coarse, fine, channel, ranks) for channel, ranks in enumerate(_ranks(coarse, count))]
    edges, representatives, counts = (np.stack(column) for column in zip(*rows, strict=True))
    return Classes(edges, representatives, counts)


def _fit_channel(
    coarse: Coarse, fine: Fine, channel: int, ranks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, means and counts of one channel."""
    before = np.cumsum(coarse.counts[channel]) - coarse.counts[channel]
    bins, sums = coarse.sums(channel)
    total_before = dict(zip(bins.tolist(), itertools.accumulate(sums, initial=0), strict=False))
    edges, below, sum_below = [], [0], [0]  # below each edge, itself included: how many values, and their sum
    for row, rank in enumerate(ranks):
        bin_ = int(fine.bins[channel, row])
        values, occurrences = fine.occurring(channel, row)
        inside = np.cumsum(occurrences)
        at = int(np.searchsorted(inside, rank - before[bin_], side="right"))
        edges.append(values[at])
        below.append(int(before[bin_] + inside[at]))
        sum_below.append(total_before[bin_] + quantiles.exact_sum(values[: at + 1], occurrences[: at + 1]))
    counts = np.diff([*below, int(coarse.counts[channel].sum())])
    class_sums = [after - first for first, after in itertools.pairwise([*sum_below, sum(sums)])]
    # An empty class (ties across two edges) gets its upper edge, so that M stays monotonic.
    upper = [*edges, edges[-1]]
    rows = zip(class_sums, counts.tolist(), upper, strict=True)
    means = [quantiles.mean(total, number) if number else edge for total, number, edge in rows]
    return np.array(edges, np.float32), np.array(means, np.float32), counts.astype(np.int64)


def _ranks(coarse: Coarse, count: int) -> np.ndarray:
    total = int(coarse.counts[0].sum())
    ranks = quantiles.inverted_cdf_ranks(total, count)
    return np.broadcast_to(ranks, (len(coarse.counts), count - 1))
