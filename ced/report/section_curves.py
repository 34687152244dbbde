"""Training curves on the page: one figure of small charts for each model."""

from collections.abc import Iterable
from html import escape

from ced.report.curves import Panel, panels
from ced.report.groups import display_name
from ced.report.model import Curve


def curves_section(curves: Iterable[Curve]) -> str:
    """A figure for each model; models without anything to draw are left out, and "" where none is left."""
    figures = [_figure(curve.model, drawn) for curve in curves if (drawn := panels(curve))]
    if not figures:
        return ""
    lead = '<p class="lead">Over the training steps; dashed lines: photographs held back for validation.</p>\n'
    return lead + "\n".join(figures)


def _figure(model: str, drawn: tuple[Panel, ...]) -> str:
    charts = "\n".join(map(_chart, drawn))
    name = escape(display_name(model))
    return f'<figure class="curves">\n<h3>{name}</h3>\n<div class="charts">\n{charts}\n</div></figure>'


def _chart(panel: Panel) -> str:
    items = "".join(
        f'<li class="series-{line.slot}{" validation" if line.validation else ""}">'
        f"{escape(line.label)} <b>{escape(line.figure)}</b></li>"
        for line in panel.series
    )
    return f'<div class="chart"><h4>{escape(panel.title)}</h4><ul class="legend">{items}</ul>{panel.svg}</div>'
