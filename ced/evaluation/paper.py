"""The figures that the paper prints in Tables 1, 2 and 3, and which of them stand beside a measurement of ours."""

import math
from typing import NamedTuple

TABLE_1 = (0.3094, 0.3169, 0.3178)  # accuracy of each stage of a classifier of three, 96 x 96 luminance

Key = tuple[str, int, str, str]  # of a row: test set, quality factor (0: the original), colour, method
_IMAGES = {"LIVE1": 29, "BSDS500": 100}  # the reference images; the images of `val`
# VOC 2007 labels 209 images of train for both, 213 of val, 210 of test; the paper does not say which it took.
_VOC, _LEAST = "VOC 2007", 209
_VOC_QUALITY = 10


class Printed(NamedTuple):
    """One line of Table 2 for one data set. Field names are those of metrics."""

    method: str
    bef_mse_bound: float
    psnr: float  # dB
    psnr_b: float  # dB
    ssim: float

    def figure(self, metric: str) -> float:
        """The figure of that metric; nan where the paper has none."""
        return float(getattr(self, metric, math.nan))


# Luminance. Names outside ced.config.METHODS are those of the paper; its asterisk: taken from the authors' own
# publication.
TABLE_2: dict[tuple[str, int], tuple[Printed, ...]] = {
    ("LIVE1", 10): (
        Printed("jpeg", 0.754, 27.77, 25.33, 0.791),
        Printed("*AR-CNN", 0.094, 29.13, 28.74, 0.823),
        Printed("Galteri-MSE", 0.067, 29.41, 29.13, 0.832),
        Printed("*Galteri-MSE", 0.084, 29.45, 29.10, 0.834),
        Printed("*Galteri-GAN", 0.148, 27.29, 26.69, 0.773),
        Printed("ed", 0.074, 29.40, 29.09, 0.833),
        Printed("ced-est", 0.076, 29.40, 29.08, 0.832),
        Printed("ced-gt", 0.007, 26.54, 26.51, 0.767),
    ),
    ("BSDS500", 10): (
        Printed("jpeg", 0.824, 27.58, 24.97, 0.769),
        Printed("*AR-CNN", 0.086, 28.74, 28.38, 0.796),
        Printed("Galteri-MSE", 0.089, 28.93, 28.56, 0.805),
        Printed("*Galteri-MSE", 0.102, 29.03, 28.61, 0.807),
        Printed("*Galteri-GAN", 0.178, 27.01, 26.30, 0.746),
        Printed("ed", 0.094, 28.96, 28.57, 0.806),
        Printed("ced-est", 0.094, 28.95, 28.56, 0.805),
        Printed("ced-gt", 0.007, 26.00, 25.97, 0.731),
    ),
    ("LIVE1", 20): (
        Printed("jpeg", 0.778, 30.07, 27.57, 0.868),
        Printed("*AR-CNN", 0.178, 31.40, 30.69, 0.890),
        Printed("Galteri-MSE", 0.122, 31.70, 31.20, 0.896),
        Printed("*Galteri-MSE", 0.125, 31.77, 31.26, 0.896),
        Printed("*Galteri-GAN", 0.059, 28.35, 28.10, 0.817),
        Printed("ed", 0.132, 31.68, 31.14, 0.895),
        Printed("ced-est", 0.127, 31.65, 31.13, 0.895),
        Printed("ced-gt", 0.002, 29.33, 29.32, 0.854),
    ),
    ("BSDS500", 20): (
        Printed("jpeg", 0.884, 29.72, 26.97, 0.852),
        Printed("*AR-CNN", 0.180, 30.80, 30.08, 0.868),
        Printed("Galteri-MSE", 0.180, 31.09, 30.37, 0.876),
        Printed("*Galteri-MSE", 0.180, 31.20, 30.48, 0.832),
        Printed("*Galteri-GAN", 0.740, 28.07, 27.76, 0.794),
        Printed("ed", 0.189, 31.08, 30.33, 0.875),
        Printed("ced-est", 0.180, 31.04, 30.32, 0.875),
        Printed("ced-gt", 0.009, 28.62, 28.58, 0.825),
    ),
}

# mAP (RGB), mAP (Y), mIoU (RGB), mIoU (Y) on images labelled for both; JPEG at quality factor 10.
TABLE_3: dict[str, tuple[float | None, float, float | None, float]] = {
    "jpeg": (0.359, 0.292, 0.414, 0.311),
    "sa-dct": (0.485, 0.426, 0.456, 0.363),
    "arcnn": (None, 0.429, None, 0.375),
    "galteri-mse": (0.519, 0.438, 0.462, 0.378),
    "ed": (0.525, 0.437, 0.471, 0.380),
    "ced-est": (0.526, 0.440, 0.474, 0.384),
    "ced-gt": (0.550, 0.440, 0.475, 0.389),
    "original": (0.705, 0.637, 0.631, 0.556),
}

_OURS = {"*AR-CNN": "arcnn", "Galteri-MSE": "galteri-mse"}  # lines of Table 2 that methods of ours stand for
_TRAINED_BY_THE_PAPER = ("jpeg", "ed", "ced-est", "ced-gt")


def table_2(metric: str) -> dict[Key, float]:
    """A column of Table 2, by the names of our own methods where there are such."""
    return {
        (dataset, quality, "y", _OURS.get(line.method, line.method)): getattr(line, metric)
        for (dataset, quality), lines in TABLE_2.items()
        for line in lines
    }


def table_3(first: int) -> dict[Key, float]:
    """A column of Table 3 in both colours; `first` is the place of RGB in its lines."""
    return {
        (_VOC, 0 if method == "original" else _VOC_QUALITY, colour, method): figure
        for method, line in TABLE_3.items()
        for colour, figure in zip(("rgb", "y"), line[first : first + 2], strict=True)
        if figure is not None
    }


def test_set(dataset: str, images: int, failures: int) -> str:
    """The test set of the paper that means over so many images belong to; "" where it is none of them.

    A mean over another number of images than the paper's is another quantity.
    """
    name = dataset.upper()
    if _IMAGES.get(name) == images:
        return name
    return _VOC if images >= _LEAST and not failures else ""


def other_works(test_set: str, quality: int) -> tuple[Printed, ...]:
    """The lines of Table 2 of the works that the paper compares with."""
    lines = TABLE_2.get((test_set, quality), ())
    return tuple(line for line in lines if line.method not in _TRAINED_BY_THE_PAPER)
