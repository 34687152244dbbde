"""LPIPS is extra: without its package, or without its weights, one line says so."""

import importlib.util

import numpy as np
import pytest
from skimage import data

from ced.errors import CedError, ConfigError
from ced.evaluation import perceptual

INSTALLED = importlib.util.find_spec("lpips") is not None


@pytest.mark.skipif(INSTALLED, reason="lpips is installed here")
def test_without_the_package_one_line_says_what_to_do() -> None:
    with pytest.raises(
        ConfigError, match="No module named 'lpips'; `pip install lpips` with the torchvision"
    ) as caught:
        perceptual.load()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not INSTALLED, reason="lpips is not installed here")
def test_with_the_package_it_measures_or_says_why_not() -> None:
    try:
        perceptual.load()
    except CedError as error:
        assert "leave out --lpips" in str(error) and "\n" not in str(error)
        return
    plane = data.camera()[:64, :96]
    assert perceptual.distance(plane, plane) == pytest.approx(0, abs=1e-6)
    blurred = np.repeat(plane[:, ::4], 4, axis=1)
    assert perceptual.distance(plane, blurred) > 0.05


def test_planes_are_shown_to_the_network_as_gray_images_between_minus_one_and_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def network(first, second):  # type: ignore[no-untyped-def]
        seen.extend([first, second])
        return (first - second).abs().mean()

    original = np.array([[0, 255], [51, 204]], np.uint8)
    monkeypatch.setattr(perceptual, "load", lambda: network)
    distance = perceptual.distance(original, np.zeros((2, 2), np.uint8))
    assert distance == pytest.approx((0 + 2 + 0.4 + 1.6) / 4)
    assert [tuple(one.shape) for one in seen] == [(1, 3, 2, 2)] * 2
    assert seen[0].min() == -1 and seen[0].max() == 1
