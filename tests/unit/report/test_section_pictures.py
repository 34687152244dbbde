import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ced.report.model import Picture
from ced.report.pictures import busiest
from ced.report.section_pictures import pictures_section


def plain(height: int, width: int, *labels: str) -> Picture:
    plane = np.zeros((height, width), np.uint8)
    return Picture("p", 10, tuple((label, plane) for label in ("original", "jpeg", *labels)))


def chosen(section: str) -> list[str]:
    return re.findall(r'value="(\d)" selected', section)


def test_no_pictures_make_no_section() -> None:
    assert pictures_section([]) == ""


def test_every_version_is_embedded_once_with_its_very_pixels(picture: Picture) -> None:
    section = pictures_section([picture])
    images = re.findall(r'<img src="data:image/png;base64,([^"]*)" width="96" height="64" alt="([^"]*)">', section)
    assert section.count("<img") == len(images) == 4
    for (data, alt), (_, plane) in zip(images, picture.versions, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), plane)
        assert alt.startswith("gradient, ")
    assert re.findall("<figcaption>(.*?)</figcaption>", section) == ["Original", "JPEG", "ED", "CED-GT"]


def test_the_lens_starts_where_most_is_to_be_seen(picture: Picture) -> None:
    left, top, right, _ = busiest(picture.original, 32)
    assert f'style="--w:96;--h:64;--x:{left};--y:{top};--r:{right - left}"' in pictures_section([picture])


def test_one_lens_of_a_picture_takes_the_keyboard(picture: Picture) -> None:
    section = pictures_section([picture, picture])
    assert section.count('class="lens" tabindex="0"') == 2
    assert section.count('class="lens" aria-hidden="true"') == 6


@pytest.mark.parametrize(
    ("labels", "left_and_right"),
    [((), ["1", "0"]), (("ed",), ["1", "2"]), (("ed", "ced-est", "ced-gt"), ["1", "4"])],
)
def test_jpeg_is_compared_with_the_last_method_or_the_original(labels: tuple[str, ...], left_and_right: list) -> None:
    assert chosen(pictures_section([plain(64, 64, *labels)])) == left_and_right


@pytest.mark.parametrize(
    ("height", "width", "sides", "checked"),
    [(512, 768, ["32", "64", "128"], "64"), (96, 96, ["32", "48", "64"], "48"), (5, 9, ["5"], "5")],
)
def test_the_offered_sides_fit_the_picture(height: int, width: int, sides: list[str], checked: str) -> None:
    section = pictures_section([plain(height, width)])
    assert re.findall(r'type="radio" name="side-1" value="(\d+)"', section) == sides
    assert re.findall(r'value="(\d+)" checked', section) == [checked]


def test_controls_of_two_pictures_do_not_share_names(picture: Picture) -> None:
    section = pictures_section([picture, picture])
    ids = re.findall(r' id="([^"]*)"', section)
    assert len(set(ids)) == len(ids) == 4
    assert set(re.findall(r'<label for="([^"]*)"', section)) == set(ids)
    assert set(re.findall(r'type="radio" name="([^"]*)"', section)) == {"side-1", "side-2"}


def test_names_are_escaped() -> None:
    plane = np.zeros((16, 16), np.uint8)
    section = pictures_section([Picture('a"><b>å', 10, (("original", plane), ("jpeg", plane), ('"<i>', plane)))])
    assert 'alt="a&quot;&gt;&lt;b&gt;å, Original"' in section
    assert "<h3>a&quot;&gt;&lt;b&gt;å</h3>" in section
    assert "<figcaption>&quot;&lt;i&gt;</figcaption>" in section
    assert '">&quot;&lt;i&gt;</option>' in section
    assert "<b>" not in section
    assert "<i>" not in section
