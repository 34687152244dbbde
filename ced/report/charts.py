"""Charts with matplotlib, as elements of the page and as files of their own; training curves, and Table 1 as a curve.

On the page colours are CSS variables (--series-1.., --ink, --muted, --rule), so that a chart follows the page
from light to dark. The same drawing gives the same bytes.
"""

import contextlib
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from ced.evaluation import paper
from ced.report.model import Chart, Curve, Figure, LegendEntry, display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = 6  # of series


@dataclass(frozen=True)
class Inks:
    """The colours of a chart, as matplotlib takes them."""

    series: tuple[str, ...]
    ink: str
    muted: str
    rule: str


Paint = Callable[["Canvas", Inks], None]

# On paper: those of the light page.
PRINTED = Inks(
    ("#1f5f99", "#c2571a", "#2f7d5b", "#7a4a9e", "#8a6d00", "#b03a6b"), ink="#1d1b18", muted="#736d64", rule="#dfdbd1"
)
# Stand-ins that matplotlib can take, replaced by the page's variables in the finished text.
_PAGE = Inks(tuple(f"#01a0{n:02x}" for n in range(1, COLOURS + 1)), ink="#01a0f3", muted="#01a0f1", rule="#01a0f2")
_VARIABLES = {ink: f"var(--series-{n})" for n, ink in enumerate(_PAGE.series, start=1)}
_VARIABLES |= {_PAGE.ink: "var(--ink)", _PAGE.muted: "var(--muted)", _PAGE.rule: "var(--rule)"}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}  # it would differ by the day
_DOTS = 200  # an inch, in PNG
_CURVE = (3.7, 2.2)  # inches: a training curve on the page
_TABLE_1_FILE, _TABLE_1_INLINE = (6.4, 3.6), (4.6, 2.6)  # inches
_CURVE_COLOURS = 4  # before they repeat
_LOG_RATIO = 10.0  # a loss that falls further than this is drawn on a logarithmic axis
_MARKERS_UP_TO = 3  # points: a line through fewer would hardly be seen


@dataclass(frozen=True)
class Series:
    """One line of a chart: values over steps, finite ones only."""

    label: str
    colour: int  # from 1
    validation: bool
    steps: tuple[float, ...]
    values: tuple[float, ...]
    summary: str  # the last value, or the greatest of a learning rate


def inline(inches: tuple[float, float], salt: str, label: str, paint: Paint) -> str:
    """An <svg> element of the page, without a size of its own; `label` says what it is to those who cannot see it.

    `salt` keeps the ids of different charts apart.
    """
    text = _svg(inches, salt, _PAGE, paint)
    # Not a stand-alone file: no prolog, no style for the whole page, no ids but those used.
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


def files(inches: tuple[float, float], salt: str, paint: Paint) -> tuple[bytes, str]:
    """The chart on white as PNG, and as an SVG file whose words stay words."""
    from matplotlib.figure import Figure as Canvas

    stream = io.BytesIO()
    with _defaults(salt):
        canvas = Canvas(figsize=inches, facecolor="white")
        paint(canvas, PRINTED)
        canvas.savefig(stream, format="png", dpi=_DOTS, metadata={"Software": None})
    return stream.getvalue(), _svg(inches, salt, PRINTED, paint)


