import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from ced.report.curves import Panel, panels
from ced.report.model import Curve

SVG = "{http://www.w3.org/2000/svg}"


def curve(model: str = "ed", steps: tuple[int, ...] = (10, 20, 30, 40), **values: list[float]) -> Curve:
    names = values or {"loss": [4.0, 3.0, 2.5, 2.0]}
    points = [{"step": s, **{k: v[i] for k, v in names.items()}} for i, s in enumerate(steps)]
    return Curve(model, tuple(points))


def only(drawn: tuple[Panel, ...]) -> Panel:
    (panel,) = drawn
    return panel


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def lines(svg: str) -> list[ElementTree.Element]:
    paths = ElementTree.fromstring(svg).iter(f"{SVG}path")
    return [path for path in paths if "var(--series-" in path.get("style", "") and path.get("clip-path")]


def heights(path: ElementTree.Element) -> list[float]:
    return [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))]


def test_a_classifier_shows_loss_accuracy_of_each_stage_and_learning_rate() -> None:
    names = ["loss", "validation_loss", "learning_rate", "accuracy_stage_2", "accuracy_stage_1"]
    drawn = panels(curve("classifier", **{n: [1.0, 2, 3, 4] for n in [*names, "validation_accuracy_stage_1"]}))
    assert [panel.title for panel in drawn] == ["Loss", "Accuracy", "Learning rate"]
    assert [(s.label, s.slot, s.validation) for s in drawn[0].series] == [
        ("training", 1, False),
        ("validation", 1, True),
    ]
    assert [(s.label, s.slot, s.validation) for s in drawn[1].series] == [
        ("stage 1", 1, False),
        ("stage 1, validation", 1, True),
        ("stage 2", 2, False),
    ]


def test_an_autoencoder_shows_psnr() -> None:
    drawn = panels(curve(loss=[1.0] * 4, psnr=[20.0, 21, 22, 23.456], validation_psnr=[19.0, 20, 21, 22]))
    assert [panel.title for panel in drawn] == ["Loss", "PSNR, dB"]
    assert [(s.label, s.figure) for s in drawn[1].series] == [("training", "23.46"), ("validation", "22.00")]


def test_ten_stages_stand_in_order_and_colours_repeat() -> None:
    series = only(panels(curve(**{f"accuracy_stage_{t}": [0.1] * 4 for t in range(10, 0, -1)}))).series
    assert [s.label for s in series] == [f"stage {t}" for t in range(1, 11)]
    assert [s.slot for s in series] == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]


def test_other_metrics_are_not_drawn() -> None:
    assert panels(curve(time=[1.0] * 4, gradient_norm=[1.0] * 4, images_per_second=[9.0] * 4)) == ()


def test_an_empty_curve_is_omitted() -> None:
    assert panels(Curve("ed", ())) == ()
    assert panels(curve(loss=[math.nan, math.inf, -math.inf, math.nan])) == ()
    assert panels(Curve("ed", ({"loss": 1.0},))) == ()


def test_only_points_with_a_finite_value_are_drawn() -> None:
    points = ({"step": 1, "loss": 5.0}, {"step": 2}, {"step": 3, "loss": math.nan}, {"step": 4, "loss": 3.0})
    (series,) = only(panels(Curve("ed", points))).series
    assert (series.steps, series.values) == ((1, 4), (5.0, 3.0))


def test_null_in_the_metrics_is_no_point() -> None:
    points = ({"step": 1, "loss": 5.0}, {"step": 2, "loss": None}, {"step": 3, "loss": 4.0})
    (series,) = only(panels(Curve("ed", points))).series  # type: ignore[arg-type]
    assert series.values == (5.0, 4.0)


def test_a_learning_rate_is_summed_up_by_its_peak() -> None:
    (series,) = only(panels(curve(learning_rate=[0.0001, 0.001, 0.0005, 0.0]))).series
    assert (series.label, series.figure) == ("peak", "0.001")


