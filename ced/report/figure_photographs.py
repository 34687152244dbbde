"""Figures 1, 4 and 5: regions of photographs, enlarged pixel by pixel, in several versions."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
from PIL import Image

from ced.report.canvas import Canvas
from ced.report.figure import Figure
from ced.report.groups import display_name
from ced.report.model import Picture
from ced.report.pictures import Box, busiest_rectangle, cut, png

_MARGIN, _GAP, _LABEL, _BETWEEN = 24, 12, 30, 18  # pixels; the last: between rows
_SIZE = 18  # pixels: letters
_BAND, _BAND_SHOWN = (384, 160), 768  # Figure 1: a region of so many pixels, shown so wide
_PAIR, _PAIR_SHOWN = (160, 160), 480  # Figure 4
_CELL, _CELL_SHOWN = (80, 80), 240  # Figure 5
_TRAINED = {"ced-est": "CED-EST: trained with estimates", "ced-gt": "CED-GT: trained with the truth"}


@dataclass(frozen=True, eq=False)
class _Cell:
    """One photograph of a figure."""

    label: str
    alt: str
    pixels: np.ndarray
    factor: int = 1
    frame: Box | None = None  # marked in it, in pixels of the cell

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1]) * self.factor

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0]) * self.factor


def figure_1(pictures: Sequence[Picture], crop: Box | None = None) -> Figure | None:
    """JPEG, ED and CED-GT from top to bottom, of the first picture; None where fewer than two of them are there."""
    for picture in pictures[:1]:
        cells = _crops(picture, ("jpeg", "ed", "ced-gt"), crop, _BAND, _BAND_SHOWN)
        if len(cells) > 1:
            caption = (
                f"{picture.name}: from top to bottom, {_listed(cells)}. ED is trained for the least squared error "
                "alone; CED-GT is also told the frequencies that its classifier estimates."
            )
            title = "Figure 1: one photograph, three versions"
            return _figure("figure-1", title, caption, [[cell] for cell in cells], "stacked")
    return None


def figure_4(pictures: Sequence[Picture], crop: Box | None = None) -> Figure | None:
    """CED-EST beside CED-GT, of the first picture; None where one of them is missing."""
    for picture in pictures[:1]:
        cells = _crops(picture, tuple(_TRAINED), crop, _PAIR, _PAIR_SHOWN)
        if len(cells) == 2:
            cells = [replace(cell, label=_TRAINED[name]) for cell, name in zip(cells, _TRAINED, strict=True)]
            caption = (
                f"{picture.name}, QF {picture.quality}. Both were restored with the same classifier’s estimates. "
                "Left, the encoder and decoder were trained with estimates too; right, with the target’s own "
                "coefficients."
            )
            title = "Figure 4: trained with estimated and with true coefficients"
            return _figure("figure-4", title, caption, [cells], "pair")
    return None


def figure_5(pictures: Sequence[Picture], crop: Box | None = None) -> Figure | None:
    """A row for each picture: where the region lies, and the region in every version. None without pictures."""
    rows = []
    for picture in pictures:
        labels = [label for label, _ in picture.versions]
        cells = _crops(picture, labels, crop, _CELL, _CELL_SHOWN)
        rows.append([_overview(picture, crop or busiest_rectangle(picture.original, *_CELL)), *cells])
    if not rows:
        return None
    chosen = "named by the user" if crop else "with the most detail"
    labels = list(dict.fromkeys(label for picture in pictures for label, _ in picture.versions))
    qualities = " and ".join(str(quality) for quality in dict.fromkeys(picture.quality for picture in pictures))
    caption = f"In each photograph the region {chosen}, enlarged pixel by pixel: {_named(labels)}; QF {qualities}."
    return _figure("figure-5", "Figure 5: restored regions side by side", caption, rows, "row")


def _crops(
    picture: Picture, labels: Sequence[str], crop: Box | None, region: tuple[int, int], shown: int
) -> list[_Cell]:
    # The versions that are there, cut to the region.
    left, top, right, bottom = crop or busiest_rectangle(picture.original, *region)
    factor = max(1, round(shown / max(right - left, bottom - top)))
    versions = dict(picture.versions)
    return [
        _Cell(
            _name(label, picture.quality),
            f"{picture.name}, {display_name(label)}, enlarged",
            versions[label][top:bottom, left:right],
            factor,
        )
        for label in labels
        if label in versions
    ]


def _overview(picture: Picture, box: Box) -> _Cell:
    # The whole photograph within a square, the region marked in it.
    scale = min(_CELL_SHOWN / picture.width, _CELL_SHOWN / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = np.asarray(Image.fromarray(picture.original).resize(size, Image.Resampling.LANCZOS))
    left, top, right, bottom = (round(edge * scale) for edge in box)
    name = cut(picture.name, _CELL_SHOWN, _SIZE)
    return _Cell(name, f"{picture.name}, the region marked", small, frame=(left, top, right, bottom))


def _figure(name: str, title: str, caption: str, rows: list[list[_Cell]], kind: str) -> Figure:
    canvas, y, wide = Canvas(), _MARGIN, 0
    for row in rows:
        x = _MARGIN
        for cell in row:
            canvas.words(cut(cell.label, max(cell.width, _CELL_SHOWN), _SIZE), (x, y + _LABEL - 10), _SIZE)
            canvas.photo(cell.pixels, (x, y + _LABEL), cell.factor)
            if cell.frame:
                left, top, right, bottom = cell.frame
                canvas.frame((x + left, y + _LABEL + top, x + right, y + _LABEL + bottom))
            x += max(cell.width, _CELL_SHOWN) + _GAP
        wide = max(wide, x - _GAP)
        y += _LABEL + max(cell.height for cell in row) + _BETWEEN
    size = wide + _MARGIN, y - _BETWEEN + _MARGIN
    body = "\n".join(_row(row, kind) for row in rows)
    return Figure(name, title, caption, canvas.png(size), canvas.svg(size, f"{title}. {caption}"), body)


def _row(cells: Sequence[_Cell], kind: str) -> str:
    return f'<div class="cells {kind}">{"".join(map(_item, cells))}</div>'


def _item(cell: _Cell) -> str:
    data = base64.b64encode(png(cell.pixels)).decode("ascii")
    height, width = cell.pixels.shape[:2]
    image = f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{escape(cell.alt)}">'
    mark = ""
    if cell.frame:
        left, top, right, bottom = cell.frame
        insets = top / height, 1 - right / width, 1 - bottom / height, left / width
        mark = f'<span class="mark" style="inset:{" ".join(f"{100 * inset:.2f}%" for inset in insets)}"></span>'
    enlarged = "enlarged" if cell.factor > 1 else ""
    return f'<div class="cell {enlarged}"><p>{escape(cell.label)}</p><div class="photo">{image}{mark}</div></div>'


def _name(label: str, quality: int) -> str:
    return f"{display_name(label)}, QF {quality}" if label == "jpeg" else display_name(label)


def _named(labels: Sequence[str]) -> str:
    return _and([display_name(label) for label in labels])


def _listed(cells: Sequence[_Cell]) -> str:
    return _and([cell.label for cell in cells])


def _and(labels: Sequence[str]) -> str:
    return f"{', '.join(labels[:-1])} and {labels[-1]}"
