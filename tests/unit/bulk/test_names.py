"""Outputs are called as their sources are, and no two alike."""

from hypothesis import given
from hypothesis import strategies as st

from ced.bulk.names import Names, Pair
from ced.data.sources import Photograph


def named(*names: str, alone: bool = True, known: dict[str, str] | None = None, suffix: str = ".png") -> list[Pair]:
    chosen = Names([Photograph(name, f"/{name}", "") for name in names], suffix, alone, known or {})
    return [chosen.of(name) for name in names]


def restored(*names: str, alone: bool = True, known: dict[str, str] | None = None, suffix: str = ".png") -> list[str]:
    return [pair.restored for pair in named(*names, alone=alone, known=known, suffix=suffix)]


def test_one_source_s_own_name_is_left_out() -> None:
    assert named("d/a.jpg", "d/b/c.JPEG") == [("a.png", "a.jpg"), ("b/c.png", "b/c.JPEG")]
    assert restored("d/a.jpg", "e/a.jpg", alone=False) == ["d/a.png", "e/a.png"]
    assert named("a.tiff") == [("a.png", "a.tiff")]


def test_what_is_left_keeps_its_name() -> None:
    names = ("d/x.jpg", "d/x.png", "d/x", "d/x.jpeg", "d/x.TIFF", "d/.x.jpg", "d/x.png.png")
    pairs = named(*names)
    assert [pair.left for pair in pairs] == [name.removeprefix("d/") for name in names]
    assert pairs[:3] == [("x.jpg.png", "x.jpg"), ("x.png", "x.png"), ("x-2.png", "x")]


def test_what_would_be_called_alike_keeps_its_suffix() -> None:
    assert restored("d/x.jpeg", "d/x.jpg", "d/x.tif") == ["x.jpeg.png", "x.png", "x.tif.png"]
    assert restored("d/x.jpeg", "d/x.jpg", "d/x.jpeg.jpg") == ["x.jpeg-2.png", "x.png", "x.jpeg.png"]
    assert restored("d/x.jpeg", "d/x.jpg", suffix=".jpg") == ["x.jpeg.jpg", "x.jpg"]


def test_a_name_that_was_given_is_kept() -> None:
    assert restored("d/x.jpeg") == ["x.png"]
    known = {"d/x.jpeg": "x.png"}
    assert restored("d/x.jpeg", "d/x.jpg", known=known) == ["x.png", "x.jpg.png"]
    assert restored("d/x.jpeg", "d/x.jpg", known=known, suffix=".webp") == ["x.webp", "x.jpg.webp"]
    assert named("d/x.jpeg", "d/x.png", known=known)[1] == ("x.png.png", "x-2.png"), "its own name is another's"
    assert named("d/x.jpg", "d/x.png", known={"d/x.png": "x.png"})[0] == ("x.jpg.png", "x.jpg")
    assert restored("e/x.jpg", known={"d/x.jpg": "x.png"}) == ["x.jpg.png"], "of a source that is not listed now"
    assert restored("d/x.jpg", known={"d/x.jpg": "x.jpeg.webp"}) == ["x.jpeg.png"]


def test_a_name_that_was_left_under_a_number_is_kept_when_its_own_is_free_again() -> None:
    known = {"d/a.jpg": "a.png"}
    assert named("d/a.jpg", "d/a.png", known=known, suffix=".jpg")[1].left == "a-2.png"
    known = {"d/a.jpg": "a.jpg", "d/a.png": "a-2.png"}
    assert named("d/a.jpg", "d/a.png", known=known, suffix=".jpg")[1].left == "a-2.png"


part = st.sampled_from(["a", "b", "a.jpg", "a.jpeg", "a.png", "a.jpeg.jpg", "b.webp", "a.jpg-2.jpg", "a-2.png"])
sources = st.lists(part, min_size=1, max_size=3).map(lambda parts: "/".join(["d", *parts]))


@given(st.lists(sources, unique=True), st.lists(sources, unique=True), st.randoms(), st.sampled_from([".png", ".jpg"]))
def test_no_two_outputs_have_one_name(names: list[str], others: list[str], chance, suffix: str) -> None:  # type: ignore[no-untyped-def]
    """Whatever was restored and left of other sources before, in whichever format."""
    before = dict(zip(others, named(*others), strict=True))
    known = {source: chance.choice(pair) for source, pair in before.items()}
    pairs = dict(zip(names, named(*names, known=known, suffix=suffix), strict=True))
    owned = [(source, {output}) for source, output in known.items()] + [(name, set(pairs[name])) for name in names]
    whose: dict[str, str] = {}
    assert all(whose.setdefault(output, source) == source for source, outputs in owned for output in outputs)
    again = {source: chance.choice(pair) for source, pair in pairs.items()}
    kept = named(*names, known=known | again, suffix=suffix)  # what was made of sources that are gone stays known
    assert all(output in pair for output, pair in zip(again.values(), kept, strict=True))
