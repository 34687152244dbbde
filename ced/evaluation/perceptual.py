"""LPIPS (Zhang et al. 2018) by its own package, for those who have it: its backbone is downloaded on first use."""

import functools
from typing import Any

import numpy as np

from ced.errors import ConfigError, ServiceError, first_line
from ced.timeouts import NoAnswer, call_in_time

_PATIENCE = 600.0  # seconds: the backbone has 233 MB
_NETWORK = "alex"  # what the package recommends for comparing images


@functools.lru_cache(maxsize=1)
def load() -> Any:
    """The network, loaded once a process.

    Raises ConfigError where the package is not installed, ServiceError where its weights cannot be had.
    """
    try:
        import lpips
    except (ImportError, OSError, RuntimeError) as error:  # a torchvision of another torch raises the latter two
        raise ConfigError(
            f"LPIPS: {first_line(error)}; `pip install lpips` with the torchvision of this torch, or leave out --lpips"
        ) from None
    try:
        return call_in_time(lambda: lpips.LPIPS(net=_NETWORK, verbose=False).eval(), _PATIENCE)
    except NoAnswer:
        raise ServiceError(f"LPIPS: its backbone did not come within {_PATIENCE:.0f} s; leave out --lpips") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise ServiceError(
            f"LPIPS: its backbone cannot be downloaded ({first_line(error)}); go online once, or leave out --lpips"
        ) from error


def distance(original: np.ndarray, restored: np.ndarray) -> float:
    """LPIPS of two planes shown as gray images; 0 for identical ones. Shape: both (H, W) uint8."""
    import torch

    def gray(plane: np.ndarray) -> torch.Tensor:
        scaled = torch.from_numpy(np.ascontiguousarray(plane)).float() / 127.5 - 1
        return scaled.expand(1, 3, *plane.shape)

    with torch.inference_mode():
        return float(load()(gray(original), gray(restored)))
