r"""Table 2 in LaTeX, for `\usepackage{booktabs}`: the paper's columns and more, its own figures beneath ours."""

from collections.abc import Iterable

from ced.report import paper
from ced.report.groups import COLUMNS, Column, Group, colour_name, display_name, groups
from ced.report.groups import MORE as EXTRA
from ced.report.model import Row

_MORE = tuple(column for column in EXTRA if column.field in ("ssim_gaussian", "w1", "energy"))
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
_FIGURES = {"∞": r"$\infty$", "−∞": r"$-\infty$", "–": "--"}


def latex(rows: Iterable[Row]) -> str:
    """A tabular: the best figures bold, the paper's own figures small beneath the method they belong to."""
    found = groups(rows)
    columns = (*COLUMNS, *_MORE)
    lines = [
        r"\begin{tabular}{ll" + "r" * len(columns) + "}",
        r"\toprule",
        " & ".join(["QF", "Method", *(_heading(column) for column in columns)]) + r" \\",
    ]
    for group in found:
        about = f"{group.dataset}, {colour_name(group.colour)}, {group.images}"
        lines += [r"\midrule", rf"\multicolumn{{{2 + len(columns)}}}{{l}}{{{escape(about)}}} \\"]
        for row in group.rows:
            lines += _lines(group, row, columns)
    lines += [r"\bottomrule", r"\end{tabular}"]
    if any(group.differs for group in found):
        lines.append(r"% \textdagger: the method failed on the other images; its means are not comparable.")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text in which LaTeX finds nothing of its own."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _lines(group: Group, row: Row, columns: tuple[Column, ...]) -> list[str]:
    failed = rf" ({row.images} of {row.images + row.failures}\textdagger)" if row.failures else ""
    figures = [_figure(group, row, column) for column in columns]
    lines = [" & ".join([str(group.quality), escape(display_name(row.method)) + failed, *figures]) + r" \\"]
    line = paper.printed(row)
    if line is not None:
        theirs = [rf"{{\small ({column.text(getattr(line, column.field))})}}" for column in COLUMNS]
        lines.append(" & ".join(["", r"{\small the paper}", *theirs, *("" for _ in _MORE)]) + r" \\")
    return lines


def _figure(group: Group, row: Row, column: Column) -> str:
    text = column.text(getattr(row, column.field))
    text = _FIGURES.get(text, text)
    return rf"\textbf{{{text}}}" if group.is_best(row, column) else text


def _heading(column: Column) -> str:
    return column.heading.replace(">", r"$>$")
