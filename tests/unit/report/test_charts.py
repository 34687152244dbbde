"""Charts: the page's colours, lines where the values are, and the same bytes every time."""

import io
import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from ced.evaluation import paper
from ced.report import charts
from ced.report.charts import Inks, curve_charts, series_of, table_1
from ced.report.html import figures_section
from ced.report.model import Chart, Curve, Figure

SVG = "{http://www.w3.org/2000/svg}"


def paint(figure, inks: Inks) -> None:
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.plot([0, 1], [0, 1], color=inks.series[0], linewidth=6)
    axes.plot([0, 1], [1, 0], color=inks.ink)
    axes.set_xlabel("steps", color=inks.muted)
    charts.style(axes, inks)


def colours(svg: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}\b", svg))


def test_on_the_page_a_chart_has_the_pages_colours_and_letters() -> None:
    svg = charts.inline((3, 2), "salt", 'a "chart"', paint)
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("role"), root.get("aria-label")) == (f"{SVG}svg", "img", 'a "chart"')
    assert root.get("width") is None and root.get("viewBox") == "0 0 216 144"
    assert colours(svg) == set()
    for name in ("--series-1", "--ink", "--muted", "--rule"):
        assert f"var({name})" in svg
    assert "font-family" not in svg and "<style" not in svg and "<?xml" not in svg


def test_a_file_has_the_colours_of_paper_and_its_words() -> None:
    png, svg = charts.files((3, 2), "salt", paint)
    inks = charts.PRINTED
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
    assert len(set(charts.PRINTED.series)) == charts.COLOURS
    assert (
        len({*charts.PRINTED.series, charts.PRINTED.ink, charts.PRINTED.muted, charts.PRINTED.rule})
        == charts.COLOURS + 3
    )


def test_the_salt_keeps_the_ids_of_charts_apart() -> None:
    ids = [set(re.findall(r' id="([^"]*)"', charts.inline((3, 2), salt, "x", paint))) for salt in ("one", "two")]
    assert ids[0] and ids[1] and not ids[0] & ids[1]


def test_the_same_drawing_gives_the_same_bytes_even_in_another_process() -> None:
    script = (
        "import sys, hashlib; from ced.report import charts\n"
        "def paint(figure, inks):\n    figure.add_axes((0.2, 0.2, 0.7, 0.7)).plot([1, 3, 2], color=inks.ink)\n"
        "png, svg = charts.files((2, 1), 's', paint); print(hashlib.sha256(png + svg.encode()).hexdigest())"
    )
    command = [sys.executable, "-c", script]
    once, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert once == again


def test_a_users_settings_are_neither_used_nor_changed() -> None:
    expected = charts.files((3, 2), "salt", paint)
    with matplotlib.rc_context({"axes.facecolor": "black", "lines.dash_capstyle": "round"}):
        before = dict(matplotlib.rcParams)
        assert charts.files((3, 2), "salt", paint) == expected
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (2500, "2500"), (10_000, "10k"), (12_500, "12.5k")])
def test_long_steps_are_shortened(value: float, text: str) -> None:
    assert charts.steps(value) == text


def curve(model: str = "ed", steps: tuple[int, ...] = (10, 20, 30, 40), **values: list[float]) -> Curve:
    names = values or {"loss": [4.0, 3.0, 2.5, 2.0]}
    points = [{"step": s, **{k: v[i] for k, v in names.items()}} for i, s in enumerate(steps)]
    return Curve(model, tuple(points))


def only(drawn: tuple[Chart, ...]) -> Chart:
    (chart,) = drawn
    return chart


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def lines(svg: str) -> list[ElementTree.Element]:
    paths = ElementTree.fromstring(svg).iter(f"{SVG}path")
    return [path for path in paths if "var(--series-" in path.get("style", "") and path.get("clip-path")]


def heights(path: ElementTree.Element) -> list[float]:
    return [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))]


def test_a_classifier_shows_loss_accuracy_of_each_stage_and_learning_rate() -> None:
    names = ["loss", "validation_loss", "learning_rate", "accuracy_stage_2", "accuracy_stage_1"]
    drawn = curve_charts(curve("classifier", **{n: [1.0, 2, 3, 4] for n in [*names, "validation_accuracy_stage_1"]}))
    assert [chart.title for chart in drawn] == ["Loss", "Accuracy", "Learning rate"]
    assert [entry[:2] for entry in drawn[0].legend] == [
        ("series-1", "training"),
        ("series-1 validation", "validation"),
    ]
    assert [entry[:2] for entry in drawn[1].legend] == [
        ("series-1", "stage 1"),
        ("series-1 validation", "stage 1, validation"),
        ("series-2", "stage 2"),
    ]


def test_an_autoencoder_shows_psnr() -> None:
    drawn = curve_charts(curve(loss=[1.0] * 4, psnr=[20.0, 21, 22, 23.456], validation_psnr=[19.0, 20, 21, 22]))
    assert [chart.title for chart in drawn] == ["Loss", "PSNR, dB"]
    assert [entry[1:] for entry in drawn[1].legend] == [("training", "23.46"), ("validation", "22.00")]


