import base64
import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
from PIL import Image

from ced.report.charts import curve_charts
from ced.report.figures import busiest_square, figures
from ced.report.html import (
    asset,
    curves_section,
    figures_section,
    page,
    pictures_section,
    render,
    render_macro,
)
from ced.report.model import Chart, Curve, Figure, LegendEntry, Photo, Picture, Report

VOID = {"meta", "link", "img", "input", "br"}
LOADING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "background", "formaction"}
NASTY = "\"'><script>alert(1)</script>&$title ${style} é“"


class Document(HTMLParser):
    """Tags with their attributes, the text, and a check that every tag is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open[-1:]:
            self.text[tag] = self.text.get(tag, "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_well_formed_and_has_every_part(report: Report) -> None:
    document = Document(page(report))
    assert [s["id"] for s in document.named("section")] == ["results", "pictures", "training"]
    assert [a["href"] for a in document.named("a")] == ["#results", "#pictures", "#training"]
    assert document.text["title"] == document.text["h1"] == "Quickstart"
    assert (document.text["dt"][:6], document.text["dd"][:10]) == ("Recipe", "quickstart")
    assert document.named("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in document.named("meta")


def test_figures_stand_between_pictures_and_training(full_report: Report) -> None:
    text = page(full_report, figures(full_report))
    document = Document(text)
    assert [s["id"] for s in document.named("section")] == ["results", "pictures", "figures", "training"]
    plates = [f["id"] for f in document.named("figure") if f.get("class") == "plate"]
    assert plates == ["plane", "figure-1", "figure-4", "figure-5", "figure-6", "table-1"]
    ids = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for tag, attributes in document.tags:
        for name in LOADING & set(attributes):
            assert (attributes[name] or "").startswith(("data:", "#")), f"<{tag} {name}>"
    assert all(image.get("alt") for image in document.named("img"))


def test_nothing_is_loaded_from_anywhere(report: Report) -> None:
    text = page(report)
    for tag, attributes in Document(text).tags:
        for name in LOADING & set(attributes):
            value = attributes[name] or ""
            assert value.startswith(("data:", "#")), f"<{tag} {name}={value[:60]}>"
    style = asset("style.css")
    assert style in text
    assert re.findall(r"url\((?!\"data:)", style) == []
    assert "@import" not in style
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\b", asset("script.js"))


def test_the_browser_is_told_to_refuse_every_request(report: Report) -> None:
    (policy,) = [m["content"] for m in Document(page(report)).named("meta") if "http-equiv" in m]
    assert policy is not None
    assert policy.split("; ")[0] == "default-src 'none'"
    assert "http" not in policy


def test_every_id_is_there_once_and_every_reference_meets_one(report: Report) -> None:
    text = page(report)
    tags = Document(text).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = [a[name] for _, a in tags for name in ("for", "aria-labelledby") if name in a]
    wanted += [(a.get("href") or a.get("xlink:href") or "")[1:] for tag, a in tags if tag in ("a", "use")]
    wanted += re.findall(r"url\(#([^)]*)\)", text)
    assert wanted
    assert set(wanted) <= set(ids)


def test_the_same_report_gives_the_same_page(report: Report) -> None:
    assert page(report) == page(replace(report))


def test_parts_without_content_are_left_out(report: Report) -> None:
    empty = Document(page(Report("Nothing yet")))
    assert empty.named("section") == empty.named("nav") == empty.named("dl") == empty.named("img") == []
    assert empty.text["h1"] == "Nothing yet"
    results = Document(page(replace(report, curves=(Curve("ed", ()),), pictures=())))
    assert [s["id"] for s in results.named("section")] == ["results"]
    assert results.named("nav") == []


def test_every_name_is_text_and_nothing_else(report: Report) -> None:
    plain = Document(page(report))
    nasty = Document(
        page(
            Report(
                NASTY,
                tuple(replace(row, dataset=NASTY + row.dataset) for row in report.rows),
                tuple(replace(curve, model=NASTY) for curve in report.curves),
                tuple(replace(picture, name=NASTY) for picture in report.pictures),
                ((NASTY, NASTY),),
            )
        )
    )
    assert nasty.text["title"] == nasty.text["h1"] == nasty.text["dd"][: len(NASTY)] == NASTY
    assert len(nasty.named("script")) == len(plain.named("script")) == 1
    assert "alert" not in nasty.text["script"]
    assert nasty.text["h3"].count(NASTY) == 3
    assert f"{NASTY}, Original" in {image["alt"] for image in nasty.named("img")}


def test_the_assets_travel_with_the_package() -> None:
    for name in ("style.css", "script.js"):
        assert len(asset(name)) > 500
    with pytest.raises(FileNotFoundError):
        asset("missing.css")


def test_the_script_and_style_cannot_end_their_element() -> None:
    assert "</" not in asset("script.js")
    assert "</" not in asset("style.css").replace("/%3E", "")


def test_importing_the_page_needs_no_heavy_package() -> None:
    heavy = "{'torch', 'ray', 'prefect', 'mlflow', 'matplotlib', 'rich'}"
    script = f"import sys, ced.report.html; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def plain_picture(height: int, width: int, *labels: str) -> Picture:
    plane = np.zeros((height, width), np.uint8)
    return Picture("p", 10, tuple((label, plane) for label in ("original", "jpeg", *labels)))


def chosen(section: str) -> list[str]:
    return re.findall(r'value="(\d)" selected', section)


def test_no_pictures_make_no_section() -> None:
    assert pictures_section([]) == ""


def test_every_version_is_embedded_once_with_its_very_pixels(picture: Picture) -> None:
    section = pictures_section([picture])
    images = re.findall(r'<img src="data:image/png;base64,([^"]*)" width="96" height="64" alt="([^"]*)">', section)
    assert section.count("<img") == len(images) == 4
    for (data, alt), (_, plane) in zip(images, picture.versions, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), plane)
        assert alt.startswith("gradient, ")
    assert re.findall("<figcaption>(.*?)</figcaption>", section) == ["Original", "JPEG", "ED", "CED-GT"]


def test_the_lens_starts_where_most_is_to_be_seen(picture: Picture) -> None:
    left, top, right, _ = busiest_square(picture.original, 32)
    assert f'style="--w:96;--h:64;--x:{left};--y:{top};--r:{right - left}"' in pictures_section([picture])


def test_one_lens_of_a_picture_takes_the_keyboard(picture: Picture) -> None:
    section = pictures_section([picture, picture])
    assert section.count('class="lens" tabindex="0"') == 2
    assert section.count('class="lens" aria-hidden="true"') == 6


@pytest.mark.parametrize(
    ("labels", "left_and_right"),
    [((), ["1", "0"]), (("ed",), ["1", "2"]), (("ed", "ced-est", "ced-gt"), ["1", "4"])],
)
def test_jpeg_is_compared_with_the_last_method_or_the_original(labels: tuple[str, ...], left_and_right: list) -> None:
    assert chosen(pictures_section([plain_picture(64, 64, *labels)])) == left_and_right


@pytest.mark.parametrize(
    ("height", "width", "sides", "checked"),
    [(512, 768, ["32", "64", "128"], "64"), (96, 96, ["32", "48", "64"], "48"), (5, 9, ["5"], "5")],
)
def test_the_offered_sides_fit_the_picture(height: int, width: int, sides: list[str], checked: str) -> None:
    section = pictures_section([plain_picture(height, width)])
    assert re.findall(r'type="radio" name="side-1" value="(\d+)"', section) == sides
    assert re.findall(r'value="(\d+)" checked', section) == [checked]


def test_controls_of_two_pictures_do_not_share_names(picture: Picture) -> None:
    section = pictures_section([picture, picture])
    ids = re.findall(r' id="([^"]*)"', section)
    assert len(set(ids)) == len(ids) == 4 + len(picture.versions), "places of crops are of the first alone"
    assert set(re.findall(r'<label for="([^"]*)"', section)) == {one for one in ids if "version" not in one}
    assert set(re.findall(r'type="radio" name="([^"]*)"', section)) == {"side-1", "side-2"}


def test_names_of_pictures_are_escaped() -> None:
    plane = np.zeros((16, 16), np.uint8)
    section = pictures_section([Picture('a"><b>å', 10, (("original", plane), ("jpeg", plane), ('"<i>', plane)))])
    assert 'alt="a&#34;&gt;&lt;b&gt;å, Original"' in section
    assert "<h3>a&#34;&gt;&lt;b&gt;å</h3>" in section
    assert "<figcaption>&#34;&lt;i&gt;</figcaption>" in section
    assert '">&#34;&lt;i&gt;</option>' in section
    assert "<b>" not in section
    assert "<i>" not in section


LOSS = tuple({"step": s, "loss": 1.0 / s, "validation_loss": 2.0 / s} for s in (1, 2, 4))


def test_each_model_has_a_figure_under_the_papers_name() -> None:
    section = curves_section([Curve("classifier", LOSS), Curve("ced-gt", LOSS)])
    assert re.findall("<h3>(.*?)</h3>", section) == ["Classifier", "CED-GT"]
    assert section.count("<figure") == section.count("</figure>") == 2


def test_models_without_anything_to_draw_are_left_out() -> None:
    section = curves_section([Curve("ed", ()), Curve("ced-est", LOSS), Curve("ced-gt", ({"step": 1, "time": 2.0},))])
    assert re.findall("<h3>(.*?)</h3>", section) == ["CED-EST"]
    assert curves_section([Curve("ed", ())]) == ""
    assert curves_section([]) == ""


def test_a_chart_has_its_drawing_and_a_legend_with_the_last_values() -> None:
    section = curves_section([Curve("ed", LOSS)])
    (chart,) = curve_charts(Curve("ed", LOSS))
    assert chart.svg in section
    assert "<h4>Loss</h4>" in section
    assert '<li class="series-1">training <b>0.25</b></li>' in section
    assert '<li class="series-1 validation">validation <b>0.5</b></li>' in section


def test_names_of_models_are_escaped() -> None:
    section = curves_section([Curve("<b>&", LOSS)])
    assert "<h3>&lt;b&gt;&amp;</h3>" in section
    assert "<b>&" not in section


def test_no_figures_make_no_section() -> None:
    assert figures_section([]) == ""


def test_a_figure_has_its_title_its_parts_and_its_caption() -> None:
    photo = Photo("JPEG <10>", "a photo", np.zeros((4, 6), np.uint8), 3, (3, 1, 6, 2))
    charts = (Chart("2-1 & 3", "<svg></svg>", (LegendEntry("series-1", "<line>", "0.5"),)),)
    section = figures_section(
        [
            Figure("figure-5", "Five <5>", "a & b", b"", "", ((photo,),), "row"),
            Figure("table-1", "T", "c", b"", "", charts=charts, legend=(LegendEntry("series-0", "ours"),)),
        ]
    )
    Document(section)
    assert section.index('id="figure-5"') < section.index("<h3>Five &lt;5&gt;</h3>") < section.index("JPEG &lt;10&gt;")
    assert "<figcaption>a &amp; b</figcaption></figure>" in section
    assert section.count('<figure class="plate"') == 2
    assert '<div class="cells row">' in section and 'width="6" height="4" alt="a photo"' in section
    assert 'style="inset:25.00% 0.00% 50.00% 50.00%"' in section
    assert section.index('<li class="series-0">ours</li>') < section.index("<h4>2-1 &amp; 3</h4>")
    assert '<li class="series-1">&lt;line&gt; <b>0.5</b></li>' in section and "<svg></svg>" in section
    assert "PNG and SVG" in section


NASTY = "<script>&\"'"


def test_text_is_escaped_and_markup_is_not_escaped_again() -> None:
    legend = render_macro("sections.html", "legend", [LegendEntry("series-1", NASTY)])
    assert "&lt;script&gt;&amp;&#34;&#39;" in legend and NASTY not in legend
    whole = render("page.html", title=NASTY, facts=(), sections=[("a", "A", legend)], style="", script="")
    assert legend in whole and whole.count("&lt;script&gt;") == 3


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
