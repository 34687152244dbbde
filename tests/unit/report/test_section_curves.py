import re

from ced.report.curves import panels
from ced.report.model import Curve
from ced.report.section_curves import curves_section

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
    (panel,) = panels(Curve("ed", LOSS))
    assert panel.svg in section
    assert "<h4>Loss</h4>" in section
    assert '<li class="series-1">training <b>0.25</b></li>' in section
    assert '<li class="series-1 validation">validation <b>0.5</b></li>' in section


def test_names_are_escaped() -> None:
    section = curves_section([Curve("<b>&", LOSS)])
    assert "<h3>&lt;b&gt;&amp;</h3>" in section
    assert "<b>&" not in section