def test_ten_stages_stand_in_order_and_colours_repeat() -> None:
    series = only(curve_charts(curve(**{f"accuracy_stage_{t}": [0.1] * 4 for t in range(10, 0, -1)}))).legend
    assert [entry.label for entry in series] == [f"stage {t}" for t in range(1, 11)]
    assert [entry.style for entry in series] == [f"series-{colour}" for colour in (1, 2, 3, 4, 1, 2, 3, 4, 1, 2)]


def test_other_metrics_are_not_drawn() -> None:
    assert curve_charts(curve(time=[1.0] * 4, gradient_norm=[1.0] * 4, images_per_second=[9.0] * 4)) == ()


def test_an_empty_curve_is_omitted() -> None:
    assert curve_charts(Curve("ed", ())) == ()
    assert curve_charts(curve(loss=[math.nan, math.inf, -math.inf, math.nan])) == ()
    assert curve_charts(Curve("ed", ({"loss": 1.0},))) == ()


def test_only_points_with_a_finite_value_are_drawn() -> None:
    points = ({"step": 1, "loss": 5.0}, {"step": 2}, {"step": 3, "loss": math.nan}, {"step": 4, "loss": 3.0})
    series = series_of(Curve("ed", points), "loss", "training", 1)
    assert series is not None
    assert (series.steps, series.values) == ((1, 4), (5.0, 3.0))


def test_null_in_the_metrics_is_no_point() -> None:
    points = ({"step": 1, "loss": 5.0}, {"step": 2, "loss": None}, {"step": 3, "loss": 4.0})
    series = series_of(Curve("ed", points), "loss", "training", 1)  # type: ignore[arg-type]
    assert series is not None
    assert series.values == (5.0, 4.0)


def test_a_learning_rate_is_summed_up_by_its_peak() -> None:
    (entry,) = only(curve_charts(curve(learning_rate=[0.0001, 0.001, 0.0005, 0.0]))).legend
    assert (entry.label, entry.value) == ("peak", "0.001")


def test_the_line_falls_where_the_values_fall() -> None:
    (path,) = lines(only(curve_charts(curve(loss=[4.0, 3.0, 2.0, 1.0]))).svg)
    y = heights(path)
    assert len(y) == 4
    assert y == sorted(y)  # SVG counts downwards
    assert y[1] - y[0] == pytest.approx(y[3] - y[2])


def test_a_loss_over_decades_is_drawn_logarithmically() -> None:
    (path,) = lines(only(curve_charts(curve(loss=[1.0, 0.1, 0.01, 0.001]))).svg)
    y = heights(path)
    assert y[1] - y[0] == pytest.approx(y[3] - y[2], abs=0.01)
    assert y[3] - y[0] > 50
    (linear,) = lines(only(curve_charts(curve(loss=[1.0, 0.1, 0.0, 0.001]))).svg)  # zero has no logarithm
    assert heights(linear)[2] > heights(linear)[3]


def test_validation_is_dashed_and_a_lonely_point_has_a_marker() -> None:
    chart = only(curve_charts(curve(loss=[1.0, 2, 3, 4], validation_loss=[1.5, 2.5, 3.5, 4.5])))
    assert ["stroke-dasharray" in (path.get("style") or "") for path in lines(chart.svg)] == [False, True]
    lonely = only(curve_charts(curve(steps=(10,), loss=[1.0]))).svg
    assert len(list(ElementTree.fromstring(lonely).iter(f"{SVG}use"))) == 1
    assert "<use" not in chart.svg


def test_steps_are_on_the_axis_and_long_ones_are_shortened() -> None:
    assert "40" in texts(only(curve_charts(curve())).svg)
    assert "100k" in texts(only(curve_charts(curve(steps=(0, 40_000, 80_000, 100_000)))).svg)


def test_the_chart_takes_its_colours_and_its_type_from_the_page() -> None:
    svg = only(curve_charts(curve(loss=[1.0, 2, 3, 4], validation_loss=[2.0] * 4))).svg
    assert "var(--series-1)" in svg
    assert "var(--muted)" in svg
    assert "var(--rule)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "font-family" not in svg
    assert "<style" not in svg


def test_the_chart_is_an_element_with_a_name_that_scales() -> None:
    svg = only(curve_charts(curve("ced-gt"))).svg
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg ")
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == "Loss of CED-GT over 4 reports"
    assert root.get("role") == "img"
    assert root.get("viewBox") == "0 0 266.4 158.4"
    assert root.get("width") is None
    assert root.get("height") is None


def test_any_model_name_is_escaped() -> None:
    name = 'a"<b>&\\1é'
    root = ElementTree.fromstring(only(curve_charts(curve(name))).svg)
    assert root.get("aria-label") == f"Loss of {name} over 4 reports"


