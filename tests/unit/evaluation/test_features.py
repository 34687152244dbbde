"""Judges on the features of EfficientNet-Lite0, against plain formulas on the network's own answers."""

import numpy as np
import pytest
import torch
from skimage import data

from ced.core import jpeg
from ced.evaluation import features

CAT = data.chelsea()
PLANE = np.ascontiguousarray(CAT[:160, :300, 1])
JPEG = jpeg.decode(jpeg.encode(PLANE, 10))


def test_the_network_knows_a_cat() -> None:
    """Weights, scaling and channels are right: ImageNet's classes 281 to 285 are cats."""
    with torch.inference_mode():
        shown = torch.nn.functional.interpolate(
            features._scaled(features.shown(CAT)), (224, 224), mode="bilinear", antialias=True
        )
        assert int(features.load()(shown).argmax()) in range(281, 286)


def test_patches_lie_side_by_side() -> None:
    assert features.corners(np.zeros((300, 400))) == [(0, 0), (0, 128), (0, 256), (128, 0), (128, 128), (128, 256)]
    assert features.corners(np.zeros((127, 999))) == []
    assert len(features.corners(np.zeros((1280, 2560)))) == 29, "every seventh of 200"


def test_features_of_a_patch_are_those_of_the_patch_alone() -> None:
    plane = data.camera()[:260, :300]
    found = features.patches(plane)
    assert found.shape == (4, 1280) and found.dtype == np.float32
    assert np.array_equal(found[3], features.patches(plane[128:256, 128:256])[0])
    cut = torch.from_numpy((plane[128:256, 128:256].astype(np.float32) - 127) / 128)
    with torch.inference_mode():
        expected = features.load().extract_features(torch.stack([cut] * 3)[None]).mean((2, 3))[0]
    assert np.allclose(found[3], expected.numpy(), atol=1e-5)
    assert features.patches(plane[:100]).shape == (0, 1280)


@pytest.mark.parametrize("colour", [False, True])
def test_dists_like_is_the_plain_formula(colour: bool) -> None:
    x = CAT[:150, :170] if colour else PLANE
    y = jpeg.decode(jpeg.encode(x, 10))
    stages = [[one[0].numpy().astype(np.float64) for one in features._stages(picture)] for picture in (x, y)]
    assert [one.shape[0] for one in stages[0]] == [3, 16, 24, 40, 112, 320]
    scores = []
    for a, b in zip(*stages, strict=True):
        score = 0.0
        for p, q in zip(a, b, strict=True):
            texture = (2 * p.mean() * q.mean() + 1e-6) / (p.mean() ** 2 + q.mean() ** 2 + 1e-6)
            covariance = np.mean((p - p.mean()) * (q - q.mean()))
            score += (texture + (2 * covariance + 1e-6) / (p.var() + q.var() + 1e-6)) / 2
        scores.append(score / len(a))
    assert features.dists_like(x, y) == pytest.approx(1 - np.mean(scores), abs=1e-9)
    assert np.array_equal(
        stages[0][0], np.broadcast_to(np.atleast_3d(x).transpose(2, 0, 1) / 255, stages[0][0].shape)
    ) or (np.abs(stages[0][0] - np.atleast_3d(x).transpose(2, 0, 1) / 255).max() < 1e-6)


def test_dists_like_is_nothing_between_the_same_pictures_and_falls_with_damage() -> None:
    assert features.dists_like(PLANE, PLANE) == pytest.approx(0, abs=1e-12)
    better = jpeg.decode(jpeg.encode(PLANE, 40))
    assert 0 < features.dists_like(PLANE, better) < features.dists_like(PLANE, JPEG) < 1


def test_the_smallest_image_has_a_figure() -> None:
    tiny = PLANE[:11, :11]
    assert 0 <= features.dists_like(tiny, JPEG[:11, :11]) < 1
