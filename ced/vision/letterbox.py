"""An image on the fixed canvas of a segmenter, and the segmenter's answer back at the image's size.

The image lies in the top left corner of a canvas filled with the middle gray 128 (zero, to the network). With the fit
"native" it keeps its size, and only one that is larger than the canvas is scaled down: so DeepLab was tested by its
authors, and so its masks of undamaged images are best. With "scaled" its longer side takes the whole canvas: the
resampling blurs the borders of JPEG's blocks, and hides much of the damage (docs/log.md).
"""

import numpy as np
from PIL import Image

from ced.vision.objects import SEGMENTS

FILL = 128
FITS = ("native", "scaled")

Size = tuple[int, int]  # height, width


def place(rgb: np.ndarray, size: Size | None, fit: str = "native") -> tuple[np.ndarray, Size]:
    """The canvas, and the part of it that the image takes. Shape: (H, W, 3) uint8 -> (*size, 3) uint8.

    Without a `size` the canvas is the image.
    """
    height, width = rgb.shape[:2]
    if size is None:
        return rgb, (height, width)
    scale = min(size[0] / height, size[1] / width)
    scale = min(scale, 1.0) if fit == "native" else scale
    taken = (max(1, round(height * scale)), max(1, round(width * scale)))
    canvas = np.full((*size, 3), FILL, np.uint8)
    image = Image.fromarray(rgb)
    canvas[: taken[0], : taken[1]] = np.asarray(image.resize(taken[::-1], Image.Resampling.BILINEAR))
    return canvas, taken


def labels(answer: np.ndarray, canvas: Size) -> np.ndarray:
    """The class of each pixel of the canvas, from classes or from scores of 21 classes at any resolution.

    Shape: (1, h, w), (1, 1, h, w), (1, h, w, 1), (1, 21, h, w) or (1, h, w, 21) -> (H, W) uint8. Raises ValueError.
    """
    one = answer[0] if answer.ndim in (3, 4) and answer.shape[0] == 1 else answer
    if one.ndim == 3 and 1 in (one.shape[0], one.shape[2]):
        one = one.reshape([side for axis, side in enumerate(one.shape) if (axis, side) not in ((0, 1), (2, 1))])
    if one.ndim == 2:
        return _resize(_checked(one), canvas)
    if one.ndim == 3 and len(SEGMENTS) in (one.shape[0], one.shape[2]):
        scores = one if one.shape[0] == len(SEGMENTS) else one.transpose(2, 0, 1)
        whole = np.stack([_resize(score.astype(np.float32), canvas) for score in scores])
        classes: np.ndarray = whole.argmax(0).astype(np.uint8)
        return classes
    raise ValueError(f"an answer of shape {answer.shape}: neither classes nor scores of {len(SEGMENTS)} classes")


def back(found: np.ndarray, taken: Size, size: Size) -> np.ndarray:
    """The image's part of the canvas at the image's size. Shape: (H, W) uint8 -> size."""
    return _resize(found[: taken[0], : taken[1]], size)


def _checked(classes: np.ndarray) -> np.ndarray:
    if classes.size and not 0 <= classes.min() <= classes.max() < len(SEGMENTS):
        raise ValueError(f"classes {classes.min()} to {classes.max()}; VOC's are 0 to {len(SEGMENTS) - 1}")
    return classes.astype(np.uint8)


def _resize(plane: np.ndarray, size: Size) -> np.ndarray:
    """Scores bilinearly, classes to the nearest."""
    if plane.shape == size:
        return plane
    how = Image.Resampling.BILINEAR if plane.dtype == np.float32 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size[::-1], how))
