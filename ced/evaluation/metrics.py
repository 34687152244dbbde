"""Every figure that an evaluation gives: one entry each, and all that follows from the entries.

The columns of per_image.parquet and pooled.parquet, means and intervals, the columns of every table and their legend,
the figures that `ced publish` may gate on, and the names in results.json and MLflow are read from here. A metric of
your own is one call, `METRICS.add(name, Metric(...))`, before anything is evaluated: `docs/extending.md`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from ced import schema
from ced.config import EvaluateConfig
from ced.core import discrepancy
from ced.core.metrics import Quality, bef_mse_bound
from ced.core.resampling import Interval
from ced.errors import ConfigError, unknown
from ced.evaluation import features, perceptual
from ced.evaluation.paper import Key, table_2, test_set
from ced.registry import Registry

Better = Literal["lower", "higher", "one", "none"]  # "one": the nearest to 1; "none": shown, but no contest


@dataclass(frozen=True)
class Row:
    """One line of Table 2 or 3: the figures of one method over one test set at one quality factor."""

    dataset: str
    quality: int  # JPEG quality factor, 1 to 100; 0 for the original, and where each file has its own
    colour: str  # "y": luminance; "rgb"
    method: str  # one of ced.config.METHODS, or the name of another method
    images: int  # that the figures are over: those that the method restored
    values: Mapping[str, float] = field(default_factory=dict)  # by metric; without those that were not measured
    failures: int = 0  # images that the method did not restore
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, bootstrap over the images
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # Table 3: figures of each class
    # By metric, how far the figure is from the best of its rivals': 95 %, the same images drawn for both. Without the
    # best itself, and where it is not known.
    from_best: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Which row it is."""
        return self.dataset, self.quality, self.colour, self.method

    def value(self, metric: str) -> float:
        """A figure; nan where it was not measured."""
        return self.values.get(metric, math.nan)


class Comparison(NamedTuple):
    """A restored plane and its original. Shape: both (H, W) uint8."""

    original: np.ndarray
    restored: np.ndarray
    quality: Quality
    pictures: tuple[np.ndarray, np.ndarray]  # the same as they are coded: these planes, or (H, W, 3) RGB


@dataclass(frozen=True)
class Together:
    """What all images of a data set have together: figures of their spectra and of their patches' features."""

    w1: float
    energy: float
    kid: float = math.nan
    kid_error: float = math.nan
    fid: float = math.nan


# Originals' and restored features, image by image -> figures (fields of `Together`), and the intervals of some.
Compare = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], tuple[dict[str, float], dict[str, Interval]]]


class PatchJudge(NamedTuple):
    """A judge of all patches of a data set together."""

    features: Callable[[np.ndarray], np.ndarray]  # (H, W) or (H, W, 3) uint8 -> (patches, any number) float32
    compare: Compare


@dataclass(frozen=True)
class Metric:
    """A figure, how it is computed and how it is shown. Exactly one of the four functions computes it."""

    name: str  # of columns, of a key of results.json, and in MLflow
    heading: str
    decimals: int  # that are shown; figures that read alike are equally good
    better: Better
    legend: str  # one sentence, plain text
    unit: str = ""
    over: str = ""  # a heading that several columns share
    per_image: Callable[[Comparison], float] | None = None  # the figure is the mean over the images
    of_means: Callable[[Mapping[str, Any]], float] | None = None  # from the means of others; Table 3: Row.classes
    of_images: Callable[[Sequence[dict[str, Any]]], float] | None = None  # from all rows of per_image.parquet
    pooled: Callable[[Together], float] | None = None  # from all images together
    paper: Mapping[Key, float] = field(default_factory=dict)  # the paper's figures; where some: in the first table
    gate: bool = False  # whether publish.gate may name it
    judge: str = ""  # the name by which `evaluate.judges` asks for it; "": always measured
    load: Callable[[], object] | None = None  # of a judge: called before any work; raises CedError
    smallest: int = 0  # pixels of a side that it takes; where it is asked for, smaller images are set aside
    patches: PatchJudge | None = None  # of a pooled judge: where its figures come from
    in_tables: bool = True  # False: a column of per_image.parquet alone
    in_latex: bool = True
    interval: bool = True  # whether its interval has a column in Markdown and in the terminal

    def __post_init__(self) -> None:
        ways = (self.per_image, self.of_means, self.of_images, self.pooled)
        if sum(way is not None for way in ways) != 1:
            raise ConfigError(f"metric {self.name!r}: give exactly one of per_image, of_means, of_images and pooled")

    def text(self, value: float) -> str:
        """The value as the paper prints it; "∞" for a perfect restoration, "–" where there is no value."""
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        return f"{self.rounded(value) + 0.0:.{self.decimals}f}"  # never "-0.000"

    def rounded(self, value: float) -> float:
        """The value with the decimals that are shown."""
        return round(value, self.decimals) if math.isfinite(value) else value

    def printed(self, row: Row) -> float | None:
        """The paper's figure for the same method and test set; None where it has none."""
        return self.paper.get((test_set(row.dataset, row.images, row.failures), row.quality, row.colour, row.method))

    def beats(self, ours: float, theirs: float) -> bool:
        """Whether the first of two figures is strictly better."""
        if self.better == "one":
            return abs(ours - 1) < abs(theirs - 1)
        return ours < theirs if self.better == "lower" else self.better == "higher" and ours > theirs


