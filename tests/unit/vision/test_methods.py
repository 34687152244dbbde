"""The methods of Table 3: what is opened, and the way that RGB takes through a model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from ced.config import NetworkConfig, VisionConfig
from ced.errors import CedError, FormatError, InputError
from ced.methods import Damaged, checked
from ced.methods.command import CommandMethod
from ced.methods.restorer import JpegMethod, RestorerMethod
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.restoration import restorer
from ced.vision import methods

RGB = np.ascontiguousarray(data.chelsea()[40:91, 60:130])
OFFSET = 20


def brightener(folder: Path, channels: int) -> str:
    """A restorer that adds OFFSET to every value."""
    network = AutoEncoder(NetworkConfig(width=4, width_half=4, width_full=4, blocks=1), channels, conditioned=False)
    torch.nn.init.zeros_(network.decoder.last.weight)
    torch.nn.init.constant_(network.decoder.last.bias, OFFSET / 255)
    folder.mkdir()
    for name, content in restorer.files("ed", weights.encode(network)).items():
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


def damaged(image: np.ndarray) -> Damaged:
    return Damaged("cat.jpg", 10, b"", image)


def restored(folder: str, through: str, image: np.ndarray, tmp_path: Path) -> np.ndarray:
    """What the method makes of an image, as a worker opens it."""
    colour = "rgb" if image.ndim == 3 else "y"
    config = VisionConfig(methods=("original", f"mine={folder}"), colours=(colour,), through=through)
    (prepared,) = methods.methods(config, tmp_path)
    return checked(prepared, damaged(image))


def ycbcr(rgb: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(plane) for plane in Image.fromarray(rgb).convert("YCbCr").split()]


def merged(*planes: np.ndarray) -> np.ndarray:
    return np.asarray(Image.merge("YCbCr", [Image.fromarray(plane) for plane in planes]).convert("RGB"))


def test_luminance_goes_through_the_model(luminance_model: str, tmp_path: Path) -> None:
    plane = np.ascontiguousarray(RGB[..., 1])
    for through in ("", "luma", "rgb"):  # "rgb" says nothing about luminance
        assert np.array_equal(restored(luminance_model, through, plane, tmp_path), brighter(plane))


@pytest.mark.parametrize("through", ["", "ycbcr"])
def test_every_channel_of_ycbcr_goes_through_a_model_of_luminance(
    luminance_model: str, through: str, tmp_path: Path
) -> None:
    expected = merged(*map(brighter, ycbcr(RGB)))
    assert np.array_equal(restored(luminance_model, through, RGB, tmp_path), expected)


def test_luma_alone_leaves_the_colours(luminance_model: str, tmp_path: Path) -> None:
    luma, blue, red = ycbcr(RGB)
    assert np.array_equal(restored(luminance_model, "luma", RGB, tmp_path), merged(brighter(luma), blue, red))


@pytest.mark.parametrize("through", ["", "rgb"])
def test_a_model_of_rgb_takes_all_three_at_once(rgb_model: str, through: str, tmp_path: Path) -> None:
    assert np.array_equal(restored(rgb_model, through, RGB, tmp_path), brighter(RGB))


def test_the_original_is_no_method_and_the_others_keep_their_order(luminance_model: str, tmp_path: Path) -> None:
    texts = ("cp=command:cp {input} {output}", "original", "jpeg", f"mine={luminance_model}")
    found = methods.methods(VisionConfig(methods=texts), tmp_path)
    assert [(method.name, type(method)) for method in found] == [
        ("cp", CommandMethod),
        ("jpeg", JpegMethod),
        ("mine", RestorerMethod),
    ]


@pytest.mark.parametrize(
    ("model", "colours", "through", "message"),
    [
        ("rgb", ("rgb", "y"), "", "method mine: .* restores colour images alone; use --colour rgb"),
        ("rgb", ("rgb",), "luma", "--methods mine: .* restores RGB; use --through rgb, or leave it out"),
        ("y", ("rgb",), "rgb", "--methods mine: .* restores luminance; use --through ycbcr or luma, or leave it out"),
    ],
)
def test_what_a_model_cannot_take_is_found_out_early(
    model: str,
    colours: tuple[str, ...],
    through: str,
    message: str,
    rgb_model: str,
    luminance_model: str,
    tmp_path: Path,
) -> None:
    folder = {"rgb": rgb_model, "y": luminance_model}[model]
    with pytest.raises(CedError, match=message):
        methods.methods(VisionConfig(methods=(f"mine={folder}",), colours=colours, through=through), tmp_path)


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    for text, kind in ((f"mine={tmp_path}", FormatError), (f"mine=folder:{tmp_path / 'gone'}", InputError)):
        with pytest.raises(kind):
            methods.methods(VisionConfig(methods=(text,)), tmp_path)
