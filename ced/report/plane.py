"""The perception-distortion plane (Blau and Michaeli 2018): how near methods come to the pixels, against how natural
their pictures are by each judge. No method can have the best of both.

Settings of one restorer (names that end in a number: mine-0.03, mine-0.1) are joined by a curve, and the blends of two
methods (`ced.methods.blend`) by a dashed line from one to the other.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ced.evaluation.metrics import METRICS, Metric, Row
from ced.report import charts
from ced.report.charts import Inks
from ced.report.model import Chart, Figure, display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_JUDGES = ("w1", "kid", "dists_like")  # whose figures stand upright
_CELL, _INLINE = (4.6, 3.3), (4.2, 3.0)  # inches
_LETTERS, _APART = 8, 10  # points: of a name, and between the lines of two
# Where a name can stand, the best first: to the right or left of its point, and how many lines above it.
_PLACES = [(side, up) for up in (0, 0.8, -0.8, 1.6, -1.6, 2.4, -2.4) for side in (1, -1)]
_OF_SETTINGS = re.compile(r"(.+)-(\d+(?:\.\d+)?)")
_POINT = "point:{}"  # in the place of a link, until the page has its text


class Panel(NamedTuple):
    """The methods that can be compared, and one judge of them."""

    judge: Metric
    rows: tuple[Row, ...]  # those that have both figures
    curves: tuple[tuple[str, ...], ...]  # methods that are settings of one, in order
    lines: tuple[tuple[str, ...], ...]  # and those from one to another that blend them
    title: str


def plane(rows: Sequence[Row], blends: Sequence[Sequence[str]] = (), links: Sequence[str] = ()) -> Figure | None:
    """A panel for each test set, quality factor and judge; None where no two methods have both figures.

    `blends`: methods in the order of their weights, the blended ones at the ends as far as they are there. `links`:
    methods whose crops the page shows (`link`).
    """
    panels = list(_panels(rows, blends))
    if not panels:
        return None
    caption = (
        "To the right is nearer to the pixels (PSNR), below is nearer to what photographs look like. The bars are 95 % "
        "intervals; where they overlap, the table says whether a difference holds."
    )
    if any(panel.lines for panel in panels):
        caption += " Dashed: the weighted mean of two methods’ pictures, as it was measured."
    if any(panel.curves for panel in panels):
        caption += " Curves: settings of one restorer."
    across = min(len(panels), len(_JUDGES))
    down = -(-len(panels) // across)
    png, svg = charts.files((across * _CELL[0], down * _CELL[1]), "plane", partial(_paint, panels, across))
    drawn = tuple(_chart(number, panel, links) for number, panel in enumerate(panels))
    return Figure("plane", "The perception-distortion plane", caption, png, svg, charts=drawn)


def link(method: str) -> str:
    """The place of a method's crops on the page."""
    return f"version-{method}"


def _panels(rows: Sequence[Row], blends: Sequence[Sequence[str]]) -> Iterator[Panel]:
    groups = dict.fromkeys((row.dataset, row.quality, row.colour) for row in rows)
    for group in groups:
        for judge in map(METRICS.get, _JUDGES):
            shown = tuple(row for row in rows if row.key[:3] == group and _finite(row, judge))
            if len(shown) > 1:
                names = [row.method for row in shown]
                lines = [tuple(name for name in line if name in names) for line in blends]
                blended = {name for line in blends for name in line[1:-1]}
                curves = _settings([name for name in names if name not in blended])
                title = f"{group[0]}, QF {group[1]}: PSNR and {judge.heading}"
                yield Panel(judge, shown, curves, tuple(line for line in lines if len(line) > 1), title)


def _finite(row: Row, judge: Metric) -> bool:
    return not row.failures and all(math.isfinite(row.value(name)) for name in ("psnr", judge.name))