def _seconds_per_megapixel(rows: Sequence[dict[str, Any]]) -> float:
    """Over all images together; nan where the method's time is not known."""
    if not rows or any(row["seconds"] is None for row in rows):
        return math.nan
    return float(sum(row["seconds"] for row in rows) / sum(row["height"] * row["width"] for row in rows) * 1e6)


def _bound(means: Mapping[str, Any]) -> float:
    return bef_mse_bound(means["psnr"], means["psnr_b"])


def _judged(judge: Callable[[np.ndarray, np.ndarray], float], compared: Comparison) -> float:
    return judge(*compared.pictures)


# In the order of the tables' columns.
_ALL = (
    Metric("mse", "MSE", 2, "lower", "Mean squared error.", per_image=attrgetter("quality.mse"), in_tables=False),
    Metric("bef", "BEF", 2, "lower", "Blocking effect factor (equation 7).", per_image=attrgetter("quality.bef"),
           in_tables=False),
    Metric("bef_mse_bound", "BEF/MSE>", 3, "lower",
           "How much of the error is block edges: the least that the mean ratio of blocking effect to squared error "
           "can be, 10^((PSNR − PSNR-B)/10) − 1 of the means. 0 is free of blocks; lower is better.",
           of_means=_bound, paper=table_2("bef_mse_bound"), interval=False),
    Metric("psnr", "PSNR", 2, "higher",
           "Peak signal-to-noise ratio against the original, in decibels. Rewards the safe average, and so a soft "
           "picture; higher is better.",
           unit="dB", per_image=attrgetter("quality.psnr"), paper=table_2("psnr"), gate=True),
    Metric("psnr_b", "PSNR-B", 2, "higher",
           "PSNR with the blocking effect along the 8 × 8 grid added to the error; higher is better.",
           unit="dB", per_image=attrgetter("quality.psnr_b"), paper=table_2("psnr_b"), gate=True),
    Metric("ssim", "SSIM", 3, "higher",
           "Structural similarity over 8 × 8 windows; 1 is identical, higher is better.",
           per_image=attrgetter("quality.ssim"), paper=table_2("ssim"), gate=True),
    Metric("ssim_gaussian", "SSIM (G)", 4, "higher",
           "SSIM with the Gaussian window of 11 × 11 pixels that most later papers print; 1 is identical, higher is "
           "better.",
           per_image=attrgetter("quality.ssim_gaussian"), interval=False),
    Metric("w1", "W1", 3, "lower",
           "How far the restored frequencies are from the original’s: the Wasserstein distance between their "
           "distributions in units of the original’s standard deviation, the mean over the 63 channels of detail of "
           "the 8 × 8 DCT of the Laplacian. A blur has no block edges but a large W1; 0 is perfect, lower is better.",
           pooled=attrgetter("w1")),
    Metric("energy", "Energy", 3, "one",
           "How much detail there is: the mean ratio of the restored coefficients’ standard deviation to the "
           "original’s, over the same channels. 1 is right, below it the picture is softer than the original, above "
           "it harsher.",
           pooled=attrgetter("energy")),
    Metric("bef_mse", "BEF/MSE", 3, "lower",
           "The ratio of blocking effect to squared error itself, of each image, of which BEF/MSE> is the least that "
           "the mean can be; lower is better.",
           per_image=attrgetter("quality.bef_mse"), in_latex=False, interval=False),
    Metric("kid", "KID×1000", 1, "lower",
           "How far the restored patches of 128 × 128 pixels are from the originals’, all together, in the features of "
           "EfficientNet-Lite0: the unbiased squared discrepancy under the cubic kernel, in thousandths. Tells whether "
           "they look like photographs, not whether they look like these; 0 is perfect, lower is better.",
           pooled=attrgetter("kid"), judge="kid", load=features.load,
           patches=PatchJudge(features.patches, discrepancy.kid), in_latex=False, interval=False),
    Metric("kid_error", "± s.e.", 1, "none", "The standard error of KID, by the bootstrap over the images.",
           pooled=attrgetter("kid_error"), judge="kid", in_latex=False, interval=False),
    Metric("dists_like", "DISTS-like", 3, "lower",
           "1 minus the likeness of texture and structure in the features of EfficientNet-Lite0, all with equal "
           "weights: after DISTS, without its weights and its network; 0 is identical, lower is better.",
           per_image=partial(_judged, features.dists_like), judge="dists-like", load=features.load, in_latex=False,
           interval=False),
    Metric("ssimulacra2", "SSIMULACRA2", 1, "higher",
           "Structural similarity at six scales in a space of perceived colour, with weights fitted to people’s "
           "opinions of compressed pictures; 100 is identical, 10 very low quality, below 0 worse; higher is better.",
           per_image=partial(_judged, perceptual.ssimulacra2), judge="ssimulacra2", load=perceptual.load_ssimulacra2,
           in_latex=False, interval=False),
    Metric("lpips", "LPIPS", 3, "lower",
           "Distance of the features that a network for image recognition sees; 0 is identical, lower is better.",
           per_image=partial(_judged, perceptual.lpips), judge="lpips", load=partial(perceptual.load, "lpips"),
           smallest=31, in_latex=False, interval=False),
    Metric("dists", "DISTS", 3, "lower",
           "Likeness of texture and structure in the features of VGG-16, with weights fitted to people’s opinions; 0 "
           "is identical, lower is better.",
           per_image=partial(_judged, perceptual.dists), judge="dists", load=partial(perceptual.load, "dists"),
           in_latex=False, interval=False),
    Metric("fid", "FID", 1, "lower",
           "Fréchet distance of the features that Inception sees in patches of 128 × 128 pixels, all together. Biased "
           "where there are few: compare it within one test set alone; lower is better.",
           pooled=attrgetter("fid"), judge="fid", load=partial(perceptual.load, "fid"),
           patches=PatchJudge(perceptual.inception, perceptual.fid), in_latex=False, interval=False),
    Metric("seconds_per_megapixel", "s/Mpixel", 2, "none",
           "Seconds that the method itself takes for a million pixels, on the machine that measured.",
           of_images=_seconds_per_megapixel, in_latex=False, interval=False),
)  # fmt: skip

