"""What a detector and a segmenter saw, drawn onto the image."""

import numpy as np
from PIL import Image, ImageDraw

from ced.drawing import font, grid, image
from ced.vision.objects import CLASSES, Detections, Objects

MIN_SCORE = 0.3  # detections with a lower score are not drawn
_LABELLED = (255, 255, 255)


def png(rgb: np.ndarray, detections: Detections, truth: Objects, labels: np.ndarray) -> bytes:
    """Side by side: the boxes (labelled ones white and thin), and the classes of the pixels over the image.

    Shape: (H, W, 3) uint8, labels (H, W) uint8 -> a PNG of 2 W x H.
    """
    return grid([[image(boxes(rgb, detections, truth)), image(classes(rgb, labels))]]).png()


def boxes(rgb: np.ndarray, detections: Detections, truth: Objects) -> np.ndarray:
    """The image with its boxes. Shape: (H, W, 3) uint8 -> the same."""
    canvas = Image.fromarray(rgb)
    draw = ImageDraw.Draw(canvas)
    for box in truth.boxes:
        draw.rectangle(_corners(box), outline=_LABELLED)
    letters = font(11)
    for box, score, number in list(zip(*detections, strict=True))[::-1]:  # the surest on top
        if score < MIN_SCORE:
            continue
        colour = tuple(palette()[1 + number].tolist())
        draw.rectangle(_corners(box), outline=colour, width=2)
        text = f"{CLASSES[number]} {score:.2f}"
        corner = (float(box[0]) + 3, float(box[1]) + 2)
        draw.rectangle(draw.textbbox(corner, text, font=letters), fill=colour)
        draw.text(corner, text, fill=(0, 0, 0) if sum(colour) > 300 else (255, 255, 255), font=letters)
    return np.asarray(canvas)


def classes(rgb: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image under half transparent colours of classes. Shape: (H, W, 3), (H, W) uint8 -> (H, W, 3) uint8."""
    mixed = (rgb.astype(np.uint16) + palette()[labels]) // 2
    tinted: np.ndarray = np.where((labels == 0)[..., None], rgb, mixed).astype(np.uint8)
    return tinted


def palette() -> np.ndarray:
    """VOC's colours: the bits of a class, three at a time, are the high bits of R, G and B. Shape: (256, 3) uint8."""
    number = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((number >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def _corners(box: np.ndarray) -> tuple[float, float, float, float]:
    """Half open -> the pixels that are inside, however small."""
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)
