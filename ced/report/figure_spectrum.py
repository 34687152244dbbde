"""Figure 6: how the 8x8 DCT coefficients of Laplacian images are spread, channel by channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ced.report import chart
from ced.report.chart import Inks
from ced.report.figure import Figure
from ced.report.groups import display_name
from ced.report.model import Spectra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_FIRST = ("jpeg", "ed", "ced-gt")  # what the paper draws beside the original, in its order
_MOST = chart.SLOTS  # methods
_SHOWN = 0.998  # of the original's coefficients: the others lie beyond the axis
_BINS = 41  # odd: one of them stands around zero
_ACROSS = 3  # channels side by side
_CELL, _HEAD = (3.0, 2.4), 0.5  # inches
_HANDLE, _LETTER, _LINE = 0.72, 0.092, 0.24  # inches: a legend's line and gaps, one of its letters, its next row
_INLINE = (3.7, 2.4)


@dataclass(frozen=True, eq=False)
class _Line:
    """One version's density in one channel; nan where there is no coefficient."""

    version: str
    slot: int  # colour, from 1; 0 for the original
    density: np.ndarray


@dataclass(frozen=True, eq=False)
class _Channel:
    name: str  # "2-1": second row, first column of the frequency table
    edges: np.ndarray
    lines: tuple[_Line, ...]


def figure_6(spectra: Spectra | None, channels: Sequence[str]) -> Figure | None:
    """The densities of the named channels ("1-1" to "8-8": row and column); None where there are no spectra.

    Drawn are the original, JPEG, ED and CED-GT, and other methods as far as there are colours.
    """
    if spectra is None or not channels:
        return None
    shown = [_channel(spectra, name) for name in channels]
    names = [(line.slot, line.version) for line in shown[0].lines]
    drawn = [version for _, version in names]
    left_out = [display_name(version) for version, _ in spectra.versions if version not in drawn]
    title = "Figure 6: the distribution of frequency coefficients"
    caption = (
        f"{spectra.dataset}, QF {spectra.quality}: orthonormal 8 × 8 DCT of the Laplacian, pooled over the images. "
        "1-1 is the first row and column of the frequency table. Density, on a logarithmic scale, against the "
        "coefficient’s value. The nearer a line is to the original’s, the more of its frequencies are there."
    )
    if left_out:
        caption += f" Not drawn, since there are no more colours: {', '.join(left_out)}."
    further = -(-len(drawn) // legend_columns([display_name(version) for version in drawn])) - 1
    inches = _ACROSS * _CELL[0], -(-len(shown) // _ACROSS) * _CELL[1] + _HEAD + further * _LINE
    png, svg = chart.files(inches, "figure-6", partial(_paint, shown))
    charts = "\n".join(map(_chart, shown))
    body = f'<ul class="legend">{_legend(names)}</ul>\n<div class="charts">\n{charts}\n</div>'
    return Figure("figure-6", title, caption, png, svg, body)


def legend_columns(labels: Sequence[str]) -> int:
    """How many labels stand side by side above the charts: as many as there is room for. They fill one column after the
    other, each as wide as its widest label."""
    for columns in range(len(labels), 1, -1):
        widths = [max(map(len, column)) for column in np.array_split(labels, columns)]
        if sum(_HANDLE + _LETTER * width for width in widths) <= _ACROSS * _CELL[0] - 0.5:
            return columns
    return 1


def place(channel: str) -> tuple[int, int]:
    """Row and column, from 0, of a channel named as in the paper: "2-1" is (1, 0)."""
    row, _, column = channel.partition("-")
    return int(row) - 1, int(column) - 1


def _channel(spectra: Spectra, name: str) -> _Channel:
    u, v = place(name)
    versions = dict(spectra.versions)
    order = sorted((n for n in versions if n != "original"), key=lambda n: _FIRST.index(n) if n in _FIRST else 9)
    limit = _limit(*versions["original"].values(u, v))
    edges = np.linspace(-limit, limit, _BINS + 1)
    lines = []
    for slot, version in enumerate(["original", *order[:_MOST]]):
        counts = versions[version].histogram(u, v, edges)
        density = counts / (versions[version].blocks * np.diff(edges))
        lines.append(_Line(version, slot, np.where(counts > 0, density, np.nan)))
    return _Channel(name, edges, tuple(lines))


def _limit(values: np.ndarray, counts: np.ndarray) -> float:
    # What nearly all values lie within, on both sides of zero.
    size = np.abs(values)
    order = np.argsort(size)
    within = np.cumsum(counts[order]) / counts.sum()
    return max(float(size[order][np.searchsorted(within, _SHOWN)]), 1.0)


def _paint(channels: Sequence[_Channel], drawing: "Drawing", inks: Inks) -> None:
    down = -(-len(channels) // _ACROSS)
    wide, high = drawing.get_size_inches()
    for number, channel in enumerate(channels):
        row, column = divmod(number, _ACROSS)
        left, bottom = column * _CELL[0] + 0.6, (down - 1 - row) * _CELL[1] + 0.5
        axes = drawing.add_axes((left / wide, bottom / high, (_CELL[0] - 0.75) / wide, (_CELL[1] - 0.85) / high))
        axes.set_title(channel.name, loc="left", fontsize=10, color=inks.ink, pad=6)
        axes.set_xlabel("coefficient", fontsize=8, color=inks.muted, labelpad=3)
        axes.set_ylabel("density", fontsize=8, color=inks.muted, labelpad=3)
        _draw(channel, axes, inks)
    labels = [display_name(line.version) for line in channels[0].lines]
    drawing.legend(
        drawing.axes[0].get_lines(),
        labels,
        loc="upper left",
        bbox_to_anchor=(0.4 / wide, 1 - 0.12 / high),
        ncols=legend_columns(labels),
        frameon=False,
        fontsize=10,
        labelcolor=inks.ink,
    )


def _draw(channel: _Channel, axes: "Axes", inks: Inks) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    middles = (channel.edges[:-1] + channel.edges[1:]) / 2
    for line in channel.lines:
        colour = inks.series[line.slot - 1] if line.slot else inks.ink
        width, order = (1.4, 9 - line.slot) if line.slot else (1.8, 9)  # the original on top
        axes.plot(middles, line.density, color=colour, linewidth=width, zorder=order)
    axes.set_yscale("log")
    axes.set_xlim(channel.edges[0], channel.edges[-1])
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    chart.style(axes, inks)


def _chart(channel: _Channel) -> str:
    def paint(drawing: "Drawing", inks: Inks) -> None:
        _draw(channel, drawing.add_axes((0.13, 0.12, 0.85, 0.84)), inks)

    names = ", ".join(display_name(line.version) for line in channel.lines)
    label = f"Density of channel {channel.name}: {names}"
    svg = chart.inline(_INLINE, f"figure-6 {channel.name}", label, paint)
    return f'<div class="chart"><h4>{escape(channel.name)}</h4>{svg}</div>'


def _legend(names: Sequence[tuple[int, str]]) -> str:
    return "".join(f'<li class="series-{slot}">{escape(display_name(name))}</li>' for slot, name in names)
