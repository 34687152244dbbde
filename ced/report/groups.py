"""Rows arranged as the paper prints them, grouped and ordered, the best marked; and what things are called there."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ced.evaluation.metrics import Metric, Row
from ced.networks import NETWORKS, methods

_NAMES = {
    "original": "Original",
    "jpeg": "JPEG",
    "released": "CED-GT (released)",
    "faithful": "ED (released)",
}
_COLOURS = {"y": "luminance", "rgb": "RGB"}


@dataclass(frozen=True)
class Group:
    """The methods that can be compared: same test set, same quality factor, same colour."""

    dataset: str
    quality: int
    colour: str
    rows: tuple[Row, ...]

    @property
    def images(self) -> str:
        """How many images the means are over: "29 images", or "28–29 images" where the methods differ."""
        least, most = min(r.images for r in self.rows), max(r.images for r in self.rows)
        if least != most:
            return f"{least}–{most} images"
        return f"{most} image{'' if most == 1 else 's'}"

    @property
    def differs(self) -> bool:
        """Whether some method failed on some images: its means are then over other images than the others'."""
        return any(row.failures for row in self.rows)

    def is_best(self, row: Row, metric: Metric) -> bool:
        """Whether no other row of the group prints a better figure (ties: all of them; one row alone: none).

        A row with failures is a mean over other images: it is neither the best nor in the others' way.
        """
        if row.failures or metric.better == "none":
            return False
        figures = [_printed(r, metric) for r in self.rows if not r.failures]
        figures = [figure for figure in figures if not math.isnan(figure)]
        best, worst = (min, max) if metric.better == "lower" else (max, min)
        return len(figures) > 1 and _printed(row, metric) == best(figures) != worst(figures)


def groups(rows: Iterable[Row]) -> tuple[Group, ...]:
    """Rows by (dataset, quality, colour) in order of appearance; methods in the paper's order, others last."""
    by_key: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        by_key.setdefault((row.dataset, row.quality, row.colour), []).append(row)
    return tuple(Group(*key, rows=tuple(sorted(members, key=_order))) for key, members in by_key.items())


def display_name(name: str) -> str:
    """A method, model or version as the paper writes it: JPEG, ED, CED-EST, CED-GT; ED+ with self-ensemble."""
    model = name.removesuffix("+")
    if model in NETWORKS.names:
        return NETWORKS.get(model).display_name + name[len(model) :]
    return _NAMES[model] + name[len(model) :] if model in _NAMES else name


def images_of(row: Row) -> str:
    """How many images a row's means are over: "29", or "27 of 29†" where the method failed on two."""
    return f"{row.images} of {row.images + row.failures}†" if row.failures else str(row.images)


def colour_name(colour: str) -> str:
    """What the figures were computed on: luminance or RGB."""
    return _COLOURS.get(colour, colour)


def _order(row: Row) -> int:
    order = methods()
    return order.index(row.method) if row.method in order else len(order)


def _printed(row: Row, metric: Metric) -> float:
    """The figure as it is printed; where the nearest to 1 is best, how far it is from there, the nearest highest."""
    value = row.value(metric.name)
    value = round(value, metric.decimals) if math.isfinite(value) else value
    return -abs(value - 1) if metric.better == "one" else value
