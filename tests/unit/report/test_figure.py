from ced.report.figure import Figure, figures_section


def test_no_figures_make_no_section() -> None:
    assert figures_section([]) == ""


def test_a_figure_has_its_title_its_body_and_its_caption() -> None:
    section = figures_section(
        [
            Figure("figure-5", "Five <5>", "a & b", b"", "", "<p>body</p>"),
            Figure("table-1", "T", "c", b"", "", "<i></i>"),
        ]
    )
    assert section.index('id="figure-5"') < section.index("<h3>Five &lt;5&gt;</h3>") < section.index("<p>body</p>")
    assert "<figcaption>a &amp; b</figcaption></figure>" in section
    assert section.count('<figure class="plate"') == 2
    assert "PNG and SVG" in section
