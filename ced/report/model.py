"""What a report shows, as plain values: rows of Table 2, training curves, pictures, and figures as they are drawn."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ced.core.drawing import Box
from ced.core.spectrum import Spectrum


@dataclass(frozen=True)
class Row:
    """One line of Table 2: the means of one method over one test set at one quality factor."""

    dataset: str
    quality: int  # JPEG quality factor, 1 to 100
    colour: str  # "y": luminance; "rgb"
    method: str  # one of ced.networks.methods(), or the name of another method
    images: int  # that the means are over: those that the method restored
    psnr: float  # dB; inf where every image is restored exactly
    psnr_b: float  # dB
    ssim: float
    bef_mse_bound: float  # 10^((mean PSNR - mean PSNR-B) / 10) - 1, the lower bound of the mean BEF/MSE
    failures: int = 0  # images that the method did not restore
    bef_mse: float = math.nan  # mean over the images
    ssim_gaussian: float = math.nan
    w1: float = math.nan  # pooled over the images, as is energy: ced.core.spectrum.Likeness
    energy: float = math.nan
    lpips: float = math.nan  # nan where it was not asked for
    seconds_per_megapixel: float = math.nan  # of the method itself; nan where its images were only read
    intervals: tuple[tuple[str, float, float], ...] = ()  # (field, low, high): 95 %, bootstrap over the images

    def interval(self, field: str) -> tuple[float, float] | None:
        """The confidence interval of one of the fields, None where it has none."""
        return next(((low, high) for name, low, high in self.intervals if name == field), None)


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


@dataclass(frozen=True)
class VisionRow:
    """How well one method lets a detector and a segmenter see, over one set of images in one colour."""

    dataset: str
    colour: str  # "rgb", or "y": luminance as gray
    quality: int  # JPEG quality factor; 0 for the original
    method: str
    images: int
    map: float  # mean AP at an overlap of 0.5, VOC 2007's 11 points
    map_area: float  # the same by the area under the curve
    miou: float
    ap: dict[str, float]  # 11-point AP of each of the 20 classes; nan where the images have none
    ap_area: dict[str, float]
    iou: dict[str, float]  # of each of the 21 classes
    failures: int = 0  # images that the method did not restore


class Models(NamedTuple):
    """What looked at the images."""

    detector: str
    segmenter: str

    def note(self, where: str) -> str:
        """Who looked, and whose figures stand `where`; "" is nowhere."""
        paper = (
            f" {where}: the paper's Table 3, whose models are Faster R-CNN and FCN-8s: compare the differences between "
            "methods, not the figures."
        )
        return f"Detector {self.detector}, segmenter {self.segmenter}.{paper if where else ''}"


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a detector and a segmenter saw in one version of an image: a PNG, boxes left and classes right."""

    image: str
    colour: str  # "rgb" or "y"
    quality: int  # 0 for the original
    method: str
    png: bytes


@dataclass(frozen=True, eq=False)
class Vision:
    """Table 3 of one set of images, and drawings of some of them."""

    rows: tuple[VisionRow, ...]
    models: Models
    drawings: tuple[Drawing, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on the page."""

    title: str
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Picture, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()  # (name, value): recipe, training time, versions
    spectra: Spectra | None = None
    channels: tuple[str, ...] = ()  # of figure 6: "1-1" to "8-8"
    crop: Box | None = None  # the region of figures 1, 4 and 5
    vision: Vision | None = None


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
