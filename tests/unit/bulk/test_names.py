"""Outputs are called as their sources are, and no two alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.bulk.names import possible, stems
from ced.data.sources import Photograph


def named(*names: str, alone: bool = True, known: dict[str, str] | None = None) -> dict[str, str]:
    photographs = [Photograph(name, f"/{name}", "") for name in names]
    return {photograph.name: stem for photograph, stem in stems(photographs, alone, known or {})}


def test_one_source_s_own_name_is_left_out() -> None:
    assert named("d/a.jpg", "d/b/c.png") == {"d/a.jpg": "a", "d/b/c.png": "b/c"}
    assert named("d/a.jpg", "e/a.jpg", alone=False) == {"d/a.jpg": "d/a", "e/a.jpg": "e/a"}
    assert named("a.jpg") == {"a.jpg": "a"}


def test_what_would_be_called_alike_keeps_its_suffix() -> None:
    assert named("d/x.jpeg", "d/x.jpg", "d/x.png") == {"d/x.jpeg": "x.jpeg", "d/x.jpg": "x", "d/x.png": "x.png"}
    assert named("d/x.jpeg", "d/x.jpg", "d/x.jpeg.jpg") == {
        "d/x.jpeg": "x.jpeg-2",
        "d/x.jpg": "x",
        "d/x.jpeg.jpg": "x.jpeg",
    }


def test_a_name_that_was_given_is_kept() -> None:
    assert named("d/x.jpeg") == {"d/x.jpeg": "x"}
    assert named("d/x.jpeg", "d/x.jpg", known={"d/x.jpeg": "x"}) == {"d/x.jpeg": "x", "d/x.jpg": "x.jpg"}
    assert named("e/x.jpg", known={"d/x.jpg": "x"}) == {"e/x.jpg": "x.jpg"}, "of a source that is not listed now"


part = st.sampled_from(["a", "b", "a.jpg", "a.jpeg", "a.png", "a.jpeg.jpg", "b.webp", "a.jpg-2.jpg"])


@given(st.lists(st.lists(part, min_size=1, max_size=3).map(lambda parts: "/".join(["d", *parts])), unique=True))
def test_no_two_outputs_have_one_name(names: list[str]) -> None:
    chosen = named(*names)
    assert list(chosen) == names and len(set(chosen.values())) == len(names)
    assert named(*names, known=chosen) == chosen
    outputs = [name for one in names for name in set(possible(Photograph(one, "", ""), chosen[one]))]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize(
    ("name", "written_as", "outputs"),
    [("x.jpg", "", ["s.png", "s.jpg"]), ("x.JPG", "jpeg", ["s.jpg"]), ("x.png", "webp", ["s.webp", "s.png"])],
)
def test_an_output_has_its_format_s_suffix_or_its_source_s(name: str, written_as: str, outputs: list[str]) -> None:
    assert possible(Photograph(name, "", ""), "s", written_as) == outputs
