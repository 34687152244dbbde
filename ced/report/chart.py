"""Charts with matplotlib: as elements of the page, in the page's colours, and as files of their own.

On the page colours are CSS variables (--series-1.., --ink, --muted, --rule), so that a chart follows the page
from light to dark. The same drawing gives the same bytes.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SLOTS = 6  # colours of series


@dataclass(frozen=True)
class Inks:
    """The colours of a chart, as matplotlib takes them."""

    series: tuple[str, ...]
    ink: str
    muted: str
    rule: str


Paint = Callable[["Figure", Inks], None]

# On paper: those of the light page.
PRINTED = Inks(
    ("#1f5f99", "#c2571a", "#2f7d5b", "#7a4a9e", "#8a6d00", "#b03a6b"), ink="#1d1b18", muted="#736d64", rule="#dfdbd1"
)
# Stand-ins that matplotlib can take, replaced by the page's variables in the finished text.
_PAGE = Inks(tuple(f"#01a0{n:02x}" for n in range(1, SLOTS + 1)), ink="#01a0f3", muted="#01a0f1", rule="#01a0f2")
_VARIABLES = {ink: f"var(--series-{n})" for n, ink in enumerate(_PAGE.series, start=1)}
_VARIABLES |= {_PAGE.ink: "var(--ink)", _PAGE.muted: "var(--muted)", _PAGE.rule: "var(--rule)"}
_NOTHING = {"Date": None, "Creator": None, "Format": None, "Type": None}  # metadata that would differ by the day
_DOTS = 200  # an inch, in PNG


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
    from matplotlib.figure import Figure

    stream = io.BytesIO()
    with _defaults(salt):
        figure = Figure(figsize=inches, facecolor="white")
        paint(figure, PRINTED)
        figure.savefig(stream, format="png", dpi=_DOTS, metadata={"Software": None})
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


def _svg(inches: tuple[float, float], salt: str, inks: Inks, paint: Paint) -> str:
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with _defaults(salt):
        figure = Figure(figsize=inches, facecolor="white")
        paint(figure, inks)
        figure.savefig(stream, format="svg", transparent=inks is _PAGE, metadata=_NOTHING)
    return stream.getvalue()


@contextlib.contextmanager
def _defaults(salt: str) -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc is not part of the report
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": salt})
        yield
