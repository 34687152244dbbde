"""Frequency classes: the edges that split all coefficients evenly, and the mapping M (sections 3.3 and 4.1)."""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ced.core import quantiles
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
    ranks = _ranks(coarse, count)
    before = np.cumsum(coarse.counts, axis=1) - coarse.counts
    edges = np.empty(ranks.shape, np.float32)
    below = np.empty(ranks.shape, np.int64)  # how many values are at most the edge
    sums = np.empty(ranks.shape, object)  # their fixed-point sum, as exact integers
    for channel, row in np.ndindex(*ranks.shape):
        bin_ = fine.bins[channel, row]
        values, counts = fine.values(channel, row), fine.counts[channel, row]
        inside = np.cumsum(counts)
        at = int(np.searchsorted(inside, ranks[channel, row] - before[channel, bin_], side="right"))
        edges[channel, row] = values[at]
        below[channel, row] = before[channel, bin_] + inside[at]
        sums[channel, row] = int(coarse.sums[channel, :bin_].sum()) + _fixed_sum(values[: at + 1], counts[: at + 1])
    return Classes(edges, *_means(coarse, edges, below, sums))


def _ranks(coarse: Coarse, count: int) -> np.ndarray:
    total = int(coarse.counts[0].sum())
    ranks = quantiles.inverted_cdf_ranks(total, count)
    return np.broadcast_to(ranks, (len(coarse.counts), count - 1))


def _fixed_sum(values: np.ndarray, counts: np.ndarray) -> int:
    occurring = np.flatnonzero(counts)
    fixed = np.rint(values[occurring].astype(np.float64) * quantiles.FIXED_POINT).astype(np.int64)
    return sum(int(v) * int(n) for v, n in zip(fixed, counts[occurring], strict=True))


def _means(coarse: Coarse, edges: np.ndarray, below: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class means and counts from what lies at or below each edge."""
    total = coarse.counts.sum(axis=1, keepdims=True)
    whole = np.array([[int(s)] for s in coarse.sums.sum(axis=1)], object)
    counts = np.diff(np.concatenate([np.zeros_like(total), below, total], axis=1), axis=1)
    class_sums = np.diff(np.concatenate([np.zeros_like(whole), sums, whole], axis=1), axis=1)
    means = np.empty(counts.shape, np.float32)
    for index in np.ndindex(*counts.shape):
        channel, k = index
        # An empty class (ties across two edges) gets its upper edge, so that M stays monotonic.
        empty = edges[channel, min(k, edges.shape[1] - 1)]
        means[index] = class_sums[index] / counts[index] / quantiles.FIXED_POINT if counts[index] else empty
    return means, counts
