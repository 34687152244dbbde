"""Training curves as inline SVG: small multiples of loss, accuracy or PSNR, and learning rate.

The colours are CSS variables of the page (--series-1.., --muted, --rule), so that a chart follows the
page from light to dark. The same curve gives the same text, byte for byte.
"""

import io
import math
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ced.report.groups import display_name
from ced.report.model import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (3.7, 2.2)
_SLOTS = 4  # colours before they repeat
_LOG_RATIO = 10.0  # a loss that falls further than this is drawn on a logarithmic axis
_MARKERS_UP_TO = 3  # points: a line through fewer would hardly be seen
# Stand-ins that matplotlib can take, replaced by the page's variables in the finished text.
_COLOURS = {f"#01a0{n:02x}": f"var(--series-{n})" for n in range(1, _SLOTS + 1)}
_MUTED, _RULE = "#01a0f1", "#01a0f2"
_VARIABLES = {**_COLOURS, _MUTED: "var(--muted)", _RULE: "var(--rule)"}


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
            points = [(point["step"], point[key]) for point in curve.points if _finite(point, key)]
            if not points:
                continue
            shown = label if not validation else f"{label}, validation" if len(names) > 1 else "validation"
            steps, values = zip(*points, strict=True)
            figure = max(values) if name == "learning_rate" else values[-1]
            found.append(Series(shown, 1 + number % _SLOTS, validation, steps, values, format(figure, form)))
    return tuple(found)


def _finite(point: dict[str, float], key: str) -> bool:
    pair = point.get("step"), point.get(key)
    return all(isinstance(value, int | float) and math.isfinite(value) for value in pair)


def _svg(model: str, title: str, series: tuple[Series, ...]) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc is not part of the report
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": f"{model} {title}"})
        figure = Figure(figsize=_INCHES)
        axes = figure.add_axes((0.13, 0.13, 0.84, 0.83))
        for line in series:
            _draw(axes, line)
        _style(axes, logarithmic=title == "Loss" and _spans_decades(series))
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return _inline(stream.getvalue(), f"{title} of {display_name(model)} over {len(series[0].steps)} reports")


def _draw(axes: "Axes", line: Series) -> None:
    axes.plot(
        line.steps,
        line.values,
        color=list(_COLOURS)[line.slot - 1],
        linestyle=(0, (2.5, 1.6)) if line.validation else "-",
        marker="o" if len(line.steps) <= _MARKERS_UP_TO else "",
        markersize=4,
        linewidth=1.5,
        solid_capstyle="round",
    )


def _style(axes: "Axes", logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}")
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=_MUTED, pad=4)
    axes.grid(axis="y", color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_RULE)


def _steps(value: float, _: int | None) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _spans_decades(series: tuple[Series, ...]) -> bool:
    values = [value for line in series for value in line.values]
    return min(values) > 0 and max(values) / min(values) > _LOG_RATIO


def _inline(text: str, label: str) -> str:
    # A stand-alone SVG file -> an element of the page: no prolog, no style for the whole page, no ids but those used.
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda m: m.group() if m.group(1) in used else "", text)
    text = re.sub(r' width="[^"]*pt" height="[^"]*pt"', "", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    return text
