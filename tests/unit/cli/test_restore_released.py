"""`ced restore` without a model: what comes with ced, chosen by each file's own quality and colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.core import metrics
from ced.core.images import luminance
from ced.core.spectrum import Spectrum, likeness
from ced.restoration.family import RELEASED
from tests.unit.cli.test_restore import run


@pytest.mark.parametrize("quality", [10, 20, 30])
def test_without_a_model_the_released_one_restores(tmp_path: Path, quality: int) -> None:
    """Nothing is trained first: blocks go, detail comes (the released one trades PSNR for it), colour stays."""
    original = data.coffee()[:200, :304]
    Image.fromarray(original).save(tmp_path / "cup.jpg", quality=quality)
    assert run(tmp_path / "cup.jpg", "-o", tmp_path / "cup.png") == 0
    luma = luminance(original)
    with Image.open(tmp_path / "cup.jpg") as damaged, Image.open(tmp_path / "cup.png") as restored:
        before, after = (luminance(np.asarray(image.convert("RGB"))) for image in (damaged, restored))
    first, second = metrics.measure(luma, before), metrics.measure(luma, after)
    assert second.psnr_b > first.psnr_b + 0.5
    assert second.bef < first.bef / 4
    spectra = [Spectrum.empty().update(plane) for plane in (luma, before, after)]
    assert likeness(spectra[0], spectra[2]).w1 < 0.6 * likeness(spectra[0], spectra[1]).w1


def test_the_released_one_is_chosen_by_the_images_own_quality_factor_and_colour(tmp_path: Path) -> None:
    """JPEGs in one folder, a PNG beside them: each as the restorer for it alone does."""
    (tmp_path / "in").mkdir()
    for quality in (10, 20, 50):
        Image.fromarray(data.coffee()[:64, :96]).save(tmp_path / "in" / f"{quality}.jpg", quality=quality)
        Image.fromarray(data.camera()[:64, :96]).save(tmp_path / "in" / f"gray{quality}.jpg", quality=quality)
    Image.fromarray(data.coffee()[:64, :96]).save(tmp_path / "in" / "none.png")
    assert run(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / "none.png").read_bytes() == (tmp_path / "in" / "none.png").read_bytes(), "no JPEG"
    in_colour = {"10.jpg": "rgb-q10", "20.jpg": "rgb-q20", "50.jpg": "rgb"}
    gray = {"gray10.jpg": "y-q10", "gray20.jpg": "y-q20", "gray50.jpg": "y"}
    for name, folder in (in_colour | gray).items():
        single = tmp_path / "single.png"
        assert run(tmp_path / "in" / name, "-o", single, "--model", RELEASED / folder, "--overwrite") == 0
        assert single.read_bytes() == (tmp_path / "out" / name).with_suffix(".png").read_bytes()


@pytest.mark.parametrize("how, good", [((), 70), (("--faithful",), 90)])
def test_good_images_stay_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: tuple[str, ...], good: int
) -> None:
    """What comes with ced makes them worse; whoever names a model has it for all."""
    (tmp_path / "in").mkdir()
    for quality in (good, good + 1, 95):
        Image.fromarray(data.coffee()[:64, :96]).save(tmp_path / "in" / f"{quality}.jpg", quality=quality)
    assert run(tmp_path / "in", "-o", tmp_path / "out", *how) == 0
    assert run(tmp_path / "in", "-o", tmp_path / "all", "--model", "released", *how) == 0
    for path in (tmp_path / "in").iterdir():
        good_enough = int(path.stem) > good
        restored = tmp_path / "out" / f"{path.stem}{'.jpg' if good_enough else '.png'}"
        assert (restored.read_bytes() == path.read_bytes()) == good_enough
        with Image.open(path) as before, Image.open(tmp_path / "all" / f"{path.stem}.png") as after:
            assert not np.array_equal(before, after)
    (tmp_path / "in" / "torn.jpg").write_bytes((tmp_path / "in" / "95.jpg").read_bytes()[:-1000])
    assert run(tmp_path / "in", "-o", tmp_path / "again", *how) == 2
    assert "restored 1 of 4 images" in caplog.text, "what cannot be decoded is not counted among the good ones"
    told = caplog.messages
    assert told[0].startswith("restored 1 of 3") and told[4].startswith("restored 3 of 3")
    assert told[1:4] == [
        "2 left as they are:",
        f"  in/{good + 1}.jpg: quality factor {good + 1}",
        "  in/95.jpg: quality factor 95",
    ]


@pytest.mark.parametrize("quality", [10, 20, 30, 50])
@pytest.mark.parametrize("photograph", ["coffee", "camera"])
def test_the_faithful_one_is_nearer_to_the_pixels(tmp_path: Path, photograph: str, quality: int) -> None:
    """Than the JPEG, and far nearer than the sharp ones; gray stays gray, though the network is for colour."""
    original = getattr(data, photograph)()[:200, :304]
    Image.fromarray(original).save(tmp_path / "in.jpg", quality=quality)
    assert run(tmp_path / "in.jpg", "-o", tmp_path / "sharp.png") == 0
    assert run(tmp_path / "in.jpg", "-o", tmp_path / "near.png", "--faithful") == 0
    before, sharp, near = (np.asarray(Image.open(tmp_path / name)) for name in ("in.jpg", "sharp.png", "near.png"))
    assert near.shape == original.shape
    errors = [float(np.mean((image.astype(float) - original) ** 2)) for image in (before, sharp, near)]
    assert errors[2] < 0.85 * errors[0] and errors[2] < 0.85 * errors[1]
    planes = [plane if plane.ndim == 2 else luminance(plane) for plane in (before, near)]
    assert metrics.blocking_effect_factor(planes[1]) < metrics.blocking_effect_factor(planes[0]) / 3
