"""The plane: who stands where, what is joined, and what a point says and leads to."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from ced.evaluation.metrics import Row
from ced.report.html import figures_section, pictures_section
from ced.report.model import Figure, Picture
from ced.report.plane import _panels, _settings, link, plane

SVG = "{http://www.w3.org/2000/svg}"


def row(method: str, psnr: float, w1: float = math.nan, quality: int = 10, **figures: float) -> Row:
    ends = {"psnr": (psnr - 1, psnr + 1), "w1": (w1 - 0.01, w1 + 0.01)}
    return Row("LIVE1", quality, "y", method, 29, {"psnr": psnr, "w1": w1, **figures}, intervals=ends)


ROWS = (row("jpeg", 27.0, 0.4), row("ed", 29.0, 0.3), row("mix-1", 28.5, 0.2), row("ced-gt", 26.0, 0.1))
BLENDS = (("ed", "mix-1", "ced-gt"),)


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def points(svg: str) -> list[tuple[float, float]]:
    """The places of the points on the page, the greatest first in their order."""
    found = re.findall(r'<a href="[^"]*"><title>.*?</title>.*?<use [^>]*x="([\d.]+)" y="([\d.]+)"', svg, re.DOTALL)
    return [(float(x), float(y)) for x, y in found]


def test_a_panel_is_a_quality_and_a_judge_with_at_least_two_methods() -> None:
    rows = [*ROWS, row("jpeg", 30.0, 0.3, 20), row("ed", 32.0, 0.2, 20), row("ed", 33.0, 0.1, 40)]
    rows[:2] = [replace(one, values={**one.values, "kid": 100.0}) for one in rows[:2]]
    found = [(panel.judge.name, panel.rows[0].quality, len(panel.rows)) for panel in _panels(rows, ())]
    assert found == [("w1", 10, 4), ("kid", 10, 2), ("w1", 20, 2)]
    assert plane([row("jpeg", 27.0, 0.4)]) is None and plane([]) is None


def test_rows_that_failed_or_have_no_place_are_left_out() -> None:
    rows = (*ROWS, row("perfect", math.inf, 0.0), replace(row("failed", 30.0, 0.1), failures=1))
    (panel,) = _panels(rows, ())
    assert [one.method for one in panel.rows] == ["jpeg", "ed", "mix-1", "ced-gt"]


def test_points_stand_where_their_figures_are() -> None:
    (chart,) = drawn(plane(ROWS)).charts
    (jpeg, ed, mix, gt) = points(chart.svg)
    assert gt[0] < jpeg[0] < mix[0] < ed[0], "PSNR to the right"
    assert jpeg[1] < ed[1] < mix[1] < gt[1], "W1 upright; SVG counts from the top"
    assert (ed[0] - jpeg[0]) / (jpeg[0] - gt[0]) == pytest.approx(2, rel=1e-4)
    assert (ed[1] - jpeg[1]) / (gt[1] - mix[1]) == pytest.approx(1, rel=1e-4)


def lines(svg: str) -> list[tuple[bool, int]]:
    """Whether each joining line is dashed, and how many points it joins."""
    paths = re.findall(r'<path d="([^"]*)" clip-path[^>]*style="([^"]*)"', svg)
    return [("dasharray" in style, path.count("L") + 1) for path, style in paths if "stroke-width: 1.2" in style]


def test_blends_are_joined_by_a_dashed_line_and_settings_by_a_curve() -> None:
    assert lines(drawn(plane(ROWS)).charts[0].svg) == []
    figure = drawn(plane(ROWS, BLENDS))
    assert lines(figure.charts[0].svg) == [(True, 3)]
    assert "Dashed" in figure.caption and "Curves" not in figure.caption
    settings = [row("t-0.3", 28.0, 0.2), row("t-0.03", 27.0, 0.15), row("t-0.1", 27.5, 0.18)]
    figure = drawn(plane([*ROWS, *settings], BLENDS))
    assert sorted(lines(figure.charts[0].svg)) == [(False, 3), (True, 3)]
    assert "Curves: settings" in figure.caption


def test_settings_are_in_the_order_of_their_numbers() -> None:
    names = ["t-0.1", "ced-gt", "t-0.03", "q-5", "t-1", "ced-gt-q10"]
    assert _settings(names) == (("t-0.03", "t-0.1", "t-1"),), "q-5 is alone"


def test_a_point_says_its_figures_and_leads_to_its_crops() -> None:
    svg = drawn(plane(ROWS, links=["original", "jpeg", "ed"])).charts[0].svg
    titles = re.findall(r'<a href="#([^"]*)"><title>(.*?)</title>', svg)
    assert titles[:2] == [
        ("version-jpeg", "JPEG: PSNR 27.00 dB (26.00 to 28.00), W1 0.400 (0.390 to 0.410)"),
        ("version-ed", "ED: PSNR 29.00 dB (28.00 to 30.00), W1 0.300 (0.290 to 0.310)"),
    ]
    assert titles[3][0] == "results", "of which no picture is shown"
    ElementTree.fromstring(svg)


def test_the_page_has_the_places_that_points_lead_to(picture: Picture) -> None:
    page = pictures_section([picture, picture])
    for label, _ in picture.versions:
        assert page.count(f'id="{link(label)}"') == 1


def test_names_are_text(picture: Picture) -> None:
    rows = [replace(one, method=name) for one, name in zip(ROWS, ("<b>", "a&b", "$x$", "d"), strict=True)]
    section = figures_section([drawn(plane(rows))])
    assert "&lt;b&gt;: PSNR" in section and "<b>" not in section.replace("<b></b>", "")


def test_the_same_rows_give_the_same_bytes() -> None:
    first, second = (drawn(plane(ROWS, BLENDS, ["ed"])) for _ in range(2))
    assert (first.png, first.svg, first.charts) == (second.png, second.svg, second.charts)
    ElementTree.fromstring(first.svg.partition("?>")[2].strip())
    assert "href" not in re.sub(r'xlink:href="#[^"]*"|xmlns:xlink="[^"]*"', "", first.svg), "a file leads nowhere"
    assert np.frombuffer(first.png, np.uint8).size > 10_000
