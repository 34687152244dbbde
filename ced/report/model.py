"""What a report shows, as plain values: rows of tables, training curves, pictures."""

from dataclasses import dataclass

import numpy as np

from ced.core.spectrum import Spectrum
from ced.evaluation.metrics import Row
from ced.vision.results import Vision


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

    model: str  # one of ced.config.MODELS
    points: tuple[dict[str, float], ...]


@dataclass(frozen=True, eq=False)
class Spectra:
    """The coefficients behind figure 6: of the originals of a test set, and of what each method made of them."""

    dataset: str
    quality: int
    versions: tuple[tuple[str, Spectrum], ...]  # "original" first


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
    crop: tuple[int, int, int, int] | None = None  # left, top, right, bottom: the region of figures 1, 4 and 5
    vision: Vision | None = None
