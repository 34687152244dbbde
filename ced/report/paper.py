"""The figures that the paper prints in Tables 1 and 2 (luminance; LIVE1 and BSDS500, quality factors 10 and 20)."""

from typing import NamedTuple

from ced.report.model import Row

TABLE_1 = (0.3094, 0.3169, 0.3178)  # accuracy of each stage of a classifier of three, 96 x 96 luminance
IMAGES = {"LIVE1": 29, "BSDS500": 100}  # the reference images; the images of `val`


class Printed(NamedTuple):
    """One line of Table 2 for one data set. Field names as in `Row`."""

    method: str
    bef_mse_bound: float
    psnr: float  # dB
    psnr_b: float  # dB
    ssim: float


# Names outside ced.networks.methods() are those of the paper; its asterisk: taken from the authors' own publication.
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

_PRINTED_AS = {"arcnn": "*AR-CNN", "galteri-mse": "Galteri-MSE"}  # methods of ours that the paper names otherwise


def printed(row: Row) -> Printed | None:
    """The paper's line for the same method and test set; None where the paper has no such line.

    A mean over another number of images than the paper's, or over RGB, is another quantity: None too.
    """
    name = _PRINTED_AS.get(row.method, row.method)
    for line in table(row):
        if line.method == name:
            return line
    return None


def others(row: Row) -> tuple[Printed, ...]:
    """The paper's lines of the works it compares with, on the test set of `row`."""
    ours = ("jpeg", "ed", "ced-est", "ced-gt")
    return tuple(line for line in table(row) if line.method not in ours)


def table(row: Row) -> tuple[Printed, ...]:
    """All of the paper's lines on the test set of `row`: () where it is not one of the paper's."""
    dataset = row.dataset.upper()
    if row.colour != "y" or IMAGES.get(dataset) != row.images:
        return ()
    return TABLE_2.get((dataset, row.quality), ())
