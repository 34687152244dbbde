"""Luminance as the paper's protocol pins it."""

import numpy as np


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Studio-range BT.601 luma, as MATLAB's `rgb2ycbcr`: round(16 + (65.481 R + 128.553 G + 24.966 B) / 255).

    Shape: (..., H, W, 3) uint8 in 0..255 -> (..., H, W) uint8 in 16..235.
    """
    if rgb.ndim < 3 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"luminance takes (..., H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    # Weights in thousandths keep the sum exact in int32, so that .5 is rounded alike everywhere.
    red, green, blue = (rgb[..., c].astype(np.int32) for c in range(3))
    thousandths = 65481 * red + 128553 * green + 24966 * blue + 16 * 255_000
    return ((thousandths + 127_500) // 255_000).astype(np.uint8)
