"""A contact sheet of examples as PNG: original, JPEG, the map of its classes and the classes of each channel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ced.report import pictures
from ced.report.pictures import PAPER, cut

SCALE = 2  # a pixel of an example is a square of so many
MARGIN, HEAD, CAPTION = 32, 92, 26  # pixels: around the sheet, its head, and above each example
LINE, PANEL_GAP, GAP = 2, 8, 36  # pixels between the maps of a mosaic, between panels, between examples
_WIDTH = 1760  # pixels; as many examples side by side as fit
_NARROWEST = 76  # pixels: a panel has room for its name
_LEGEND = 360  # pixels: its width, at most
_NAMES = ("original", "JPEG", "classes", "by channel")
_MUTED = (118, 116, 112)
_TITLE, _TEXT, _SMALL = 22, 15, 13  # pixels: sizes of letters


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


def mosaic(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The maps of the 16 channels, enlarged: channel (u, v) in row u and column v, with thin lines between.

    Shapes: labels (16, h, w), colours (K, 3) -> (4 (h SCALE + LINE) - LINE, 4 (w SCALE + LINE) - LINE, 3) uint8.
    """
    maps = _enlarged(colours[labels], 1)
    height, width = (side + LINE for side in maps.shape[1:3])
    pixels = np.full((4 * height - LINE, 4 * width - LINE, 3), PAPER, np.uint8)
    for channel, one in enumerate(maps):
        y, x = channel // 4 * height, channel % 4 * width
        pixels[y : y + height - LINE, x : x + width - LINE] = one
    return pixels


def palette(classes: int) -> np.ndarray:
    """Colours of equal steps to the eye, dark for class 0. Shape: (classes, 3) uint8."""
    import matplotlib

    steps = np.linspace(0, 1, classes)
    colours: np.ndarray = np.rint(matplotlib.colormaps["viridis"](steps)[:, :3] * 255).astype(np.uint8)
    return colours


def sheet(title: str, tiles: Sequence[Tile], classes: int) -> bytes:
    """The sheet of at least one example; `classes` is K. The same examples give the same bytes."""
    colours = palette(classes)
    panels = [_panels(tile, colours) for tile in tiles]
    widths = [max(_NARROWEST, *(panel.shape[1] for panel in column)) for column in zip(*panels, strict=True)]
    cell = (sum(widths) + PANEL_GAP * (len(widths) - 1), CAPTION + max(p.shape[0] for row in panels for p in row))
    across = max(1, min(len(tiles), (_WIDTH - 2 * MARGIN + GAP) // (cell[0] + GAP)))
    down = -(-len(tiles) // across)
    wide = max(across * (cell[0] + GAP) - GAP, pictures.width(title, _TITLE), _LEGEND)
    canvas = Image.new("RGB", (wide + 2 * MARGIN, down * (cell[1] + GAP) - GAP + HEAD + 2 * MARGIN), PAPER)
    _head(canvas, title, None if tiles[0].labels is None else colours)
    for number, (tile, row) in enumerate(zip(tiles, panels, strict=True)):
        x = MARGIN + number % across * (cell[0] + GAP)
        y = MARGIN + HEAD + number // across * (cell[1] + GAP)
        steps = [x + sum(widths[:n]) + PANEL_GAP * n for n in range(len(widths))]
        if number < across:
            _names(canvas, steps, y - 14)
        _caption(canvas, (x, y + CAPTION - 9), tile, cell[0])
        for step, panel in zip(steps, row, strict=True):
            canvas.paste(Image.fromarray(panel), (step, y + CAPTION))
    return pictures.png(np.asarray(canvas))


def _panels(tile: Tile, colours: np.ndarray) -> list[np.ndarray]:
    panels = [_enlarged(pixels, 0) for pixels in (tile.original, tile.degraded)]
    if tile.labels is not None:
        panels += [_enlarged(colours[label_map(tile.labels)], 0), mosaic(tile.labels, colours)]
    return panels


def _enlarged(pixels: np.ndarray, axis: int) -> np.ndarray:
    """Every pixel a square; rows lie along `axis`, columns along the next."""
    return pixels.repeat(SCALE, axis).repeat(SCALE, axis + 1)


def _head(canvas: Image.Image, title: str, colours: np.ndarray | None) -> None:
    pictures.write(canvas, (MARGIN, MARGIN + 18), title, _TITLE)
    if colours is None:
        return
    side = max(2, 14 if len(colours) <= 16 else 224 // len(colours))
    y, x = MARGIN + 46, MARGIN + pictures.width("class 0", _SMALL) + 10
    pictures.write(canvas, (MARGIN, y), "class 0", _SMALL, _MUTED)
    for colour in colours:
        canvas.paste(tuple(colour.tolist()), (x, y - 12, x + side, y + 2))
        x += side
    pictures.write(canvas, (x + 10, y), str(len(colours) - 1), _SMALL, _MUTED)


def _names(canvas: Image.Image, steps: Sequence[int], y: int) -> None:
    for x, name in zip(steps, _NAMES, strict=False):  # without labels there are two panels
        pictures.write(canvas, (x, y), name, _SMALL, _MUTED)


def _caption(canvas: Image.Image, at: tuple[int, int], tile: Tile, width: int) -> None:
    facts = f"QF {tile.quality}{', flipped' if tile.flip else ''}"
    room = width - pictures.width(facts, _SMALL) - 16
    pictures.write(canvas, at, cut(tile.name, room, _TEXT), _TEXT)
    pictures.write(canvas, (at[0] + width, at[1]), facts, _SMALL, _MUTED, "rs")
