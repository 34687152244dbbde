from dataclasses import replace

from ced.report.figures import figures
from ced.report.model import Report


def test_everything_there_is_is_drawn_in_the_papers_order(full_report: Report) -> None:
    drawn = figures(full_report)
    assert [figure.name for figure in drawn] == ["figure-1", "figure-4", "figure-5", "figure-6", "table-1"]
    assert all(figure.png.startswith(b"\x89PNG") and "<svg" in figure.svg and figure.body for figure in drawn)
    assert all(figure.title and figure.caption.endswith(".") for figure in drawn)


def test_only_what_can_be_drawn_is_drawn(full_report: Report) -> None:
    assert figures(Report("empty")) == ()
    (alone,) = figures(replace(full_report, pictures=(), curves=()))
    assert alone.name == "figure-6"


def test_the_region_and_the_channels_are_the_reports(full_report: Report) -> None:
    drawn = {figure.name: figure for figure in figures(replace(full_report, channels=("3-1",), crop=(8, 8, 40, 24)))}
    assert "<h4>3-1</h4>" in drawn["figure-6"].body
    for name in ("figure-1", "figure-4", "figure-5"):
        assert 'width="32" height="16"' in drawn[name].body