ENTRIES = {metric.name: metric for metric in _ALL}
METRICS: Registry[Metric] = Registry("metric", dict.fromkeys(ENTRIES, __name__))


def metrics() -> tuple[Metric, ...]:
    """All metrics of Table 2, in the order of its columns."""
    return tuple(METRICS.get(name) for name in METRICS.names)


def in_tables() -> tuple[Metric, ...]:
    """Those that tables and results.json have."""
    return tuple(metric for metric in metrics() if metric.in_tables)


def added() -> list[str]:
    """The names of those that do not come with ced: part of an evaluation's fingerprint."""
    return [name for name in METRICS.names if name not in ENTRIES]


def measured(config: EvaluateConfig) -> tuple[Metric, ...]:
    """What is measured of each image, or kept of it to be pooled: all that needs no asking, and the judges that are
    asked for, found to be there. Raises CedError."""
    judges = {metric.judge for metric in metrics() if metric.judge}
    for judge in config.asked:
        if judge not in judges:
            raise ConfigError(f"evaluate.judges: {unknown('judge', judge, judges)}")
    chosen = [metric for metric in metrics() if not metric.judge or metric.judge in config.asked]
    for metric in chosen:
        if metric.load:
            metric.load()
    return tuple(metric for metric in chosen if metric.per_image or metric.patches)


def gate(name: str) -> Metric:
    """The metric that publish.gate names. Raises ConfigError where there is none, or it cannot be a gate."""
    gates = {metric.name: metric for metric in metrics() if metric.gate}
    if name not in gates:
        raise ConfigError(f"publish.gate = {name!r}: use one of {', '.join(gates)}")
    return gates[name]


def per_image_schema() -> pa.Schema:
    """Of per_image.parquet: a row an image, quality factor and method. Figures are null where the method failed, and
    `reason` says why."""
    figures = [pa.field(metric.name, pa.float64()) for metric in metrics() if metric.per_image]
    return schema.per_image(
        *figures,
        pa.field("seconds", pa.float64()),  # spent in the method itself; null where it was only read from a file
    )


def pooled_schema() -> pa.Schema:
    """Of pooled.parquet, what is pooled over the images of a data set: a row a quality factor and method."""
    key = [pa.field("quality", pa.uint8(), nullable=False), pa.field("method", pa.string(), nullable=False)]
    names = [metric.name for metric in metrics() if metric.pooled]
    figures = [pa.field(f"{name}{end}", pa.float64()) for name in names for end in ("", "_low", "_high")]  # 95 %
    return pa.schema([*key, *figures], metadata=schema.METADATA)
