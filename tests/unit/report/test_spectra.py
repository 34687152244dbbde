import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ced.core.frequency import dct8x8, laplacian
from ced.core.spectrum import Spectrum
from ced.report import charts
from ced.report.html import figures_section
from ced.report.model import Figure, Spectra
from ced.report.spectra import densities, figure_6, indices, legend_columns

SVG = "{http://www.w3.org/2000/svg}"
PLANE = np.random.default_rng(0).integers(0, 256, (160, 160), dtype=np.uint8)
FLAT = np.full((160, 160), 90, np.uint8)


def spectra(**planes: np.ndarray) -> Spectra:
    versions = {"original": PLANE, **planes}
    pooled = tuple((name.replace("_", "-"), Spectrum.empty().update(plane)) for name, plane in versions.items())
    return Spectra("set", 10, pooled)


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def body(figure: Figure) -> str:
    """The figure on the page."""
    return figures_section([figure])


def lines(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """The points of each line of a colour, those of the axes aside."""
    paths = [
        path for path in ElementTree.fromstring(svg).iter(f"{SVG}path") if f"stroke: {colour};" in path.get("style", "")
    ]
    paths = [path for path in paths if path.get("clip-path")]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))] for path in paths]


def elements(figure: Figure) -> list[str]:
    return re.findall(r"<svg.*?</svg>", body(figure), re.DOTALL)


def test_channels_are_named_by_row_and_column_from_one() -> None:
    assert [indices(name) for name in ("1-1", "2-1", "8-8")] == [(0, 0), (1, 0), (7, 7)]


def test_without_spectra_or_channels_there_is_no_figure() -> None:
    assert figure_6(None, ["1-1"]) is None
    assert figure_6(spectra(), []) is None