def test_ids_of_different_charts_never_meet() -> None:
    drawn = [only(curve_charts(curve(model))).svg for model in ("ed", "ced-est")]
    drawn += [chart.svg for chart in curve_charts(curve("ced-gt", loss=[1.0, 2, 3, 4], psnr=[1.0, 2, 3, 4]))]
    ids = [identity for svg in drawn for identity in set(re.findall(r' id="([^"]*)"', svg))]
    assert ids
    assert len(set(ids)) == len(ids)
    for svg in drawn:
        used = set(re.findall(r"#([\w.-]+)", svg))
        assert used == set(re.findall(r' id="([^"]*)"', svg))


def test_the_same_curve_gives_the_same_text_even_in_another_process() -> None:
    script = (
        "from ced.report.charts import curve_charts; from ced.report.model import Curve; "
        "c = Curve('ed', tuple({'step': s, 'loss': 1 / s} for s in range(1, 9))); print(curve_charts(c)[0].svg)"
    )
    command = [sys.executable, "-c", script]
    once, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert once == again
    here = curve_charts(Curve("ed", tuple({"step": s, "loss": 1 / s} for s in range(1, 9))))[0].svg
    assert once == here + "\n"


def test_settings_of_matplotlib_are_neither_used_nor_changed() -> None:
    expected = curve_charts(curve())
    with matplotlib.rc_context({"axes.xmargin": 0.4, "axes.ymargin": 0.4, "lines.dash_capstyle": "round"}):
        before = dict(matplotlib.rcParams)
        assert curve_charts(curve()) == expected
        assert dict(matplotlib.rcParams) == before


def test_nothing_of_matplotlib_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys, ced.report.html; early = 'matplotlib' in sys.modules; "
        "from ced.report.charts import curve_charts; from ced.report.model import Curve; "
        "curve_charts(Curve('ed', ({'step': 1, 'loss': 1.0},))); "
        "sys.exit(early or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def classifier(stages: int = 2, validation: bool = False, model: str = "classifier") -> Curve:
    points = []
    for step in (10, 20, 30, 40):
        point: dict[str, float] = {"step": step, "loss": 1.0}
        for stage in range(1, stages + 1):
            point[f"accuracy_stage_{stage}"] = 0.1 + step / 1000 + stage / 100
            if validation:
                point[f"validation_accuracy_stage_{stage}"] = 0.2 + step / 1000 + stage / 100
        points.append(point)
    return Curve(model, tuple(points))


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def body(figure: Figure) -> str:
    """The figure on the page."""
    return figures_section([figure])


def legend(figure: Figure) -> list[tuple[str, str]]:
    items = re.findall(r'<li class="([^"]*)">(.*?)</li>', body(figure))
    return [(kind, re.sub("<.*?>", "", text)) for kind, text in items]


def test_each_stage_is_a_line_and_the_paper_has_three_marks() -> None:
    figure = drawn(table_1([Curve("ed", ({"step": 1, "loss": 1.0},)), classifier()]))
    assert legend(figure) == [
        ("series-1", "stage 1 0.1500"),
        ("series-2", "stage 2 0.1600"),
        ("series-1 theirs", "the paper’s stage 1: 0.3094"),
        ("series-2 theirs", "the paper’s stage 2: 0.3169"),
        ("series-3 theirs", "the paper’s stage 3: 0.3178"),
    ]
    words = [text.text for text in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]
    assert "stage 2: 0.1600" in words and "the paper’s stage 3: 0.3178" in words
    assert {"accuracy", "training steps"} <= set(words)
    assert "the training examples" in figure.caption


def test_held_out_accuracies_are_preferred() -> None:
    figure = drawn(table_1([classifier(stages=3, validation=True)]))
    assert [text for _, text in legend(figure)][:3] == ["stage 1 0.2500", "stage 2 0.2600", "stage 3 0.2700"]
    assert "held-out photographs" in figure.caption


def test_the_marks_stand_at_the_papers_accuracies() -> None:
    # On one axis: a line that passes through 0.3 and 0.32 says where 0.3094 has to be.
    points = tuple({"step": s, "accuracy_stage_1": a} for s, a in ((1, 0.30), (2, 0.31), (3, 0.315), (4, 0.32)))
    figure = drawn(table_1([Curve("classifier", points)]))
    (svg,) = re.findall(r"<svg.*?</svg>", body(figure), re.DOTALL)
    root = ElementTree.fromstring(svg)
    (line,) = [
        path
        for path in root.iter(f"{SVG}path")
        if "stroke: var(--series-1)" in path.get("style", "") and path.get("clip-path")
    ]
    ys = [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", line.get("d", ""))]
    scale = (ys[-1] - ys[0]) / 0.02
    marks = [float(use.get("y") or "nan") for use in root.iter(f"{SVG}use")]
    assert marks == pytest.approx([ys[0] + scale * (accuracy - 0.30) for accuracy in paper.TABLE_1], abs=0.05)


def test_without_a_classifiers_accuracies_there_is_no_figure() -> None:
    assert table_1([]) is None
    assert table_1([classifier(model="ed")]) is None
    assert table_1([Curve("classifier", ({"step": 1, "loss": 2.0},))]) is None


def test_ten_stages_do_not_run_out_of_colours() -> None:
    assert len(legend(drawn(table_1([classifier(stages=10)])))) == 10 + len(paper.TABLE_1)
    assert charts.COLOURS < 10
