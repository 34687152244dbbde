"""The damaged image itself, and restorers of luminance and of colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.methods import Damaged, Failed, checked
from ced.methods.network import Jpeg, Network
from ced.restore import Restorer


def test_jpeg_is_the_damaged_image(gray: Damaged, colour: Damaged) -> None:
    assert checked(Jpeg(), gray) is gray.image
    assert checked(Jpeg(), colour) is colour.image


def test_a_luminance_model_restores_a_plane(gray: Damaged, gray_model: Path) -> None:
    restorer = Restorer.load(gray_model)
    method = Network("mine", restorer)
    assert (method.name, method.colour, method.timed) == ("mine", "any", True)
    restored = checked(method, gray)
    assert np.array_equal(restored, restorer.restore_planes(gray.image[None])[0])
    assert not np.array_equal(restored, gray.image)


def test_a_luminance_model_restores_the_luma_of_a_colour_image(colour: Damaged, gray_model: Path) -> None:
    restorer = Restorer.load(gray_model)
    restored = checked(Network("mine", restorer), colour)
    luma = np.asarray(Image.fromarray(colour.image).convert("YCbCr"))[..., 0]
    expected = restorer.restore_planes(luma[None])[0].astype(int)
    ours = np.asarray(Image.fromarray(restored).convert("YCbCr"))[..., 0].astype(int)
    assert np.median(np.abs(ours - expected)) <= 1  # to RGB and back, rounded and clipped


def test_a_colour_model_restores_all_three_planes(colour: Damaged, colour_model: Path) -> None:
    method = Network("mine", Restorer.load(colour_model))
    assert method.colour == "rgb"
    planes = method.restorer.restore_planes(np.ascontiguousarray(colour.image.transpose(2, 0, 1)))
    assert np.array_equal(checked(method, colour), planes.transpose(1, 2, 0))


def test_a_colour_model_on_a_plane_is_a_failure(gray: Damaged, colour_model: Path) -> None:
    with pytest.raises(Failed, match="RGB, not 70x45"):
        checked(Network("mine", Restorer.load(colour_model)), gray)
