"""Damaged files beside their originals: which belong together, and what is said of those that do not."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from ced.config import EvaluateConfig
from ced.core import metrics
from ced.core.images import Rejected, luminance
from ced.data.sources import Photograph
from ced.errors import InputError
from ced.evaluation import pairs
from ced.evaluation.evaluate import PARTS, Fidelity, part_name
from ced.evaluation.metrics import measured, per_image_schema
from ced.evaluation.runner import measure_part
from ced.methods import find, parse

CAT = data.chelsea()[60:132, 100:204]


def save(path: Path, image: np.ndarray = CAT, **settings: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **settings)
    return path


def photograph(path: Path) -> Photograph:
    return Photograph(f"{path.parent.name}/{path.name}", str(path), "")


def test_files_of_one_name_are_a_pair_whatever_their_suffix(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a.b"):
        save(tmp_path / "original" / f"{name}.png")
        save(tmp_path / "damaged" / f"{name}.jpg")
    found = [(original.name, damaged.name) for original, damaged in pairs.find(str(tmp_path))]
    assert found == [(f"original/{name}.png", f"damaged/{name}.jpg") for name in ("a.b", "a/c", "b")]


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder original in it; give one with damaged and original"):
        pairs.find(str(tmp_path))
    save(tmp_path / "original" / "a.png")
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        save(tmp_path / "damaged" / name)
    with pytest.raises(InputError, match="damaged/b.jpg, damaged/c.jpg, damaged/d.jpg and 1 more: no partner"):
        pairs.find(str(tmp_path))
    save(tmp_path / "original" / "a.bmp")
    with pytest.raises(InputError, match="original/a.bmp and original/a.png: which one is it"):
        pairs.find(str(tmp_path))


def test_a_damaged_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "damaged" / "a.jpg", quality=37)
    damaged = pairs.read(photograph(path), CAT)
    assert (damaged.quality, damaged.stream) == (37, path.read_bytes())
    assert np.array_equal(damaged.image, np.asarray(Image.open(path)))
    gray = pairs.read(photograph(save(path, CAT[..., 1], quality=37)), CAT)
    assert gray.image.shape == CAT.shape, "methods are given RGB"


def test_what_cannot_be_compared_is_set_aside(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, settings, reason in (
        ("a.png", {}, "not a JPEG"),
        ("b.jpg", {"exif": turned}, "turned"),
        ("c.jpg", {}, "another size"),
    ):
        image = CAT[:-1] if reason == "another size" else CAT
        with pytest.raises(Rejected, match=name) as raised:
            pairs.read(photograph(save(tmp_path / "damaged" / name, image, **settings)), CAT)
        assert raised.value.reason == reason


def test_the_figures_are_those_of_the_damaged_file_against_its_original(tmp_path: Path) -> None:
    original = save(tmp_path / "original" / "a.png")
    damaged = save(tmp_path / "damaged" / "a.jpg", quality=25, subsampling=0)
    config = EvaluateConfig(methods=("jpeg", "faithful"), damage="pairs", qualities=(0,), colour="rgb")
    methods = tuple(find(parse(text), config, tmp_path) for text in config.methods)
    measurer = Fidelity("set", str(tmp_path), "rgb", "pairs", methods, 1, measured(config), per_image_schema())
    task = {"number": 0, "name": "original/a.png", "quality": 0, "part": part_name(0, 0)}
    task |= {"patches": False, "photographs": [tuple(photograph(original)), tuple(photograph(damaged))]}
    assert measure_part(measurer, task)()["reason"] == ""
    rows = pq.read_table(tmp_path / PARTS / part_name(0, 0)).to_pylist()
    given = np.asarray(Image.open(damaged))
    for row, restored in zip(rows, (given, methods[1].restore(pairs.read(photograph(damaged), CAT))), strict=True):
        expected = metrics.measure(luminance(CAT), luminance(restored))
        assert (row["quality"], row["reason"]) == (0, "")
        assert (row["psnr"], row["ssim"]) == (expected.psnr, expected.ssim)
    assert rows[1]["psnr"] > rows[0]["psnr"], "by the network for the file's own quality factor"
    kept = Image.open(io.BytesIO((tmp_path / "pictures" / "00000-q000-jpeg.png").read_bytes()))
    assert np.array_equal(np.asarray(kept), given)
