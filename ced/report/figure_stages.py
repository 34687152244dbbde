"""Table 1 as a curve: the accuracy of each stage of the classifier over the training steps."""

from collections.abc import Iterable
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from ced.evaluation import paper
from ced.report import chart
from ced.report.chart import Inks
from ced.report.curves import Series, draw, series_of
from ced.report.figure import Figure
from ced.report.model import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_FILE, _INLINE = (6.4, 3.6), (4.6, 2.6)  # inches


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
            png, svg = chart.files(_FILE, "table-1", partial(_paint, series, True))
            label = f"Accuracy of {len(series)} stages over the training steps"
            drawn = chart.inline(_INLINE, "table-1", label, partial(_paint, series, False))
            body = f'<div class="chart"><ul class="legend">{_legend(series)}</ul>{drawn}</div>'
            return Figure("table-1", title, caption, png, svg, body)
    return None


def _accuracies(curve: Curve) -> tuple[Series, ...]:
    names = {key for point in curve.points for key in point if "accuracy_stage_" in key}
    held_out = any(name.startswith("validation_") for name in names)
    chosen = [name for name in names if name.startswith("validation_") == held_out]
    stages = sorted(chosen, key=lambda name: int(name.rpartition("_")[2]))
    found = (
        series_of(curve, name, f"stage {name.rpartition('_')[2]}", 1 + number % chart.SLOTS)
        for number, name in enumerate(stages)
    )
    return tuple(one for one in found if one)


def _paint(series: tuple[Series, ...], with_legend: bool, drawing: "Drawing", inks: Inks) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    wide, high = drawing.get_size_inches()
    axes = drawing.add_axes((0.7 / wide, 0.5 / high, 1 - 0.85 / wide, 1 - 0.6 / high))
    for line in series:
        draw(axes, line, inks, solid=True)
    last = max(line.steps[-1] for line in series)
    for stage, accuracy in enumerate(paper.TABLE_1):  # side by side: two of them are nearly level
        axes.plot([last * (1.02 + 0.02 * stage)], [accuracy], "D", color=inks.series[stage], markersize=5)
    axes.set_xlim(0, last * (1.02 + 0.02 * len(paper.TABLE_1)))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(chart.steps))
    chart.style(axes, inks)
    if with_legend:
        axes.set_xlabel("training steps", fontsize=9, color=inks.muted)
        axes.set_ylabel("accuracy", fontsize=9, color=inks.muted)
        labels = [f"{line.label}: {line.figure}" for line in series] + _theirs()
        axes.legend(axes.get_lines(), labels, loc="lower right", frameon=False, fontsize=9, labelcolor=inks.ink)


def _theirs() -> list[str]:
    return [f"the paper’s stage {stage}: {accuracy:.4f}" for stage, accuracy in enumerate(paper.TABLE_1, start=1)]


def _legend(series: Iterable[Series]) -> str:
    ours = [f'<li class="series-{line.slot}">{escape(line.label)} <b>{escape(line.figure)}</b></li>' for line in series]
    theirs = [f'<li class="series-{slot} theirs">{label}</li>' for slot, label in enumerate(_theirs(), start=1)]
    return "".join(ours + theirs)
