"""Judges by their authors' own packages: LPIPS (Zhang et al. 2018), DISTS (Ding et al. 2020) and FID (Heusel et al.
2017), whose backbones are downloaded on first use, and SSIMULACRA2, which has none.

A plane of luminance is shown as a gray image of three equal channels.
"""

import functools
import importlib
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ced.core.images import png
from ced.core.resampling import Interval
from ced.errors import ConfigError, ServiceError, first_line
from ced.evaluation.features import of_patches, shown
from ced.timeouts import NoAnswer, call_in_time

if TYPE_CHECKING:
    from torch import Tensor

_PATIENCE = 600.0  # seconds: the largest backbone has 550 MB


class _Network(NamedTuple):
    """Where a judge's network comes from."""

    module: str
    package: str  # as pip calls it
    make: Callable[[Any], Any]  # of the module


_NETWORKS = {
    "lpips": _Network("lpips", "lpips", lambda module: module.LPIPS(net="alex", verbose=False)),  # as it recommends
    "dists": _Network("DISTS_pytorch", "DISTS_pytorch", lambda module: module.DISTS()),
    "fid": _Network("pytorch_fid.inception", "pytorch-fid", lambda module: module.InceptionV3()),
}


@functools.cache
def load(judge: str) -> Any:
    """The network of "lpips", "dists" or "fid", loaded once a process.

    Raises ConfigError where its package is not installed, ServiceError where its weights cannot be had.
    """
    network, name = _NETWORKS[judge], judge.upper()
    try:
        module = importlib.import_module(network.module)
    except (ImportError, OSError, RuntimeError) as error:  # a torchvision of another torch raises the latter two
        cure = f"`pip install {network.package}` with the torchvision of this torch"
        raise ConfigError(f"{name}: {first_line(error)}; {cure}, or leave out {judge}") from None
    try:
        return call_in_time(lambda: network.make(module).eval(), _PATIENCE)
    except NoAnswer:
        raise ServiceError(f"{name}: its backbone did not come within {_PATIENCE:.0f} s; leave out {judge}") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise ServiceError(
            f"{name}: its backbone cannot be downloaded ({first_line(error)}); go online once, or leave out {judge}"
        ) from error


def lpips(original: np.ndarray, restored: np.ndarray) -> float:
    """LPIPS; 0 for identical pictures. Shapes: both (H, W) or (H, W, 3) uint8."""
    import torch

    with torch.inference_mode():
        return float(load("lpips")(_shown(original) * 2 - 1, _shown(restored) * 2 - 1))


def dists(original: np.ndarray, restored: np.ndarray) -> float:
    """DISTS; 0 for identical pictures. Shapes: both (H, W) or (H, W, 3) uint8."""
    import torch

    with torch.inference_mode():
        return float(load("dists")(_shown(original), _shown(restored)))


def inception(picture: np.ndarray) -> np.ndarray:
    """What FID's network sees in the patches of a picture (`features.corners`), each enlarged to its input.

    Shape: (H, W) or (H, W, 3) uint8 -> (patches, 2048) float32.
    """
    network = load("fid")
    return of_patches(_shown(picture), lambda patch: network(patch)[0], 2048)


def fid(
    originals: Sequence[np.ndarray], restored: Sequence[np.ndarray]
) -> tuple[dict[str, float], dict[str, Interval]]:
    """The Frechet distance of all patches' features ("fid"), without an interval; nothing of fewer than two patches.

    Shapes: of each image (patches, 2048).
    """
    frechet = importlib.import_module("pytorch_fid.fid_score").calculate_frechet_distance
    x, y = np.concatenate(list(originals)), np.concatenate(list(restored))
    if len(x) < 2:
        return {}, {}
    moments = (moment for features in (x, y) for moment in (features.mean(axis=0), np.cov(features, rowvar=False)))
    return {"fid": float(frechet(*moments))}, {}


def load_ssimulacra2() -> Any:
    """The package. Raises ConfigError where it is not installed."""
    try:
        import ssimulacra2
    except ImportError as error:
        raise ConfigError(f"SSIMULACRA2: {first_line(error)}; `pip install ssimulacra2`, or leave it out") from None
    return ssimulacra2


def ssimulacra2(original: np.ndarray, restored: np.ndarray) -> float:
    """SSIMULACRA2; 100 for identical pictures. Shapes: both (H, W) or (H, W, 3) uint8."""
    files = (io.BytesIO(png(picture, compress_level=0)) for picture in (original, restored))
    return float(load_ssimulacra2().compute_ssimulacra2(*files))


def _shown(picture: np.ndarray) -> "Tensor":
    """Shape: (H, W) or (H, W, 3) uint8 -> (1, 3, H, W) float32 in 0..1."""
    return shown(picture) / 255