def test_densities_are_those_of_a_plain_histogram() -> None:
    channel = densities(spectra(jpeg=PLANE // 2), "2-3")
    values = dct8x8(laplacian(PLANE))[8 * 1 + 2]
    expected, _ = np.histogram(values, channel.edges, density=False)
    width = channel.edges[1] - channel.edges[0]
    counted = np.nan_to_num(channel.versions["original"]) * len(values) * width
    # A value within 0.8 % of an edge may be counted on its other side.
    assert np.abs(counted - expected).sum() <= 0.05 * len(values)
    assert np.nansum(channel.versions["original"]) * width == pytest.approx(1, abs=0.01)
    assert channel.edges[0] == -channel.edges[-1]
    inside = np.abs(values) <= channel.edges[-1]
    assert inside.mean() >= 0.998


def test_an_empty_bin_has_no_logarithm_and_breaks_the_line() -> None:
    channel = densities(spectra(jpeg=FLAT), "4-4")
    density = channel.versions["jpeg"]
    assert np.isfinite(density).sum() == 1
    assert np.isfinite(density[len(density) // 2])  # all at zero


def test_the_papers_methods_come_first_and_others_while_there_are_colours() -> None:
    names = {f"m{n}": PLANE for n in range(6)}
    channel = densities(spectra(mine=PLANE, ced_gt=PLANE, jpeg=PLANE, ed=PLANE, **names), "1-1")
    assert list(channel.versions) == ["original", "jpeg", "ed", "ced-gt", "mine", "m0", "m1"]


def test_methods_that_no_colour_is_left_for_are_named() -> None:
    planes = {f"m{number}": PLANE // (number + 2) for number in range(8)}
    assert drawn(figure_6(spectra(jpeg=PLANE // 2, **planes), ["1-1"])).caption.endswith(
        " Not drawn, since there are no more colours: m5, m6, m7."
    )
    assert "Not drawn" not in drawn(figure_6(spectra(jpeg=PLANE // 2), ["1-1"])).caption


def test_a_legend_of_long_names_has_several_rows_and_is_not_cut() -> None:
    names = ["jpeg", *(f"a_restorer_of_a_rather_long_name_{number}" for number in range(5))]
    few, many = (drawn(figure_6(spectra(**dict.fromkeys(some, PLANE // 2)), ["1-1"])) for some in (names[:2], names))
    sizes = [Image.open(io.BytesIO(figure.png)).size for figure in (few, many)]
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > sizes[0][1]
    border = np.asarray(Image.open(io.BytesIO(many.png)).convert("L"))[:, -12:]
    assert (border == 255).all(), "nothing reaches the right edge"


@pytest.mark.parametrize(
    ("labels", "columns"), [(["x"], 1), (["Original", "JPEG", "ED", "CED-GT", "CED-EST"], 5), (["x" * 200] * 3, 1)]
)
def test_as_many_labels_side_by_side_as_there_is_room_for(labels: list[str], columns: int) -> None:
    assert legend_columns(labels) == columns


def test_the_legend_names_each_line_by_its_own_colour() -> None:
    # ED is flat, a spike; JPEG is not: whoever is called ED has to be drawn as the spike.
    figure = drawn(figure_6(spectra(jpeg=PLANE // 2, ed=FLAT), ["3-3"]))
    assert re.findall(r'<li class="series-(\d)">(.*?)</li>', body(figure)) == [
        ("0", "Original"),
        ("1", "JPEG"),
        ("2", "ED"),
    ]
    (chart,) = elements(figure)
    assert len(lines(chart, "var(--series-2)")[0]) < 3 < len(lines(chart, "var(--series-1)")[0])
    # And in the file, where the legend is part of the drawing: its lines stand in the order of its words.
    root = ElementTree.fromstring(figure.svg)
    (legend,) = [group for group in root.iter(f"{SVG}g") if group.get("id") == "legend_1"]
    strokes = [re.search(r"stroke: (#\w+)", p.get("style", "")) for p in legend.iter(f"{SVG}path")]
    colours = [stroke.group(1) for stroke in strokes if stroke]
    words = [text.text for text in legend.iter(f"{SVG}text")]
    inks = charts.PRINTED
    assert dict(zip(words, colours, strict=True)) == {
        "Original": inks.ink,
        "JPEG": inks.series[0],
        "ED": inks.series[1],
    }


def test_a_narrower_spectrum_is_drawn_narrower() -> None:
    figure = drawn(figure_6(spectra(jpeg=(PLANE // 4 + 60).astype(np.uint8)), ["5-5"]))
    (chart,) = elements(figure)
    (original,), (jpeg,) = lines(chart, "var(--ink)"), lines(chart, "var(--series-1)")

    def span(points: list[tuple[float, float]]) -> float:
        xs = [x for x, _ in points]
        return max(xs) - min(xs)

    assert span(jpeg) < 0.6 * span(original)
    assert min(y for _, y in jpeg) < min(y for _, y in original)  # SVG counts downwards: a higher peak


def test_every_channel_is_a_chart_that_says_what_it_is() -> None:
    figure = drawn(figure_6(spectra(jpeg=PLANE), ["1-1", "1-2", "2-2", "4-4", "8-8"]))
    assert re.findall("<h4>(.*?)</h4>", body(figure)) == ["1-1", "1-2", "2-2", "4-4", "8-8"]
    labels = [ElementTree.fromstring(svg).get("aria-label") for svg in elements(figure)]
    assert labels[1] == "Density of channel 1-2: Original, JPEG"
    assert "set, QF 10" in figure.caption
    words = [text.text for text in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]
    assert words.count("density") == words.count("coefficient") == 5


def test_flat_images_make_a_figure_too() -> None:
    flat = Spectra("set", 10, tuple((n, Spectrum.empty().update(FLAT)) for n in ("original", "jpeg")))
    figure = drawn(figure_6(flat, ["1-1", "8-8"]))
    assert len(elements(figure)) == 2


def test_names_are_escaped() -> None:
    plain = spectra()
    nasty = Spectra("<i>&", 10, (*plain.versions, ("<b>mine", plain.versions[0][1])))
    figure = drawn(figure_6(nasty, ["1-1"]))
    assert "<b>mine" not in body(figure) and "&lt;b&gt;mine" in body(figure)
    ElementTree.fromstring(figure.svg)