def test_the_line_falls_where_the_values_fall() -> None:
    (path,) = lines(only(panels(curve(loss=[4.0, 3.0, 2.0, 1.0]))).svg)
    y = heights(path)
    assert len(y) == 4
    assert y == sorted(y)  # SVG counts downwards
    assert y[1] - y[0] == pytest.approx(y[3] - y[2])


def test_a_loss_over_decades_is_drawn_logarithmically() -> None:
    (path,) = lines(only(panels(curve(loss=[1.0, 0.1, 0.01, 0.001]))).svg)
    y = heights(path)
    assert y[1] - y[0] == pytest.approx(y[3] - y[2], abs=0.01)
    assert y[3] - y[0] > 50
    (linear,) = lines(only(panels(curve(loss=[1.0, 0.1, 0.0, 0.001]))).svg)  # zero has no logarithm
    assert heights(linear)[2] > heights(linear)[3]


def test_validation_is_dashed_and_a_lonely_point_has_a_marker() -> None:
    panel = only(panels(curve(loss=[1.0, 2, 3, 4], validation_loss=[1.5, 2.5, 3.5, 4.5])))
    assert ["stroke-dasharray" in (path.get("style") or "") for path in lines(panel.svg)] == [False, True]
    lonely = only(panels(curve(steps=(10,), loss=[1.0]))).svg
    assert len(list(ElementTree.fromstring(lonely).iter(f"{SVG}use"))) == 1
    assert "<use" not in panel.svg


def test_steps_are_on_the_axis_and_long_ones_are_shortened() -> None:
    assert "40" in texts(only(panels(curve())).svg)
    assert "100k" in texts(only(panels(curve(steps=(0, 40_000, 80_000, 100_000)))).svg)


def test_the_chart_takes_its_colours_and_its_type_from_the_page() -> None:
    svg = only(panels(curve(loss=[1.0, 2, 3, 4], validation_loss=[2.0] * 4))).svg
    assert "var(--series-1)" in svg
    assert "var(--muted)" in svg
    assert "var(--rule)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "font-family" not in svg
    assert "<style" not in svg


def test_the_chart_is_an_element_with_a_name_that_scales() -> None:
    svg = only(panels(curve("ced-gt"))).svg
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
    root = ElementTree.fromstring(only(panels(curve(name))).svg)
    assert root.get("aria-label") == f"Loss of {name} over 4 reports"


def test_ids_of_different_charts_never_meet() -> None:
    drawn = [only(panels(curve(model))).svg for model in ("ed", "ced-est")]
    drawn += [panel.svg for panel in panels(curve("ced-gt", loss=[1.0, 2, 3, 4], psnr=[1.0, 2, 3, 4]))]
    ids = [identity for svg in drawn for identity in set(re.findall(r' id="([^"]*)"', svg))]
    assert ids
    assert len(set(ids)) == len(ids)
    for svg in drawn:
        used = set(re.findall(r"#([\w.-]+)", svg))
        assert used == set(re.findall(r' id="([^"]*)"', svg))


def test_the_same_curve_gives_the_same_text_even_in_another_process() -> None:
    script = (
        "from ced.report.curves import panels; from ced.report.model import Curve; "
        "c = Curve('ed', tuple({'step': s, 'loss': 1 / s} for s in range(1, 9))); print(panels(c)[0].svg)"
    )
    command = [sys.executable, "-c", script]
    once, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert once == again
    here = panels(Curve("ed", tuple({"step": s, "loss": 1 / s} for s in range(1, 9))))[0].svg
    assert once == here + "\n"


def test_settings_of_matplotlib_are_neither_used_nor_changed() -> None:
    expected = panels(curve())
    with matplotlib.rc_context({"axes.xmargin": 0.4, "axes.ymargin": 0.4, "lines.dash_capstyle": "round"}):
        before = dict(matplotlib.rcParams)
        assert panels(curve()) == expected
        assert dict(matplotlib.rcParams) == before


def test_nothing_of_matplotlib_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys, ced.report.html; early = 'matplotlib' in sys.modules; "
        "from ced.report.curves import panels; from ced.report.model import Curve; "
        "panels(Curve('ed', ({'step': 1, 'loss': 1.0},))); "
        "sys.exit(early or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
