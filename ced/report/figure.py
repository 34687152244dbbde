"""A figure as it is published: PNG, SVG, and the same for the page."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Figure:
    """One of the paper's figures, drawn from results of our own."""

    name: str  # of its files and its place on the page: figure-5
    title: str  # Figure 5: restored regions side by side
    caption: str
    png: bytes
    svg: str  # a file of its own
    body: str  # HTML: the same on the page, in the page's colours, made for any width


def figures_section(figures: Iterable[Figure]) -> str:
    """The figures on the page; "" where there are none."""
    shown = [_shown(figure) for figure in figures]
    if not shown:
        return ""
    lead = '<p class="lead">The paper’s figures, drawn from these results; as PNG and SVG in the folder figures.</p>\n'
    return lead + "\n".join(shown)


def _shown(figure: Figure) -> str:
    return (
        f'<figure class="plate" id="{figure.name}">\n<h3>{escape(figure.title)}</h3>\n{figure.body}\n'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
    )