def style(axes: "Axes", inks: Inks) -> None:
    """Thin horizontal rules, no box, small muted figures."""
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=inks.muted, pad=4)
    axes.grid(axis="y", color=inks.rule, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(inks.rule)


def steps(value: float, _: int | None = None) -> str:
    """A number of training steps on an axis: 2000, 40k."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def curve_charts(curve: Curve) -> tuple[Chart, ...]:
    """The charts of one model: loss, accuracy or PSNR, and learning rate; those without any finite value left out."""
    wanted = (
        ("Loss", {"loss": "training"}, ".3g"),
        ("Accuracy", {f"accuracy_stage_{stage}": f"stage {stage}" for stage in _stages(curve)}, ".3f"),
        ("PSNR, dB", {"psnr": "training"}, ".2f"),
        ("Learning rate", {"learning_rate": "peak"}, ".2g"),
    )
    lines = ((title, _with_validation(curve, labels, decimals)) for title, labels, decimals in wanted)
    return tuple(_curve_chart(curve.model, title, series) for title, series in lines if series)


def table_1(curves: Iterable[Curve]) -> Figure | None:
    """The classifier's accuracies, on held-out photographs where there are any; None without a classifier's curve."""
    for curve in curves:
        series = _accuracies(curve) if curve.model == "classifier" else ()
        if series:
            where = "held-out photographs" if series[0].validation else "the training examples"
            caption = (
                f"Accuracy on {where} over the training steps, one line a stage. Diamonds: the paper’s Table 1, of a "
                "classifier of three stages trained on 96 × 96 luminance images. Chance, with seven classes of "
                "equal counts, is 0.143."
            )
            title = "Table 1 as a curve: the accuracy of each stage"
            png, svg = files(_TABLE_1_FILE, "table-1", partial(_paint_table_1, series, True))
            label = f"Accuracy of {len(series)} stages over the training steps"
            element = inline(_TABLE_1_INLINE, "table-1", label, partial(_paint_table_1, series, False))
            ours = [LegendEntry(f"series-{line.colour}", line.label, line.summary) for line in series]
            theirs = [LegendEntry(f"series-{n} theirs", label) for n, label in enumerate(_paper_labels(), start=1)]
            return Figure("table-1", title, caption, png, svg, charts=(Chart("", element, (*ours, *theirs)),))
    return None


def series_of(curve: Curve, key: str, label: str, colour: int, decimals: str = ".4f") -> Series | None:
    """The finite values of `key` over the steps; None where there are none."""
    points = [(point["step"], point[key]) for point in curve.points if _is_finite(point, key)]
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    summary = max(values) if key.endswith("learning_rate") else values[-1]
    return Series(label, colour, key.startswith("validation_"), steps, values, format(summary, decimals))


def _is_finite(point: dict[str, float], key: str) -> bool:
    pair = point.get("step"), point.get(key)
    return all(isinstance(value, int | float) and math.isfinite(value) for value in pair)


def _stages(curve: Curve) -> list[int]:
    keys = {key for point in curve.points for key in point}
    matches = (re.fullmatch(r"(?:validation_)?accuracy_stage_(\d+)", key) for key in keys)
    return sorted({int(match[1]) for match in matches if match})


def _with_validation(curve: Curve, labels: dict[str, str], decimals: str) -> tuple[Series, ...]:
    """The series of these keys of the metrics, each followed by that of the same name on held-out photographs."""
    lines = []
    for number, (key, label) in enumerate(labels.items()):
        colour = 1 + number % _CURVE_COLOURS
        lines.append(series_of(curve, key, label, colour, decimals))
        held_out = f"{label}, validation" if len(labels) > 1 else "validation"
        lines.append(series_of(curve, f"validation_{key}", held_out, colour, decimals))
    return tuple(line for line in lines if line)


def _curve_chart(model: str, title: str, series: tuple[Series, ...]) -> Chart:
    def paint(canvas: "Canvas", inks: Inks) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

        axes = canvas.add_axes((0.13, 0.13, 0.84, 0.83))
        for line in series:
            _draw(axes, line, inks, dashed=line.validation)
        if title == "Loss" and _spans_decades(series):
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(steps))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
        style(axes, inks)

    label = f"{title} of {display_name(model)} over {len(series[0].steps)} reports"
    styles = (f"series-{line.colour}{' validation' if line.validation else ''}" for line in series)
    legend = tuple(LegendEntry(name, line.label, line.summary) for name, line in zip(styles, series, strict=True))
    return Chart(title, inline(_CURVE, f"{model} {title}", label, paint), legend)


def _draw(axes: "Axes", line: Series, inks: Inks, dashed: bool = False) -> None:
    axes.plot(
        line.steps,
        line.values,
        color=inks.series[line.colour - 1],
        linestyle=(0, (2.5, 1.6)) if dashed else "-",
        marker="o" if len(line.steps) <= _MARKERS_UP_TO else "",
        markersize=4,
        linewidth=1.5,
        solid_capstyle="round",
    )


def _spans_decades(series: tuple[Series, ...]) -> bool:
    values = [value for line in series for value in line.values]
    return min(values) > 0 and max(values) / min(values) > _LOG_RATIO


def _accuracies(curve: Curve) -> tuple[Series, ...]:
    held_out = any(key.startswith("validation_accuracy_stage_") for point in curve.points for key in point)
    key = "validation_accuracy_stage_{}" if held_out else "accuracy_stage_{}"
    lines = (
        series_of(curve, key.format(stage), f"stage {stage}", 1 + number % COLOURS)
        for number, stage in enumerate(_stages(curve))
    )
    return tuple(line for line in lines if line)


def _paint_table_1(series: tuple[Series, ...], with_legend: bool, canvas: "Canvas", inks: Inks) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    wide, high = canvas.get_size_inches()
    axes = canvas.add_axes((0.7 / wide, 0.5 / high, 1 - 0.85 / wide, 1 - 0.6 / high))
    for line in series:
        _draw(axes, line, inks)
    last = max(line.steps[-1] for line in series)
    for stage, accuracy in enumerate(paper.TABLE_1):  # side by side: two of them are nearly level
        axes.plot([last * (1.02 + 0.02 * stage)], [accuracy], "D", color=inks.series[stage], markersize=5)
    axes.set_xlim(0, last * (1.02 + 0.02 * len(paper.TABLE_1)))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(steps))
    style(axes, inks)
    if with_legend:
        axes.set_xlabel("training steps", fontsize=9, color=inks.muted)
        axes.set_ylabel("accuracy", fontsize=9, color=inks.muted)
        labels = [f"{line.label}: {line.summary}" for line in series] + _paper_labels()
        axes.legend(axes.get_lines(), labels, loc="lower right", frameon=False, fontsize=9, labelcolor=inks.ink)


def _paper_labels() -> list[str]:
    return [f"the paper’s stage {stage}: {accuracy:.4f}" for stage, accuracy in enumerate(paper.TABLE_1, start=1)]


def _svg(inches: tuple[float, float], salt: str, inks: Inks, paint: Paint) -> str:
    from matplotlib.figure import Figure as Canvas

    stream = io.StringIO()
    with _defaults(salt):
        canvas = Canvas(figsize=inches, facecolor="white")
        paint(canvas, inks)
        canvas.savefig(stream, format="svg", transparent=inks is _PAGE, metadata=_NO_METADATA)
    return stream.getvalue()


@contextlib.contextmanager
def _defaults(salt: str) -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc is not part of the report
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": salt})
        yield
