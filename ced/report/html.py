"""The report as one HTML file that needs nothing else: no request leaves it, and images are embedded as PNG."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

from ced.report.figure import Figure, figures_section
from ced.report.model import Report
from ced.report.section_curves import curves_section
from ced.report.section_pictures import pictures_section
from ced.report.section_table import table_section, vision_section


def page(report: Report, figures: Sequence[Figure] = ()) -> str:
    """The whole page. Parts without content are left out. The same report gives the same text.

    It holds the table (with the paper's figures beside ours on the paper's test sets), the pictures with
    a before/after divide and a lens that all versions share, `figures` as they were drawn of the report, the
    training curves and the facts of the run.
    """
    sections = [
        ("results", "Results", table_section(report.rows)),
        ("vision", "Detection and segmentation", vision_section(report.vision)),
        ("pictures", "Pictures", pictures_section(report.pictures)),
        ("figures", "Figures", figures_section(figures)),
        ("training", "Training", curves_section(report.curves)),
    ]
    there = [section for section in sections if section[2]]
    return Template(asset("page.html")).substitute(
        title=escape(report.title),
        facts=_facts(report.facts),
        navigation=_navigation((name, heading) for name, heading, _ in there),
        sections="\n".join(_section(*section) for section in there),
        style=asset("style.css"),
        script=asset("script.js"),
    )


def asset(name: str) -> str:
    """The text of a file in ced/report/assets."""
    return (files("ced.report") / "assets" / name).read_text(encoding="utf-8")


def _section(name: str, heading: str, body: str) -> str:
    title = f'<h2 id="{name}-heading">{heading}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-heading">\n{title}\n{body}\n</section>'


def _navigation(parts: Iterable[tuple[str, str]]) -> str:
    links = [f'<a href="#{name}">{heading}</a>' for name, heading in parts]
    return f'<nav aria-label="Parts of this page">{" ".join(links)}</nav>' if len(links) > 1 else ""


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    items = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts]
    return "\n".join(['<dl class="facts">', *items, "</dl>"]) if items else ""