def _settings(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The names that differ in the number at their end alone, by it."""
    families: dict[str, list[tuple[float, str]]] = {}
    for name in names:
        if match := _OF_SETTINGS.fullmatch(name):
            families.setdefault(match[1], []).append((float(match[2]), name))
    return tuple(tuple(name for _, name in sorted(family)) for family in families.values() if len(family) > 1)


def _paint(panels: Sequence[Panel], across: int, canvas: "Canvas", inks: Inks) -> None:
    wide, high = canvas.get_size_inches()
    down = -(-len(panels) // across)
    for number, panel in enumerate(panels):
        row, column = divmod(number, across)
        left, bottom = column * _CELL[0] + 0.6, (down - 1 - row) * _CELL[1] + 0.5
        axes = canvas.add_axes((left / wide, bottom / high, (_CELL[0] - 0.75) / wide, (_CELL[1] - 0.85) / high))
        axes.set_title(panel.title, loc="left", fontsize=10, color=inks.ink, pad=6)
        _draw(panel, axes, inks, linked=False)


def _chart(number: int, panel: Panel, links: Sequence[str]) -> Chart:
    def paint(canvas: "Canvas", inks: Inks) -> None:
        _draw(panel, canvas.add_axes((0.13, 0.15, 0.85, 0.83)), inks, linked=True)

    label = f"{panel.title} of {', '.join(display_name(row.method) for row in panel.rows)}"
    svg = charts.inline(_INLINE, f"plane {number}", label, paint)

    def linked(found: re.Match[str]) -> str:
        row = panel.rows[int(found[1])]
        target = link(row.method) if row.method in links else "results"
        return f'<a href="#{target}"><title>{escape(_told(row, panel.judge))}</title>'

    return Chart(panel.title, re.sub(r'<a xlink:href="point:(\d+)"[^>]*>', linked, svg))


def _told(row: Row, judge: Metric) -> str:
    """What a point says: its method, and both figures with their intervals."""
    figures = []
    for metric in (METRICS.get("psnr"), judge):
        ends = row.intervals.get(metric.name)
        between = f" ({metric.text(ends[0])} to {metric.text(ends[1])})" if ends else ""
        unit = f" {metric.unit}" if metric.unit else ""
        figures.append(f"{metric.heading} {metric.text(row.value(metric.name))}{unit}{between}")
    return f"{display_name(row.method)}: {', '.join(figures)}"


def _draw(panel: Panel, axes: "Axes", inks: Inks, linked: bool) -> None:
    points = {row.method: (row.value("psnr"), row.value(panel.judge.name)) for row in panel.rows}
    blended = {name for line in panel.lines for name in line[1:-1]}
    styles = [(panel.curves, inks.series[1], "-"), (panel.lines, inks.muted, (0, (2.5, 1.6)))]
    for line, colour, style in ((line, colour, style) for some, colour, style in styles for line in some):
        axes.plot(*np.array([points[name] for name in line]).T, color=colour, linestyle=style, linewidth=1.2, zorder=2)
    for number, row in enumerate(panel.rows):
        x, y = points[row.method]
        across, upright = row.intervals.get("psnr", ()), row.intervals.get(panel.judge.name, ())
        small = row.method in blended
        for bar in (across, (y,) * len(across)), ((x,) * len(upright), upright):
            if np.isfinite(bar).all() and not small:
                axes.plot(*bar, color=inks.rule, linewidth=1.1, zorder=1)
        url = _POINT.format(number) if linked else None
        colour = inks.muted if small else inks.series[0]
        axes.plot([x], [y], "o", markersize=4 if small else 7, color=colour, zorder=3, url=url)
    axes.margins(x=0.12, y=0.1)
    _name(panel, points, axes, inks)
    axes.set_xlabel("PSNR, dB", fontsize=8, color=inks.muted, labelpad=3)
    axes.set_ylabel(panel.judge.heading, fontsize=8, color=inks.muted, labelpad=3)
    charts.style(axes, inks)
    axes.grid(axis="x", color=inks.rule, linewidth=0.6)


def _name(panel: Panel, points: dict[str, tuple[float, float]], axes: "Axes", inks: Inks) -> None:
    """The name of each point beside it, where it hides no other name and no other point."""
    axes.autoscale_view()  # what is drawn decides where points are
    scale = axes.figure.dpi / 72  # from pixels to points of print
    where = {name: tuple(axes.transData.transform(point) / scale) for name, point in points.items()}
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in where.values()]
    for name in sorted(where, key=lambda name: -where[name][1]):
        text, (x, y) = display_name(name), where[name]
        boxes = [_box(x, y, 0.6 * _LETTERS * len(text), *place) for place in _PLACES]
        number = min(range(len(boxes)), key=lambda number: sum(_overlaps(boxes[number], other) for other in taken))
        taken.append(boxes[number])
        side, up = _PLACES[number]
        axes.annotate(
            text,
            points[name],
            (side * 7, up * _APART - _LETTERS / 3),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            fontsize=_LETTERS,
            color=inks.ink,
            parse_math=False,
        )


def _box(x: float, y: float, width: float, side: int, up: float) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a name beside a point, in points of print."""
    left, middle = (x + 7 if side > 0 else x - 7 - width), y + up * _APART
    return left, middle - _APART / 2, left + width, middle + _APART / 2


def _overlaps(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
