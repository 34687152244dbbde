"""The figures of a report: photographs in several versions, whole and enlarged; charts are in charts and spectra."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from ced.drawing import Box, captioned, fitted, grid, image, padded
from ced.report import charts, plane, spectra
from ced.report.model import Figure, Photo, Picture, Report, display_name

BLOCK = 8  # pixels: a JPEG block

_MARGIN, _GAP, _ROW_GAP = 24, 12, 18  # pixels
_LETTERS = 18  # pixels
# Regions in pixels, and how wide they are drawn.
_BAND, _BAND_WIDTH = (384, 160), 768  # Figure 1
_PAIR, _PAIR_WIDTH = (160, 160), 480  # Figure 4
_CELL, _CELL_WIDTH = (80, 80), 240  # Figure 5
_DETAIL, _DETAIL_WIDTH = 80, 320  # the comparison
_TRAINED = {"ced-est": "CED-EST: trained with estimates", "ced-gt": "CED-GT: trained with the truth"}


def figures(report: Report) -> tuple[Figure, ...]:
    """The perception-distortion plane, figures 1, 4, 5 and 6, and Table 1 as a curve: those for which the report has
    something to draw."""
    pictures, crop = report.pictures, report.crop
    drawn = (
        plane.plane(report.rows, report.blends, [label for label, _ in pictures[0].versions] if pictures else ()),
        figure_1(pictures, crop),
        figure_4(pictures, crop),
        figure_5(pictures, crop),
        spectra.figure_6(report.spectra, report.channels),
        charts.table_1(report.curves),
    )
    return tuple(figure for figure in drawn if figure is not None)


def figure_1(pictures: Sequence[Picture], crop: Box | None = None) -> Figure | None:
    """JPEG, ED and CED-GT from top to bottom, of the first picture; None where fewer than two of them are there."""
    for picture in pictures[:1]:
        photos = _crops(picture, ("jpeg", "ed", "ced-gt"), crop or busiest(picture.original, *_BAND), _BAND_WIDTH)
        if len(photos) > 1:
            caption = (
                f"{picture.name}: from top to bottom, {_enumerated([photo.caption for photo in photos])}. ED is "
                "trained for the least squared error alone; CED-GT is also told the frequencies that its classifier "
                "estimates."
            )
            title = "Figure 1: one photograph, three versions"
            return _figure("figure-1", title, caption, [[photo] for photo in photos], "stacked")
    return None


def figure_4(pictures: Sequence[Picture], crop: Box | None = None) -> Figure | None:
    """CED-EST beside CED-GT, of the first picture; None where one of them is missing."""
    for picture in pictures[:1]:
        photos = _crops(picture, tuple(_TRAINED), crop or busiest(picture.original, *_PAIR), _PAIR_WIDTH)
        if len(photos) == 2:
            photos = [replace(photo, caption=text) for photo, text in zip(photos, _TRAINED.values(), strict=True)]
            caption = (
                f"{picture.name}, QF {picture.factor}. Both were restored with the same classifier’s estimates. "
                "Left, the encoder and decoder were trained with estimates too; right, with the target’s own "
                "coefficients."
            )
            title = "Figure 4: trained with estimated and with true coefficients"
            return _figure("figure-4", title, caption, [photos], "pair")
    return None


def figure_5(pictures: Sequence[Picture], crop: Box | None = None) -> Figure | None:
    """A row for each picture: where the region lies, and the region in every version. None without pictures."""
    if not pictures:
        return None
    rows = []
    for picture in pictures:
        box = crop or busiest(picture.original, *_CELL)
        scale = min(_CELL_WIDTH / picture.width, _CELL_WIDTH / picture.height)
        name = fitted(picture.name, _CELL_WIDTH, _LETTERS)
        small, frame = _reduced(picture.original, scale, box)
        whole = Photo(name, f"{picture.name}, the region marked", small, frame=frame)
        rows.append([whole, *_crops(picture, [label for label, _ in picture.versions], box, _CELL_WIDTH)])
    region = "named by the user" if crop else "with the most detail"
    names = dict.fromkeys(display_name(label) for picture in pictures for label, _ in picture.versions)
    qualities = " and ".join(dict.fromkeys(picture.factor for picture in pictures))
    caption = (
        f"In each photograph the region {region}, enlarged pixel by pixel: {_enumerated(list(names))}; QF {qualities}."
    )
    return _figure("figure-5", "Figure 5: restored regions side by side", caption, rows, "row")


def comparison(picture: Picture, crop: Box | None = None) -> bytes:
    """A PNG: the versions side by side under their names, and below each the same region, enlarged.

    `crop` is the region; None takes the one with the most detail. Raises ValueError for a region outside the picture.
    """
    box = crop or busiest_square(picture.original, detail_side(picture))
    left, top, right, bottom = box
    if not (0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height):
        raise ValueError(f"picture {picture.name!r}: region {box} is not inside {picture.width} x {picture.height}")
    details = _crops(picture, [label for label, _ in picture.versions], box, _DETAIL_WIDTH)
    column = details[0].scale * max(right - left, bottom - top)
    scale = min(column / picture.width, 2 * column / picture.height)  # a tower stays within two squares
    wholes = []
    for photo, (_, pixels) in zip(details, picture.versions, strict=True):
        small, frame = _reduced(pixels, scale, box)
        wholes.append(captioned(image(small, frame=frame), photo.caption, _LETTERS, narrowest=column))
    return padded(grid([wholes, [image(photo.pixels, photo.scale) for photo in details]], _GAP, _GAP), _MARGIN).png()


def busiest_square(pixels: np.ndarray, side: int) -> Box:
    """The square of about `side` pixels with the most detail, as `busiest` has it; inside of small pictures."""
    shorter = min(pixels.shape[:2])
    side = min(side, shorter // BLOCK * BLOCK or shorter)
    return busiest(pixels, side, side)


def busiest(pixels: np.ndarray, width: int, height: int) -> Box:
    """The region of about `width` x `height` pixels with the most detail, on the grid of 8 x 8 blocks; the first of
    equals. It is cut to the picture where it is larger.

    The measure is the mean, over the blocks of the region, of the standard deviation inside a block: local
    variance at the scale at which JPEG loses it. One strong edge counts for little against texture.
    """
    rows, columns = (side // BLOCK for side in pixels.shape[:2])
    down, across = min(max(height // BLOCK, 1), rows), min(max(width // BLOCK, 1), columns)
    if not (down and across):  # not one whole block
        return 0, 0, min(width, pixels.shape[1]), min(height, pixels.shape[0])
    luminance = pixels.reshape(*pixels.shape[:2], -1).mean(axis=2)
    blocks = luminance[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = blocks.std(axis=(1, 3)).round(3).cumsum(axis=0).cumsum(axis=1)
    inside = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
    row, column = np.unravel_index(int(inside.round(3).argmax()), inside.shape)
    left, top = int(column) * BLOCK, int(row) * BLOCK
    return left, top, left + across * BLOCK, top + down * BLOCK


def detail_side(picture: Picture, most: int = _DETAIL) -> int:
    """How many pixels an enlarged region should span: `most`, or half the picture's shorter side, in whole blocks."""
    half = min(picture.height, picture.width) // 2
    return max(BLOCK, min(most, half) // BLOCK * BLOCK)


def _crops(picture: Picture, labels: Sequence[str], box: Box, width: int) -> list[Photo]:
    """The versions that are there, cut to the region, whose longer side is drawn about `width` pixels long."""
    left, top, right, bottom = box
    scale = max(1, round(width / max(right - left, bottom - top)))
    versions = dict(picture.versions)
    photos = []
    for label in labels:
        if label in versions:
            name = display_name(label)
            caption = f"{name}, QF {picture.factor}" if label == "jpeg" else name
            pixels = versions[label][top:bottom, left:right]
            photos.append(Photo(caption, f"{picture.name}, {name}, enlarged", pixels, scale))
    return photos


def _reduced(pixels: np.ndarray, scale: float, box: Box) -> tuple[np.ndarray, Box]:
    """A whole photograph resized smoothly, and the region in it."""
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
    left, top, right, bottom = (round(edge * scale) for edge in box)
    return small, (left, top, right, bottom)


def _figure(name: str, title: str, caption: str, rows: list[list[Photo]], arrangement: str) -> Figure:
    cells = [
        [
            captioned(image(photo.pixels, photo.scale, photo.frame), photo.caption, _LETTERS, narrowest=_CELL_WIDTH)
            for photo in row
        ]
        for row in rows
    ]
    drawing = padded(grid(cells, _GAP, _ROW_GAP), _MARGIN)
    photos = tuple(map(tuple, rows))
    return Figure(name, title, caption, drawing.png(), drawing.svg(f"{title}. {caption}"), photos, arrangement)


def _enumerated(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
