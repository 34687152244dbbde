import re
from xml.etree import ElementTree

import pytest

from ced.evaluation import paper
from ced.report import chart
from ced.report.figure import Figure
from ced.report.figure_stages import table_1
from ced.report.model import Curve

SVG = "{http://www.w3.org/2000/svg}"


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


def given(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def legend(figure: Figure) -> list[tuple[str, str]]:
    items = re.findall(r'<li class="([^"]*)">(.*?)</li>', figure.body)
    return [(kind, re.sub("<.*?>", "", text)) for kind, text in items]


def test_each_stage_is_a_line_and_the_paper_has_three_marks() -> None:
    figure = given(table_1([Curve("ed", ({"step": 1, "loss": 1.0},)), classifier()]))
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
    figure = given(table_1([classifier(stages=3, validation=True)]))
    assert [text for _, text in legend(figure)][:3] == ["stage 1 0.2500", "stage 2 0.2600", "stage 3 0.2700"]
    assert "held-out photographs" in figure.caption


def test_the_marks_stand_at_the_papers_accuracies() -> None:
    # On one axis: a line that passes through 0.3 and 0.32 says where 0.3094 has to be.
    points = tuple({"step": s, "accuracy_stage_1": a} for s, a in ((1, 0.30), (2, 0.31), (3, 0.315), (4, 0.32)))
    figure = given(table_1([Curve("classifier", points)]))
    (svg,) = re.findall(r"<svg.*?</svg>", figure.body, re.DOTALL)
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
    assert len(legend(given(table_1([classifier(stages=10)])))) == 10 + len(paper.TABLE_1)
    assert chart.SLOTS < 10
