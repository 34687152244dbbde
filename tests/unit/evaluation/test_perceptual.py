"""Judges by their own packages: what they are shown, and one line where they cannot be had."""

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import ssimulacra2
import torch
from PIL import Image
from skimage import data

from ced.core import jpeg
from ced.errors import CedError, ConfigError
from ced.evaluation import perceptual

CAT = np.ascontiguousarray(data.chelsea()[:90, :120])
MODULES = {"lpips": "lpips", "dists": "DISTS_pytorch", "fid": "pytorch_fid"}


@pytest.mark.parametrize("judge", MODULES)
def test_a_judge_is_had_or_one_line_says_what_to_do(judge: str) -> None:
    installed = importlib.util.find_spec(MODULES[judge]) is not None
    try:
        perceptual.load(judge)
    except CedError as error:
        assert f"leave out {judge}" in str(error) and "\n" not in str(error)
        if not installed:
            assert isinstance(error, ConfigError)
            assert f"No module named '{MODULES[judge]}'; `pip install" in str(error)
        return
    assert installed


def test_lpips_measures_where_it_can_be_had() -> None:
    try:
        perceptual.load("lpips")
    except CedError as error:
        pytest.skip(str(error))
    assert perceptual.lpips(CAT, CAT) == pytest.approx(0, abs=1e-6)
    assert perceptual.lpips(CAT, jpeg.decode(jpeg.encode(CAT, 5))) > 0.05


@pytest.mark.parametrize(("judge", "low", "high"), [("lpips", -1, 1), ("dists", 0, 1)])
def test_pictures_are_shown_as_three_channels_in_the_judges_range(
    judge: str, low: float, high: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def network(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        seen.extend([first, second])
        return (first - second).abs().mean()

    original = np.array([[0, 255], [51, 204]], np.uint8)
    monkeypatch.setattr(perceptual, "load", lambda name: network)
    distance = getattr(perceptual, judge)(original, np.zeros((2, 2), np.uint8))
    assert distance == pytest.approx((0 + 1 + 0.2 + 0.8) / 4 * (high - low))
    assert [tuple(one.shape) for one in seen] == [(1, 3, 2, 2)] * 2
    assert seen[0].min() == low and seen[0].max() == high
    getattr(perceptual, judge)(CAT, CAT)
    assert np.allclose(seen[2][0, 1].numpy(), CAT[..., 1] / 255 * (high - low) + low, atol=1e-6)


@pytest.mark.parametrize("colour", [False, True])
def test_ssimulacra2_is_what_the_package_says_of_the_files(colour: bool, tmp_path: Path) -> None:
    original = CAT if colour else np.ascontiguousarray(CAT[..., 1])
    restored = jpeg.decode(jpeg.encode(original, 10))
    for name, picture in (("a.png", original), ("b.png", restored)):
        Image.fromarray(picture).save(tmp_path / name)
    expected = ssimulacra2.compute_ssimulacra2_with_alpha(tmp_path / "a.png", tmp_path / "b.png")
    assert perceptual.ssimulacra2(original, restored) == expected
    assert perceptual.ssimulacra2(original, original) == pytest.approx(100)
    assert expected < 99


def test_the_frechet_distance_is_of_all_patches() -> None:
    try:
        importlib.import_module("pytorch_fid.fid_score")
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch raises the latter
        pytest.skip(f"pytorch-fid cannot be used: {error}")
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    y = 2 * x + 3
    covariance = np.cov(x, rowvar=False)
    expected = np.sum((y.mean(0) - x.mean(0)) ** 2) + np.trace(covariance)  # S + 4 S - 2 (2 S)
    figures, ends = perceptual.fid([x[:25], x[25:]], [y[:25], y[25:]])
    assert figures["fid"] == pytest.approx(expected, rel=1e-4) and ends == {}
    assert perceptual.fid([x[:1]], [y[:1]]) == ({}, {})
