import io
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from ced.report import chart
from ced.report.chart import Inks

SVG = "{http://www.w3.org/2000/svg}"


def paint(figure, inks: Inks) -> None:
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.plot([0, 1], [0, 1], color=inks.series[0], linewidth=6)
    axes.plot([0, 1], [1, 0], color=inks.ink)
    axes.set_xlabel("steps", color=inks.muted)
    chart.style(axes, inks)


def colours(svg: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}\b", svg))


def test_on_the_page_a_chart_has_the_pages_colours_and_letters() -> None:
    svg = chart.inline((3, 2), "salt", 'a "chart"', paint)
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("role"), root.get("aria-label")) == (f"{SVG}svg", "img", 'a "chart"')
    assert root.get("width") is None and root.get("viewBox") == "0 0 216 144"
    assert colours(svg) == set()
    for name in ("--series-1", "--ink", "--muted", "--rule"):
        assert f"var({name})" in svg
    assert "font-family" not in svg and "<style" not in svg and "<?xml" not in svg


def test_a_file_has_the_colours_of_paper_and_its_words() -> None:
    png, svg = chart.files((3, 2), "salt", paint)
    inks = chart.PRINTED
    assert colours(svg) == {inks.series[0], inks.ink, inks.muted, inks.rule, "#ffffff"}
    assert "var(" not in svg
    root = ElementTree.fromstring(svg)
    assert "steps" in [text.text for text in root.iter(f"{SVG}text")]
    image = Image.open(io.BytesIO(png))
    assert image.size == (600, 400)
    pixels = np.asarray(image.convert("RGB"))
    wanted = tuple(int(inks.series[0][i : i + 2], 16) for i in (1, 3, 5))
    assert (pixels == wanted).all(axis=2).sum() > 1000
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_there_are_as_many_colours_as_promised_and_all_differ() -> None:
    assert len(set(chart.PRINTED.series)) == chart.SLOTS
    assert len({*chart.PRINTED.series, chart.PRINTED.ink, chart.PRINTED.muted, chart.PRINTED.rule}) == chart.SLOTS + 3


def test_the_salt_keeps_the_ids_of_charts_apart() -> None:
    ids = [set(re.findall(r' id="([^"]*)"', chart.inline((3, 2), salt, "x", paint))) for salt in ("one", "two")]
    assert ids[0] and ids[1] and not ids[0] & ids[1]


def test_the_same_drawing_gives_the_same_bytes_even_in_another_process() -> None:
    script = (
        "import sys, hashlib; from ced.report import chart\n"
        "def paint(figure, inks):\n    figure.add_axes((0.2, 0.2, 0.7, 0.7)).plot([1, 3, 2], color=inks.ink)\n"
        "png, svg = chart.files((2, 1), 's', paint); print(hashlib.sha256(png + svg.encode()).hexdigest())"
    )
    command = [sys.executable, "-c", script]
    once, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert once == again


def test_a_users_settings_are_neither_used_nor_changed() -> None:
    expected = chart.files((3, 2), "salt", paint)
    with matplotlib.rc_context({"axes.facecolor": "black", "lines.dash_capstyle": "round"}):
        before = dict(matplotlib.rcParams)
        assert chart.files((3, 2), "salt", paint) == expected
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (2500, "2500"), (10_000, "10k"), (12_500, "12.5k")])
def test_long_steps_are_shortened(value: float, text: str) -> None:
    assert chart.steps(value) == text
