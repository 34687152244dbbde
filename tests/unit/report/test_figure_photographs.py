import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ced.report.figure import Figure
from ced.report.figure_photographs import figure_1, figure_4, figure_5
from ced.report.model import Picture
from ced.report.pictures import busiest

SVG = "{http://www.w3.org/2000/svg}"
ALL = ("original", "jpeg", "ed", "ced-est", "ced-gt")
BOX = (16, 8, 48, 40)


def picture(labels: tuple[str, ...] = ALL, name: str = "cat.png", quality: int = 10, size: tuple = (96, 64)) -> Picture:
    rng = np.random.default_rng(0)
    return Picture(name, quality, tuple((label, rng.integers(0, 256, size[::-1], np.uint8)) for label in labels))


def embedded(text: str) -> list[np.ndarray]:
    found = re.findall(r'data:image/png;base64,([^"]*)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def words(figure: Figure) -> list[str | None]:
    return [text.text for text in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]


def places(figure: Figure) -> list[tuple[int, ...]]:
    images = ElementTree.fromstring(figure.svg).iter(f"{SVG}image")
    return [tuple(int(image.get(name) or -1) for name in ("x", "y", "width", "height")) for image in images]


def given(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def crops(one: Picture, box: tuple[int, int, int, int], *labels: str) -> list[np.ndarray]:
    left, top, right, bottom = box
    return [dict(one.versions)[label][top:bottom, left:right] for label in labels]


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_figure_1_is_jpeg_ed_and_ced_gt_from_top_to_bottom() -> None:
    one = picture()
    figure = given(figure_1([one, picture(name="dog")], BOX))
    assert words(figure) == ["JPEG, QF 10", "ED", "CED-GT"]
    for text in (figure.svg, figure.body):
        assert same(embedded(text), crops(one, BOX, "jpeg", "ed", "ced-gt"))
    xs, ys, wide, high = zip(*places(figure), strict=True)
    assert len(set(xs)) == 1
    assert ys[0] + high[0] < ys[1] and ys[1] + high[1] < ys[2]
    assert set(wide) == {32 * 24}
    assert "cat.png" in figure.caption and "dog" not in figure.caption


def test_figure_1_needs_two_versions() -> None:
    assert figure_1([]) is None
    assert figure_1([picture(("original", "jpeg", "ced-est"))]) is None
    assert words(given(figure_1([picture(("original", "jpeg", "ced-gt"))]))) == ["JPEG, QF 10", "CED-GT"]


def test_figure_4_is_ced_est_beside_ced_gt() -> None:
    one = picture()
    figure = given(figure_4([one], BOX))
    assert words(figure) == ["CED-EST: trained with estimates", "CED-GT: trained with the truth"]
    assert same(embedded(figure.svg), crops(one, BOX, "ced-est", "ced-gt"))
    (left, right) = places(figure)
    assert left[1] == right[1] and left[0] + left[2] < right[0]
    assert figure_4([picture(("original", "jpeg", "ced-gt"))]) is None
    assert figure_4([]) is None


def test_figure_5_has_a_row_of_every_version_for_each_picture() -> None:
    one, two = picture(), picture(("original", "jpeg", "mine"), "dog.png", 20)
    figure = given(figure_5([one, two], BOX))
    assert words(figure) == [
        *("cat.png", "Original", "JPEG, QF 10", "ED", "CED-EST", "CED-GT"),
        *("dog.png", "Original", "JPEG, QF 20", "mine"),
    ]
    found = embedded(figure.body)
    assert same(found[1:6], crops(one, BOX, *ALL))
    assert same(found[7:], crops(two, BOX, "original", "jpeg", "mine"))
    assert found[0].shape == (160, 240)  # the whole photograph
    rows = [place[1] for place in places(figure)]
    assert rows == sorted(rows) and len(set(rows)) == 2
    assert figure_5([]) is None


def test_the_region_is_where_most_detail_is_and_marked_in_the_whole() -> None:
    plane = np.full((320, 480), 90, np.uint8)
    plane[160:240, 320:400] = np.random.default_rng(0).integers(0, 256, (80, 80))
    figure = given(figure_5([Picture("p", 10, (("original", plane), ("jpeg", plane)))]))
    assert busiest(plane, 80) == (320, 160, 400, 240)
    assert same(embedded(figure.body)[1:2], [plane[160:240, 320:400]])
    assert "with the most detail" in figure.caption
    # At half size the region is 160..200 x 80..120 of 240 x 160: the insets of top, right, bottom and left.
    assert 'style="inset:50.00% 16.67% 25.00% 66.67%"' in figure.body
    sheet = np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))
    rows, columns = np.nonzero((sheet == (214, 73, 28)).all(axis=2))
    left, top, _, _ = places(figure)[0]
    assert (columns.min() - left, columns.max() - left) == (158, 201)
    assert (rows.min() - top, rows.max() - top) == (78, 121)


def test_every_version_of_a_row_is_equally_large() -> None:
    for box in (None, BOX, (0, 0, 96, 8), (3, 3, 4, 4)):
        sizes = {place[2:] for place in places(given(figure_5([picture()], box)))[1:]}
        assert len(sizes) == 1
        (size,) = sizes
        assert 160 <= max(size) <= 320


@pytest.mark.parametrize("size", [(9, 9), (8, 300), (300, 9), (17, 400)])
def test_pictures_of_any_size_make_figures(size: tuple[int, int]) -> None:
    for figure in (figure_1([picture(size=size)]), figure_4([picture(size=size)]), figure_5([picture(size=size)])):
        Image.open(io.BytesIO(given(figure).png)).verify()


def test_colour_pictures_stay_in_colour() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    figure = given(figure_5([Picture("p", 10, (("original", red), ("jpeg", red)))]))
    assert embedded(figure.svg)[1][0, 0].tolist() == [200, 0, 0]


def test_any_name_is_text_and_a_long_one_is_cut() -> None:
    nasty = '"><script>&' + "long/" * 30 + "cat.png"
    figure = given(figure_5([picture(name=nasty)]))
    assert "<script" not in figure.body and "<script" not in figure.svg
    assert (words(figure)[0] or "").startswith("…") and (words(figure)[0] or "").endswith("cat.png")
    ElementTree.fromstring(figure.svg)


def test_a_long_name_of_a_method_is_cut_before_the_next_photograph() -> None:
    name = "a-method-whose-name-has-forty-characters"
    found = words(given(figure_5([picture((*ALL, name))])))
    assert name not in found and found[-1] is not None and found[-1].startswith("…")
    assert name in given(figure_5([picture((*ALL, name))])).caption


def test_the_caption_of_figure_5_is_of_all_its_pictures() -> None:
    """A method may have failed on the first, and there may be several quality factors."""
    pictures = [picture(quality=10), picture((*ALL, "mine"), quality=20)]
    assert given(figure_5(pictures)).caption.endswith(": Original, JPEG, ED, CED-EST, CED-GT and mine; QF 10 and 20.")


def test_the_same_pictures_give_the_same_bytes() -> None:
    once, again = (given(figure_5([picture()])) for _ in range(2))
    assert (once.png, once.svg, once.body) == (again.png, again.svg, again.body)
