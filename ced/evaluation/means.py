"""From measures of images to a row of Table 2: means and their confidence intervals."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ced.core.metrics import bef_mse_bound
from ced.core.resampling import intervals
from ced.evaluation.pool import Figures
from ced.report.model import Row

_MEASURES = ("psnr", "psnr_b", "ssim", "ssim_gaussian", "bef_mse", "lpips")


def row(key: tuple[str, int, str, str], ones: Sequence[dict[str, Any]], pooled: Figures) -> Row:
    """The row of a data set, quality factor, colour and method.

    `ones` are its rows of per_image.parquet. Means are over the images that the method restored.
    """
    done = [one for one in ones if not one["reason"]]
    measures = [name for name in _MEASURES if done and done[0][name] is not None]
    values = np.array([[one[name] for name in measures] for one in done], np.float64).reshape(len(done), len(measures))
    means = dict(zip(measures, map(float, values.mean(axis=0)), strict=True)) if done else {}
    psnr, psnr_b, ssim, ssim_gaussian, bef_mse, lpips = (means.get(name, math.nan) for name in _MEASURES)
    return Row(
        *key,
        images=len(done),
        psnr=psnr,
        psnr_b=psnr_b,
        ssim=ssim,
        bef_mse_bound=bef_mse_bound(psnr, psnr_b),
        failures=len(ones) - len(done),
        bef_mse=bef_mse,
        ssim_gaussian=ssim_gaussian,
        w1=pooled.w1,
        energy=pooled.energy,
        lpips=lpips,
        seconds_per_megapixel=_speed(done),
        intervals=(*_intervals(measures, values), *pooled.intervals) if done else (),
    )


def _intervals(measures: Sequence[str], values: np.ndarray) -> tuple[tuple[str, float, float], ...]:
    """Of each mean, and of the bound, whose draws are the same."""
    both = [measures.index(name) for name in ("psnr", "psnr_b")]

    def with_bound(means: np.ndarray) -> np.ndarray:
        bounds = [bef_mse_bound(psnr, psnr_b) for psnr, psnr_b in means[:, both]]
        return np.column_stack([means, bounds])

    ends = intervals(values, with_bound)
    return tuple((name, *pair) for name, pair in zip((*measures, "bef_mse_bound"), ends, strict=True))


def _speed(ones: Sequence[dict[str, Any]]) -> float:
    """Seconds a megapixel, over all images together; nan where the method's time is not known."""
    if not ones or any(one["seconds"] is None for one in ones):
        return math.nan
    return float(sum(one["seconds"] for one in ones) / sum(one["height"] * one["width"] for one in ones) * 1e6)
