"""Facts and columns in plain text."""

import pytest

from ced import terminal


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (95_200_000, "95.2 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (10**12, "1.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_bytes_as_people_read_them(count: int, text: str) -> None:
    assert terminal.size(count) == text


def test_facts_are_aligned() -> None:
    assert terminal.facts([("stage", "label"), ("", "more"), ("counts", "12")]) == [
        "stage   label",
        "        more",
        "counts  12",
    ]


def test_figures_are_set_to_the_right_and_nothing_trails() -> None:
    assert terminal.grid(("name", "n", "what"), [("a", "1,000", "x"), ("abcdef", "2", "")], [1]) == [
        "name        n  what",
        "a       1,000  x",
        "abcdef      2",
    ]
