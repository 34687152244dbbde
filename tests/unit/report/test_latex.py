r"""The table in LaTeX: whole lines, figures where they belong, and nothing that LaTeX would misread."""

import re
from dataclasses import replace

from ced.report.latex import escape, latex
from ced.report.model import Row


def body(text: str) -> list[list[str]]:
    return [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if " & " in line]


def test_every_line_has_every_column(rows: tuple[Row, ...]) -> None:
    text = latex(rows)
    (columns,) = re.findall(r"\\begin\{tabular\}\{(l+r+)\}", text)
    assert {len(line) for line in body(text)} == {len(columns)}
    assert text.count("{") == text.count("}")
    assert text.count(r"\midrule") == 2
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_figures_are_the_papers_decimals_the_best_bold_and_the_papers_beneath(rows: tuple[Row, ...]) -> None:
    lines = body(latex(rows))
    assert lines[0][:4] == ["QF", "Method", "BEF/MSE$>$", "PSNR"]
    assert lines[1][:6] == ["10", "JPEG", "0.754", "27.77", "25.33", "0.791"]
    assert lines[2][1:6] == [
        r"{\small the paper}",
        *(rf"{{\small ({f})}}" for f in ("0.754", "27.77", "25.33", "0.791")),
    ]
    assert r"\textbf{29.10}" in lines[3]
    assert r"\textbf{$\infty$}" in latex(rows) and "--" in lines[-1]


def test_failures_are_marked(rows: tuple[Row, ...]) -> None:
    text = latex([rows[1], replace(rows[2], images=27, failures=2)])
    assert r"ED (27 of 29\textdagger)" in text
    assert "not comparable" in text
    assert "dagger" not in latex(rows)


def test_names_are_escaped() -> None:
    assert escape("a_b & 50% {x} \\ ~^ <$#>") == (
        r"a\_b \& 50\% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} \textless{}\$\#\textgreater{}"
    )
    text = latex([Row("my_set", 10, "y", "a&b", 1, 30.0, 29.0, 0.8, 0.2)])
    assert r"my\_set" in text and r"a\&b" in text
