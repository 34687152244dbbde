"""Rows of Table 2 arranged as the paper prints them: grouped, ordered, rounded, the best marked."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ced.networks import NETWORKS, methods
from ced.report.model import Row

_NAMES = {
    "original": "Original",
    "jpeg": "JPEG",
    "released": "CED-GT (released)",
    "faithful": "ED (released)",
}
_COLOURS = {"y": "luminance", "rgb": "RGB"}


@dataclass(frozen=True)
class Column:
    """A metric: its field in `Row`, the paper's heading and number of decimals, and which end is good."""

    field: str
    heading: str
    decimals: int
    better: Literal["lower", "higher", "one", "none"]  # "none": shown, but no contest

    def text(self, value: float) -> str:
        """The value as the paper prints it; "∞" for a perfect restoration, "–" where there is no value."""
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        rounded = round(value, self.decimals) + 0.0  # never "-0.000"
        return f"{rounded:.{self.decimals}f}"


COLUMNS = (
    Column("bef_mse_bound", "BEF/MSE>", 3, "lower"),
    Column("psnr", "PSNR", 2, "higher"),
    Column("psnr_b", "PSNR-B", 2, "higher"),
    Column("ssim", "SSIM", 3, "higher"),
)


# What the paper does not print.
MORE = (
    Column("ssim_gaussian", "SSIM (G)", 4, "higher"),
    Column("w1", "W1", 3, "lower"),
    Column("energy", "Energy", 3, "one"),
    Column("bef_mse", "BEF/MSE", 3, "lower"),
    Column("lpips", "LPIPS", 3, "lower"),
    Column("seconds_per_megapixel", "s/Mpixel", 2, "none"),
)


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

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether no other row of the group prints a better figure (ties: all of them; one row alone: none).

        A row with failures is a mean over other images: it is neither the best nor in the others' way.
        """
        value = _printed(row, column)
        others = [_printed(r, column) for r in self.rows if r is not row and not r.failures]
        others = [o for o in others if not math.isnan(o)]
        if row.failures or column.better == "none":
            return False
        if math.isnan(value) or not others:
            return False
        if column.better == "one":
            value, others = -abs(value - 1), [-abs(other - 1) for other in others]
        best, worst = (min, max) if column.better == "lower" else (max, min)
        everything = [value, *others]
        return value == best(everything) != worst(everything)


def groups(rows: Iterable[Row]) -> tuple[Group, ...]:
    """Rows by (dataset, quality, colour) in order of appearance; methods in the paper's order, others last."""
    found: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.dataset, row.quality, row.colour), []).append(row)
    return tuple(Group(*key, rows=tuple(sorted(members, key=_order))) for key, members in found.items())


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


def _printed(row: Row, column: Column) -> float:
    value: float = getattr(row, column.field)
    return round(value, column.decimals) if math.isfinite(value) else value
