"""All figures of a report."""

from ced.report.figure import Figure
from ced.report.figure_photographs import figure_1, figure_4, figure_5
from ced.report.figure_spectrum import figure_6
from ced.report.figure_stages import table_1
from ced.report.model import Report


def figures(report: Report) -> tuple[Figure, ...]:
    """Figures 1, 4, 5 and 6, and Table 1 as a curve: those for which the report has something to draw."""
    pictures, crop = report.pictures, report.crop
    drawn = (
        figure_1(pictures, crop),
        figure_4(pictures, crop),
        figure_5(pictures, crop),
        figure_6(report.spectra, report.channels),
        table_1(report.curves),
    )
    return tuple(figure for figure in drawn if figure is not None)
