"""Figure 6: how the 8x8 DCT coefficients of Laplacian images are spread, channel by channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ced import drawing
from ced.report import charts
from ced.report.charts import Inks
from ced.report.model import Chart, Figure, LegendEntry, Spectra, display_name, factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_FIRST = ("jpeg", "ed", "ced-gt")  # what the paper draws beside the original, in its order
_SHARE = 0.998  # of the original's coefficients are on the axis: the others lie beyond
_BINS = 41  # odd: one of them stands around zero
_ACROSS = 3  # channels side by side
_CELL, _HEAD = (3.0, 2.4), 0.5  # inches
_LEGEND_LETTERS = 10  # points
_HANDLE, _LINE = 0.72, 0.24  # inches: a legend's line and gaps, and its next row
_INLINE = (3.7, 2.4)


@dataclass(frozen=True, eq=False)
class Densities:
    """How the coefficients of one channel are spread, in each version: the original first, the others by colour."""

    channel: str  # "2-1": second row, first column of the frequency table
    edges: np.ndarray  # of the bins
    versions: dict[str, np.ndarray]  # nan where there is no coefficient


def figure_6(spectra: Spectra | None, channels: Sequence[str]) -> Figure | None:
    """The densities of the named channels ("1-1" to "8-8": row and column); None where there are no spectra.

    Drawn are the original, JPEG, ED and CED-GT, and other methods as far as there are colours.
    """
    if spectra is None or not channels:
        return None
    spread = [densities(spectra, channel) for channel in channels]
    drawn = list(spread[0].versions)
    labels = [display_name(version) for version in drawn]
    left_out = [display_name(version) for version, _ in spectra.versions if version not in drawn]
    title = "Figure 6: the distribution of frequency coefficients"
    caption = (
        f"{spectra.dataset}, QF {factor(spectra.quality)}: orthonormal 8 × 8 DCT of the Laplacian, pooled over the "
        "images. "
        "1-1 is the first row and column of the frequency table. Density, on a logarithmic scale, against the "
        "coefficient’s value. The nearer a line is to the original’s, the more of its frequencies are there."
    )
    if left_out:
        caption += f" Not drawn, since there are no more colours: {', '.join(left_out)}."
    further = -(-len(labels) // legend_columns(labels)) - 1
    inches = _ACROSS * _CELL[0], -(-len(spread) // _ACROSS) * _CELL[1] + _HEAD + further * _LINE
    png, svg = charts.files(inches, "figure-6", partial(_paint, spread))
    legend = tuple(LegendEntry(f"series-{number}", label) for number, label in enumerate(labels))
    return Figure("figure-6", title, caption, png, svg, charts=tuple(map(_chart, spread)), legend=legend)


def densities(spectra: Spectra, channel: str) -> Densities:
    """Histograms of the coefficients, as densities; the paper's methods first, as many as there are colours."""
    u, v = indices(channel)
    versions = dict(spectra.versions)
    others = sorted((n for n in versions if n != "original"), key=lambda n: _FIRST.index(n) if n in _FIRST else 9)
    limit = _limit(*versions["original"].values(u, v))
    edges = np.linspace(-limit, limit, _BINS + 1)
    spread = {}
    for version in ("original", *others[: charts.COLOURS]):
        counts = versions[version].histogram(u, v, edges)
        density = counts / (versions[version].blocks * np.diff(edges))
        spread[version] = np.where(counts > 0, density, np.nan)
    return Densities(channel, edges, spread)


def indices(channel: str) -> tuple[int, int]:
    """Row and column, from 0, of a channel named as in the paper: "2-1" is (1, 0)."""
    row, _, column = channel.partition("-")
    return int(row) - 1, int(column) - 1


def legend_columns(labels: Sequence[str]) -> int:
    """How many labels stand side by side above the charts: as many as there is room for. They fill one column after the
    other, each as wide as its widest label."""
    letters = drawing.font(_LEGEND_LETTERS * 10, plain=False)  # matplotlib's, large: widths are rounded to pixels
    inches = [letters.getlength(label) / 10 / 72 for label in labels]
    for columns in range(len(labels), 1, -1):
        widths = [max(column) for column in np.array_split(inches, columns)]
        if sum(_HANDLE + width for width in widths) <= _ACROSS * _CELL[0] - 0.5:
            return columns
    return 1


def _limit(values: np.ndarray, counts: np.ndarray) -> float:
    """What nearly all values lie within, on both sides of zero."""
    size = np.abs(values)
    order = np.argsort(size)
    within = np.cumsum(counts[order]) / counts.sum()
    return max(float(size[order][np.searchsorted(within, _SHARE)]), 1.0)


def _paint(spread: Sequence[Densities], canvas: "Canvas", inks: Inks) -> None:
    down = -(-len(spread) // _ACROSS)
    wide, high = canvas.get_size_inches()
    for number, channel in enumerate(spread):
        row, column = divmod(number, _ACROSS)
        left, bottom = column * _CELL[0] + 0.6, (down - 1 - row) * _CELL[1] + 0.5
        axes = canvas.add_axes((left / wide, bottom / high, (_CELL[0] - 0.75) / wide, (_CELL[1] - 0.85) / high))
        axes.set_title(channel.channel, loc="left", fontsize=10, color=inks.ink, pad=6)
        axes.set_xlabel("coefficient", fontsize=8, color=inks.muted, labelpad=3)
        axes.set_ylabel("density", fontsize=8, color=inks.muted, labelpad=3)
        _draw(channel, axes, inks)
    labels = [display_name(version) for version in spread[0].versions]
    canvas.legend(
        canvas.axes[0].get_lines(),
        labels,
        loc="upper left",
        bbox_to_anchor=(0.4 / wide, 1 - 0.12 / high),
        ncols=legend_columns(labels),
        frameon=False,
        fontsize=_LEGEND_LETTERS,
        labelcolor=inks.ink,
    )


def _draw(channel: Densities, axes: "Axes", inks: Inks) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    middles = (channel.edges[:-1] + channel.edges[1:]) / 2
    for number, density in enumerate(channel.versions.values()):
        colour = inks.series[number - 1] if number else inks.ink
        width, order = (1.4, 9 - number) if number else (1.8, 9)  # the original on top
        axes.plot(middles, density, color=colour, linewidth=width, zorder=order)
    axes.set_yscale("log")
    axes.set_xlim(channel.edges[0], channel.edges[-1])
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    charts.style(axes, inks)


def _chart(channel: Densities) -> Chart:
    def paint(canvas: "Canvas", inks: Inks) -> None:
        _draw(channel, canvas.add_axes((0.13, 0.12, 0.85, 0.84)), inks)

    label = f"Density of channel {channel.channel}: {', '.join(map(display_name, channel.versions))}"
    return Chart(channel.channel, charts.inline(_INLINE, f"figure-6 {channel.channel}", label, paint))
