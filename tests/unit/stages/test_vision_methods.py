"""The seam: what a spec does to an image, in luminance and in the three ways through colour."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from ced import restore
from ced.config import NetworkConfig
from ced.errors import FormatError, InputError
from ced.nets import weights
from ced.nets.autoencoder import AutoEncoder
from ced.stages import vision_methods

RGB = np.ascontiguousarray(data.chelsea()[40:91, 60:130])
OFFSET = 20


def brightener(folder: Path, channels: int) -> str:
    """A restorer that adds OFFSET to every value."""
    network = AutoEncoder(NetworkConfig(width=4, width_half=4, width_full=4, blocks=1), channels, conditioned=False)
    torch.nn.init.zeros_(network.decoder.last.weight)
    torch.nn.init.constant_(network.decoder.last.bias, OFFSET / 255)
    folder.mkdir()
    for name, content in restore.files("ed", weights.encode(network)).items():
        (folder / name).write_bytes(content)
    return str(folder)


@pytest.fixture(scope="module")
def luminance_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return brightener(tmp_path_factory.mktemp("y") / "restorer", 1)


@pytest.fixture(scope="module")
def rgb_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return brightener(tmp_path_factory.mktemp("rgb") / "restorer", 3)


def brighter(plane: np.ndarray) -> np.ndarray:
    return np.clip(plane.astype(int) + OFFSET, 0, 255).astype(np.uint8)


def ycbcr(rgb: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(plane) for plane in Image.fromarray(rgb).convert("YCbCr").split()]


def test_jpeg_is_left_as_it_is() -> None:
    assert np.array_equal(vision_methods.load("")(RGB), RGB)


def test_luminance_goes_through_the_model(luminance_model: str) -> None:
    plane = RGB[..., 1]
    assert np.array_equal(vision_methods.load(luminance_model)(plane), brighter(plane))


@pytest.mark.parametrize("through", ["", "ycbcr"])
def test_every_channel_of_ycbcr_goes_through_a_model_of_luminance(luminance_model: str, through: str) -> None:
    planes = [Image.fromarray(brighter(plane)) for plane in ycbcr(RGB)]
    expected = np.asarray(Image.merge("YCbCr", planes).convert("RGB"))
    assert np.array_equal(vision_methods.load(luminance_model, through)(RGB), expected)


def test_luma_alone_leaves_the_colours(luminance_model: str) -> None:
    luma, blue, red = ycbcr(RGB)
    planes = [Image.fromarray(plane) for plane in (brighter(luma), blue, red)]
    expected = np.asarray(Image.merge("YCbCr", planes).convert("RGB"))
    assert np.array_equal(vision_methods.load(luminance_model, "luma")(RGB), expected)


@pytest.mark.parametrize("through", ["", "rgb"])
def test_a_model_of_rgb_takes_all_three_at_once(rgb_model: str, through: str) -> None:
    assert np.array_equal(vision_methods.load(rgb_model, through)(RGB), brighter(RGB))


def test_what_a_model_cannot_take_is_found_out_early(rgb_model: str, luminance_model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--methods ed: .* restores RGB; use --colour rgb"):
        vision_methods.check("ed", rgb_model, ("rgb", "y"), "")
    with pytest.raises(InputError, match="restores RGB; use --through rgb, or leave it out"):
        vision_methods.check("ed", rgb_model, ("rgb",), "luma")
    with pytest.raises(InputError, match="restores luminance; use --through ycbcr or luma, or leave it out"):
        vision_methods.check("ed", luminance_model, ("rgb",), "rgb")
    with pytest.raises(FormatError, match="restorer.json"):
        vision_methods.check("ed", str(tmp_path), ("rgb",), "")


def test_what_a_model_can_take_passes(rgb_model: str, luminance_model: str) -> None:
    for through in ("", "ycbcr", "luma"):
        vision_methods.check("ed", luminance_model, ("rgb", "y"), through)
    for through in ("", "rgb"):
        vision_methods.check("ed", rgb_model, ("rgb",), through)
    vision_methods.check("ed", luminance_model, ("y",), "rgb")  # no RGB goes anywhere
