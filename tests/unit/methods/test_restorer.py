"""The damaged image itself, and restorers of luminance and of colour."""

from pathlib import Path

import numpy as np
from PIL import Image

from ced.methods import Damaged, checked
from ced.methods.restorer import JpegMethod, restorer
from ced.restoration.restorer import Restorer, planewise


def test_jpeg_is_the_damaged_image(gray: Damaged, colour: Damaged) -> None:
    assert checked(JpegMethod(), gray) is gray.image
    assert checked(JpegMethod(), colour) is colour.image


def test_a_luminance_model_restores_a_plane(gray: Damaged, gray_model: Path) -> None:
    loaded, method = Restorer.load(gray_model), restorer("mine", gray_model)
    assert (method.name, method.colours, method.timed) == ("mine", ("y", "rgb"), True)
    restored = checked(method, gray)
    assert np.array_equal(restored, loaded.restore_planes(gray.image[None])[0])
    assert not np.array_equal(restored, gray.image)


def test_a_luminance_model_restores_the_luma_of_a_colour_image(colour: Damaged, gray_model: Path) -> None:
    loaded = Restorer.load(gray_model)
    restored = checked(restorer("mine", gray_model), colour)
    luma = np.asarray(Image.fromarray(colour.image).convert("YCbCr"))[..., 0]
    expected = loaded.restore_planes(luma[None])[0].astype(int)
    ours = np.asarray(Image.fromarray(restored).convert("YCbCr"))[..., 0].astype(int)
    assert np.median(np.abs(ours - expected)) <= 1  # to RGB and back, rounded and clipped


def test_planewise_gives_the_function_the_planes_that_it_is_asked_for(gray: Damaged, colour: Damaged) -> None:
    seen: list[np.ndarray] = []

    def inverted(plane: np.ndarray) -> np.ndarray:
        seen.append(plane)
        return 255 - plane

    assert np.array_equal(planewise(inverted, gray.image, "ycbcr"), 255 - gray.image)
    luma, blue, red = (np.asarray(plane) for plane in Image.fromarray(colour.image).convert("YCbCr").split())
    for through, given in (("luma", [luma]), ("ycbcr", [luma, blue, red])):
        seen.clear()
        restored = planewise(inverted, colour.image, through)
        assert len(seen) == len(given) and all(map(np.array_equal, seen, given))
        planes = [255 - luma, *((255 - blue, 255 - red) if through == "ycbcr" else (blue, red))]
        expected = Image.merge("YCbCr", [Image.fromarray(plane) for plane in planes]).convert("RGB")
        assert np.array_equal(restored, np.asarray(expected))


def test_a_colour_model_restores_all_three_planes(colour: Damaged, colour_model: Path) -> None:
    loaded, method = Restorer.load(colour_model), restorer("mine", colour_model)
    assert method.colours == ("rgb",)
    planes = loaded.restore_planes(np.ascontiguousarray(colour.image.transpose(2, 0, 1)))
    assert np.array_equal(checked(method, colour), planes.transpose(1, 2, 0))


def test_a_colour_model_gives_back_a_plane_as_a_plane(gray: Damaged, colour_model: Path) -> None:
    """The luma of what it makes of three equal planes."""
    loaded, method = Restorer.load(colour_model), restorer("mine", colour_model)
    restored = Image.fromarray(loaded.restore_planes(np.stack([gray.image] * 3)).transpose(1, 2, 0).copy())
    assert np.array_equal(checked(method, gray), np.asarray(restored.convert("L")))
