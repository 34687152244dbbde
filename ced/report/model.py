"""What a report shows, as plain values: tables, training curves, pictures, and figures as they are drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ced.core.spectrum import Spectrum
from ced.drawing import Box
from ced.evaluation.metrics import Metric, Row
from ced.networks import NETWORKS

FAILED, LEVEL = "†", "≈"
LUMINANCE = "luminance"  # what the paper's Table 2 is measured on
_NAMES = {
    "original": "Original",
    "jpeg": "JPEG",
    "released": "CED-GT (released)",
    "faithful": "ED (released)",
    "sa-dct": "SA-DCT",
}


def display_name(name: str) -> str:
    """A method, model or version as the paper writes it: JPEG, ED, CED-EST, CED-GT; ED+ with self-ensemble."""
    model = name.removesuffix("+")
    if model in NETWORKS.names:
        return NETWORKS.get(model).display_name + name[len(model) :]
    return _NAMES[model] + name[len(model) :] if model in _NAMES else name


class Column(NamedTuple):
    """The figures of a metric, or its 95 % intervals with `between` their ends."""

    metric: Metric
    between: str = ""
    colour: str = ""  # Table 3: of the images

    @property
    def heading(self) -> str:
        """In text."""
        heading = f"{self.metric.heading} 95 %" if self.between else self.metric.heading
        return f"{heading} ({self.colour})" if self.colour else heading


class Cell(NamedTuple):
    """A figure as it is printed."""

    text: str
    best: bool = False
    paper: str = ""  # the paper's own figure; "" where it has none
    level: bool = False  # not the best, but not told apart from it


class Line(NamedTuple):
    """The figures of a method; `about` says of which images ("27 of 29†"), or of which quality ("QF 10")."""

    method: str
    cells: tuple[Cell, ...]
    about: str = ""
    images: str = ""

    @property
    def title(self) -> str:
        """The method, and what the line is about."""
        return f"{self.method} ({self.about})" if self.about else self.method


def factor(quality: int) -> str:
    """A quality factor as it is shown; "–" where each file has its own."""
    return str(quality) if quality else "–"


class Block(NamedTuple):
    """Lines that can be compared, of one test set at one quality factor."""

    lines: tuple[Line, ...]
    dataset: str = ""
    quality: int = 0
    colour: str = ""  # as people read it: luminance, RGB
    images: str = ""  # "29 images"

    @property
    def factor(self) -> str:
        """The quality factor as it is shown."""
        return factor(self.quality)

    @property
    def test_set(self) -> str:
        """The name, with the colour where it is another than the paper's."""
        return self.dataset if self.colour == LUMINANCE else f"{self.dataset} ({self.colour})"


@dataclass(frozen=True)
class Table:
    """Blocks of lines under headings; one block that has no name is a table of methods alone."""

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    title: str = ""
    notes: tuple[str, ...] = ()  # of methods that failed
    credit: str = ""  # whose figures these are
    named: bool = True  # whether blocks have names

    @property
    def cells(self) -> Iterator[Cell]:
        """Of all blocks."""
        return (cell for block in self.blocks for line in block.lines for cell in line.cells)

    @property
    def has_paper(self) -> bool:
        """Whether a figure of the paper stands in it."""
        return any(cell.paper for cell in self.cells)

    @property
    def has_level(self) -> bool:
        """Whether some figure cannot be told apart from the best."""
        return any(cell.level for cell in self.cells)

    @property
    def differs(self) -> bool:
        """Whether a method failed on some images: its means are then over other images than the others'."""
        return any(FAILED in line.images for block in self.blocks for line in block.lines)


@dataclass(frozen=True, eq=False)
class Picture:
    """One photograph in several versions, each (label, uint8 H x W or H x W x 3), all of one size.

    The first version is labelled "original", the second "jpeg", then one for each method.
    Raises ValueError where that does not hold.
    """

    name: str
    quality: int
    versions: tuple[tuple[str, np.ndarray], ...]

    def __post_init__(self) -> None:
        labels = [label for label, _ in self.versions]
        if labels[:2] != ["original", "jpeg"]:
            raise ValueError(f"picture {self.name!r}: versions begin with {labels[:2]}, not with original and jpeg")
        if len(set(labels)) != len(labels):
            raise ValueError(f"picture {self.name!r}: a version is there twice: {labels}")
        for label, pixels in self.versions:
            planes = pixels.shape[2:]
            if pixels.dtype != np.uint8 or pixels.ndim < 2 or planes not in ((), (3,)):
                shape = f"{pixels.dtype} {pixels.shape}"
                raise ValueError(f"picture {self.name!r}, {label}: {shape} is not uint8 H x W or H x W x 3")
            if pixels.shape[:2] != (self.height, self.width):
                raise ValueError(f"picture {self.name!r}, {label}: another size than the original")

    @property
    def factor(self) -> str:
        """The quality factor as it is shown."""
        return factor(self.quality)

    @property
    def original(self) -> np.ndarray:
        return self.versions[0][1]

    @property
    def height(self) -> int:
        return int(self.original.shape[0])

    @property
    def width(self) -> int:
        return int(self.original.shape[1])


@dataclass(frozen=True)
class Curve:
    """How one model learned: the lines of its metrics.jsonl.

    Each point has "step" and any of "loss", "learning_rate", "accuracy_stage_1".., "psnr" (dB), and the
    same names after "validation_".
    """

    model: str  # one of ced.networks.NETWORKS
    points: tuple[dict[str, float], ...]


@dataclass(frozen=True, eq=False)
class Spectra:
    """The coefficients behind figure 6: of the originals of a test set, and of what each method made of them."""

    dataset: str
    quality: int
    versions: tuple[tuple[str, Spectrum], ...]  # "original" first


class Drawing(NamedTuple):
    """What a detector and a segmenter saw in one version of an image: a PNG, boxes left and classes right."""

    image: str
    colour: str  # "rgb" or "y"
    quality: int  # 0 for the original
    method: str
    png: bytes


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on the page of Table 2."""

    title: str
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Picture, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()  # (name, value): recipe, training time, versions
    spectra: Spectra | None = None
    channels: tuple[str, ...] = ()  # of figure 6: "1-1" to "8-8"
    crop: Box | None = None  # the region of figures 1, 4 and 5
    blends: tuple[tuple[str, ...], ...] = ()  # methods from one to another, by their weights


@dataclass(frozen=True, eq=False)
class Photo:
    """One photograph of a figure."""

    caption: str
    alt: str  # what it is to those who cannot see it
    pixels: np.ndarray  # uint8 H x W or H x W x 3
    scale: int = 1  # in the figure's files each pixel is a square of so many
    frame: Box | None = None  # marked in it, in pixels


class LegendEntry(NamedTuple):
    """What a line of a chart means."""

    style: str  # CSS classes: "series-1", "series-1 validation"
    label: str
    value: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart of the page."""

    title: str  # "" for none
    svg: str  # an element, made for any width
    legend: tuple[LegendEntry, ...] = ()


@dataclass(frozen=True, eq=False)
class Figure:
    """One of the paper's figures, drawn from results of our own: as files, and as parts of the page."""

    name: str  # of its files and its place on the page: figure-5
    title: str  # Figure 5: restored regions side by side
    caption: str
    png: bytes
    svg: str  # a file of its own
    photos: tuple[tuple[Photo, ...], ...] = ()  # in rows
    arrangement: str = ""  # of a row of photos: a CSS class
    charts: tuple[Chart, ...] = ()
    legend: tuple[LegendEntry, ...] = ()  # of all charts together
