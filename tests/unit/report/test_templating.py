"""What templates make of values: text is escaped, and nothing is left out in silence."""

import base64
import io

import jinja2
import numpy as np
import pytest
from PIL import Image

from ced.report.model import Chart, Figure, LegendEntry, Photo
from ced.report.templating import render, render_macro

NASTY = "<script>&\"'"


def test_text_is_escaped_and_markup_is_not_escaped_again() -> None:
    legend = render_macro("sections.html", "legend", [LegendEntry("series-1", NASTY)])
    assert "&lt;script&gt;&amp;&#34;&#39;" in legend and NASTY not in legend
    page = render("page.html", title=NASTY, facts=(), sections=[("a", "A", legend)], style="", script="")
    assert legend in page and page.count("&lt;script&gt;") == 3


def test_a_value_that_a_template_asks_for_in_vain_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render_macro("sections.html", "figures", [object()])
    with pytest.raises(jinja2.UndefinedError):
        render("page.html", title="t")


def test_photographs_are_embedded_with_their_very_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    figure = Figure("f", "F", "c", b"", "", ((Photo("a", "b", pixels),),), charts=(Chart("", "<svg/>"),))
    section = str(render_macro("sections.html", "figures", [figure]))
    data = section.partition("data:image/png;base64,")[2].partition('"')[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), pixels)
    assert "<svg/>" in section
