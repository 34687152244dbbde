"""How far two sets of features are apart: the squared maximum mean discrepancy (Gretton et al. 2012) under the cubic
polynomial kernel of the kernel inception distance, KID (Binkowski et al. 2018).

A restored patch and its original belong together, and so do the patches of one image. The mean is therefore over pairs
of patches of two different images alone: unbiased, and 0 for originals compared with themselves.
"""

from collections.abc import Sequence

import numpy as np

from ced.core.resampling import Interval, draws, percentiles

SCALE = 1000  # KID is printed in thousandths
_LEAST = 3  # images: of fewer there is no second pair to differ from the first


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(x.y / d + 1)^3 of all pairs. Shapes: (N, d), (M, d) -> (N, M) float64."""
    products = first.astype(np.float64) @ second.astype(np.float64).T
    return np.asarray((products / first.shape[1] + 1) ** 3)


def pair_sums(originals: Sequence[np.ndarray], restored: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """For each two images the sum of k(x, x') + k(y, y') - k(x, y') - k(y, x') over the pairs of their patches, x of
    the originals and y restored, and how many pairs these are; 0 for an image with itself.

    Shapes: of each image (patches, d), the same in both -> (images, images) float64, twice.
    """
    x, y = np.concatenate(list(originals)), np.concatenate(list(restored))
    counts = np.array([len(features) for features in originals])
    ends = np.cumsum(counts)
    image = np.repeat(np.arange(len(counts)), counts)
    sums = np.zeros((len(counts), len(counts)))
    for row, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
        a, b = x[start:end], y[start:end]
        columns = (kernel(a, x) + kernel(b, y) - kernel(a, y) - kernel(b, x)).sum(axis=0)
        sums[row] = np.bincount(image, columns, len(counts))
    pairs = np.outer(counts, counts).astype(np.float64)
    for matrix in (sums, pairs):
        np.fill_diagonal(matrix, 0)
    return sums, pairs


def kid(
    originals: Sequence[np.ndarray], restored: Sequence[np.ndarray]
) -> tuple[dict[str, float], dict[str, Interval]]:
    """1000 times the discrepancy ("kid"), its standard error ("kid_error") and its 95 % interval, by drawing images
    anew (`ced.core.resampling`). Nothing where fewer than two images have patches; no error of fewer than three.

    Shapes: of each image (patches, d).
    """
    kept = [number for number, features in enumerate(originals) if len(features)]
    if len(kept) < 2:
        return {}, {}
    sums, pairs = pair_sums([originals[n] for n in kept], [restored[n] for n in kept])
    figures = {"kid": float(SCALE * sums.sum() / pairs.sum())}
    if len(kept) < _LEAST:
        return figures, {}
    weights = draws(len(kept))
    totals, numbers = (((weights @ matrix) * weights).sum(axis=1) for matrix in (sums, pairs))
    drawn = SCALE * totals[numbers > 0] / numbers[numbers > 0]  # a draw of one image alone has no pair
    figures["kid_error"] = float(drawn.std(ddof=1))
    return figures, {"kid": percentiles(drawn[:, None])[0]}
