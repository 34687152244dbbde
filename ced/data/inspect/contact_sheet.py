"""A contact sheet of examples as PNG: original, JPEG, the map of its classes and the classes of each channel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ced.drawing import MUTED, Layout, captioned, grid, image, padded, text

SCALE = 2  # a pixel of an example is a square of so many
MARGIN = 32  # pixels: around the sheet
LINE, PANEL_GAP, GAP = 2, 8, 36  # pixels between the maps of a mosaic, between panels, between examples
_WIDTH = 1760  # pixels; as many examples side by side as fit
_NAMES = ("original", "JPEG", "classes", "by channel")
_TITLE, _TEXT, _SMALL = 22, 15, 13  # pixels: sizes of letters
_BAR, _BAR_WIDTH = 14, 224  # pixels: the height of the legend's colours, and their width, at most


@dataclass(frozen=True)
class Tile:
    """One example: planes H x W or H x W x 3 uint8, its classes (16 x H/4 x W/4 uint8) where it is labelled."""

    name: str
    quality: int
    flip: bool
    original: np.ndarray
    degraded: np.ndarray
    labels: np.ndarray | None = None


def label_map(labels: np.ndarray) -> np.ndarray:
    """Every class at its place: that of coefficient (u, v) of patch (i, j) at pixel (4i+u, 4j+v).

    Shape: (16, h, w) -> (4h, 4w).
    """
    _, height, width = labels.shape
    return labels.reshape(4, 4, height, width).transpose(2, 0, 3, 1).reshape(4 * height, 4 * width)


def mosaic(labels: np.ndarray, colours: np.ndarray) -> Layout:
    """The maps of the 16 channels, enlarged: channel (u, v) in row u and column v, with thin lines between.

    Shapes: labels (16, h, w), colours (K, 3) uint8.
    """
    maps = [image(colours[channel], SCALE) for channel in labels]
    return grid([maps[first : first + 4] for first in range(0, 16, 4)], LINE, LINE)


def palette(classes: int) -> np.ndarray:
    """Colours of equal steps to the eye, dark for class 0. Shape: (classes, 3) uint8."""
    import matplotlib

    steps = np.linspace(0, 1, classes)
    colours: np.ndarray = np.rint(matplotlib.colormaps["viridis"](steps)[:, :3] * 255).astype(np.uint8)
    return colours


def sheet(title: str, tiles: Sequence[Tile], classes: int) -> bytes:
    """The sheet of at least one example; `classes` is K. The same examples give the same bytes."""
    colours = palette(classes)
    drawn = [_example(tile, colours) for tile in tiles]
    across = max(1, (_WIDTH - 2 * MARGIN + GAP) // (max(example.width for example in drawn) + GAP))
    rows = [drawn[first : first + across] for first in range(0, len(drawn), across)]
    parts = [text(title, _TITLE), *([_legend(colours)] if tiles[0].labels is not None else []), grid(rows, GAP, GAP)]
    return padded(grid([[part] for part in parts], row_gap=14), MARGIN).png()


def _example(tile: Tile, colours: np.ndarray) -> Layout:
    panels = [image(tile.original, SCALE), image(tile.degraded, SCALE)]
    if tile.labels is not None:
        panels += [image(colours[label_map(tile.labels)], SCALE), mosaic(tile.labels, colours)]
    names = [text(name, _SMALL, MUTED) for name in _NAMES[: len(panels)]]
    facts = f"QF {tile.quality}{', flipped' if tile.flip else ''}"
    return captioned(grid([names, panels], PANEL_GAP), tile.name, _TEXT, facts)


def _legend(colours: np.ndarray) -> Layout:
    side = max(2, min(_BAR, _BAR_WIDTH // len(colours)))
    bar = image(colours[None].repeat(_BAR, 0).repeat(side, 1))
    first, last = text("class 0", _SMALL, MUTED), text(str(len(colours) - 1), _SMALL, MUTED)
    lowered = grid([[Layout(0, 3)], [bar]])  # the middle of the letters is its own
    return grid([[first, lowered, last]], gap=10)
