"""Training curves for the page: small multiples of loss, accuracy or PSNR, and learning rate."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ced.report import chart
from ced.report.chart import Inks
from ced.report.groups import display_name
from ced.report.model import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = (3.7, 2.2)
_SLOTS = 4  # colours before they repeat
_LOG_RATIO = 10.0  # a loss that falls further than this is drawn on a logarithmic axis
_MARKERS_UP_TO = 3  # points: a line through fewer would hardly be seen


@dataclass(frozen=True)
class Series:
    """One line of a panel: values over steps, finite ones only."""

    label: str
    slot: int  # colour, from 1
    validation: bool
    steps: tuple[float, ...]
    values: tuple[float, ...]
    figure: str  # the last value, or the greatest of a learning rate


@dataclass(frozen=True)
class Panel:
    """One chart: its title, its lines (for a legend) and its drawing."""

    title: str
    series: tuple[Series, ...]
    svg: str


def panels(curve: Curve) -> tuple[Panel, ...]:
    """The charts of one model, those without any finite value left out; () for an empty curve."""
    found = []
    for title, names, form in _panels_of(curve):
        series = _series(curve, names, form)
        if series:
            found.append(Panel(title, series, _svg(curve.model, title, series)))
    return tuple(found)


def series_of(curve: Curve, key: str, label: str, slot: int, form: str = ".4f") -> Series | None:
    """The finite values of `key` over the steps; None where there are none."""
    points = [(point["step"], point[key]) for point in curve.points if _finite(point, key)]
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    figure = max(values) if key.endswith("learning_rate") else values[-1]
    return Series(label, slot, key.startswith("validation_"), steps, values, format(figure, form))


def draw(axes: "Axes", line: Series, inks: Inks, solid: bool = False) -> None:
    """A line of a panel: dashed for validation unless `solid`; few points have markers."""
    axes.plot(
        line.steps,
        line.values,
        color=inks.series[line.slot - 1],
        linestyle=(0, (2.5, 1.6)) if line.validation and not solid else "-",
        marker="o" if len(line.steps) <= _MARKERS_UP_TO else "",
        markersize=4,
        linewidth=1.5,
        solid_capstyle="round",
    )


def _panels_of(curve: Curve) -> list[tuple[str, list[tuple[str, str]], str]]:
    # (title, [(name in metrics.jsonl, label)], format) of each possible panel.
    keys = {key for point in curve.points for key in point}
    stages = sorted((k for k in keys if re.fullmatch(r"accuracy_stage_\d+", k)), key=lambda k: int(k[15:]))
    return [
        ("Loss", [("loss", "training")], ".3g"),
        ("Accuracy", [(key, f"stage {key[15:]}") for key in stages], ".3f"),
        ("PSNR, dB", [("psnr", "training")], ".2f"),
        ("Learning rate", [("learning_rate", "peak")], ".2g"),
    ]


def _series(curve: Curve, names: list[tuple[str, str]], form: str) -> tuple[Series, ...]:
    found = []
    for number, (name, label) in enumerate(names):
        for key, validation in ((name, False), (f"validation_{name}", True)):
            shown = label if not validation else f"{label}, validation" if len(names) > 1 else "validation"
            series = series_of(curve, key, shown, 1 + number % _SLOTS, form)
            found += [series] if series else []
    return tuple(found)


def _finite(point: dict[str, float], key: str) -> bool:
    pair = point.get("step"), point.get(key)
    return all(isinstance(value, int | float) and math.isfinite(value) for value in pair)


def _svg(model: str, title: str, series: tuple[Series, ...]) -> str:
    def paint(figure: "Figure", inks: Inks) -> None:
        axes = figure.add_axes((0.13, 0.13, 0.84, 0.83))
        for line in series:
            draw(axes, line, inks)
        _style(axes, inks, logarithmic=title == "Loss" and _spans_decades(series))

    label = f"{title} of {display_name(model)} over {len(series[0].steps)} reports"
    return chart.inline(_INCHES, f"{model} {title}", label, paint)


def _style(axes: "Axes", inks: Inks, logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(chart.steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    chart.style(axes, inks)


def _spans_decades(series: tuple[Series, ...]) -> bool:
    values = [value for line in series for value in line.values]
    return min(values) > 0 and max(values) / min(values) > _LOG_RATIO
