from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.config import EvaluateConfig
from ced.core.images import luminance
from ced.core.metrics import measure
from ced.errors import ConfigError
from ced.methods import Damaged, checked, find, parse

CUP = data.coffee()[100:164, 200:280]


def test_without_its_package_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])  # nothing is installed there
    with pytest.raises(ConfigError, match="method old: package bm3d is not here; pip install bm3d"):
        find(parse("old=bm3d:1"), EvaluateConfig(), tmp_path)


@pytest.mark.parametrize("factor", ["0", "much", "-1", "nan"])
def test_the_factor_is_a_number(tmp_path: Path, factor: str) -> None:
    with pytest.raises(ConfigError, match="give a factor of the noise, as bm3d:1"):
        find(parse(f"old=bm3d:{factor}"), EvaluateConfig(), tmp_path)


def test_it_comes_nearer_to_the_original_and_leaves_chroma(tmp_path: Path) -> None:
    pytest.importorskip("bm3d", reason="its licence is not for commercial use: install it yourself")
    method = find(parse("old=bm3d:1"), EvaluateConfig(), tmp_path)
    plane = luminance(CUP)
    damaged = Damaged.of("cup", 10, plane)
    assert measure(plane, checked(method, damaged)).psnr > measure(plane, damaged.image).psnr + 0.3
    weak = find(parse("old=bm3d:0.001"), EvaluateConfig(), tmp_path)
    assert np.array_equal(checked(weak, damaged), damaged.image) and weak.content != method.content
    damaged = Damaged.of("cup", 10, CUP)
    before, after = (Image.fromarray(image).convert("YCbCr") for image in (damaged.image, checked(method, damaged)))
    for channel in ("Cb", "Cr"):
        differ = np.asarray(after.getchannel(channel)).astype(int) - np.asarray(before.getchannel(channel))
        assert np.abs(differ).mean() < 1  # RGB clips
