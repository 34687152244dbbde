"""The test-time path: equation 2 step by step, any size, bands, colour, formats."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from ced.config import NetworkConfig
from ced.core import jpeg
from ced.core.classes import Classes
from ced.core.images import Rejected
from ced.errors import FormatError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.base import build
from ced.models.baselines import Galteri
from ced.models.classifier import Classifier
from ced.restoration import restorer as restore
from ced.restoration.restorer import Restorer

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)


def classes() -> Classes:
    representatives = np.linspace(-3, 3, 7, dtype=np.float32) * np.arange(1, 17, dtype=np.float32)[:, None]
    return Classes(representatives[:, :-1] + 0.5, representatives, np.full((16, 7), 10, np.int64))


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """Weights large enough that every path shows in the output."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return module


def folder(path: Path, method: str, channels: int = 1) -> Path:
    torch.manual_seed(0)
    conditioned = method != "ed"
    autoencoder = weights.encode(shaken(AutoEncoder(NETWORK, channels, conditioned=conditioned)))
    classifier = weights.encode(shaken(Classifier(NETWORK, channels, 7))) if conditioned else b""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in restore.files(method, autoencoder, classifier, classes().to_json()).items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture(scope="module", params=["ed", "ced-gt"])
def restorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Restorer:
    return Restorer.load(folder(tmp_path_factory.mktemp("restorer"), request.param))


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return jpeg.decode(jpeg.encode(data.camera()[:120, :88], 10))


def test_equation_2_step_by_step(tmp_path: Path, plane: np.ndarray) -> None:
    restorer = Restorer.load(folder(tmp_path, "ced-gt"))
    assert restorer.classifier is not None
    with torch.inference_mode():
        x = torch.tensor(plane / 255.0, dtype=torch.float32)[None, None]
        estimate = restorer.classifier(x)[-1].softmax(2).argmax(2)[0].numpy()  # equation 4
        table = classes()
        q = torch.tensor(table.coefficients(estimate) / table.deviations[:, None, None])[None]
        expected = (restorer.autoencoder(x, q)[0, 0] * 255).round().clamp(0, 255).numpy().astype(np.uint8)
    assert np.array_equal(restorer.restore_planes(plane[None])[0], expected)


def test_the_estimate_matters(tmp_path: Path, plane: np.ndarray) -> None:
    one = Restorer.load(folder(tmp_path, "ced-gt"))
    assert one.mapping is not None
    mirrored = dataclasses.replace(one, mapping=type(one.mapping)(-classes().representatives, classes().deviations))
    assert not np.array_equal(one.restore_planes(plane[None]), mirrored.restore_planes(plane[None]))


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (9, 9), (64, 64), (75, 101), (101, 75)])
def test_any_size_comes_back(restorer: Restorer, shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    restored = restorer.restore_planes(plane)
    assert restored.shape == plane.shape
    assert restored.dtype == np.uint8


def test_padding_repeats_the_edge(restorer: Restorer, plane: np.ndarray) -> None:
    padded = np.pad(plane[:101, :87], ((0, 3), (0, 1)), "edge")
    assert np.array_equal(
        restorer.restore_planes(plane[None, :101, :87]), restorer.restore_planes(padded[None])[:, :101, :87]
    )


def test_bands_give_the_image_as_a_whole(
    restorer: Restorer, plane: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tall = np.concatenate([plane, plane[::-1], plane])[None]
    whole = restorer.restore_planes(tall)
    monkeypatch.setattr(restore, "TILE_PIXELS", 88 * 40)
    banded = restorer.restore_planes(tall)
    # Sums inside a convolution may be ordered otherwise for another height: at most a rounding step.
    assert np.abs(banded.astype(int) - whole).max() <= 1
    assert (banded != whole).mean() < 1e-3


@pytest.mark.parametrize(("method", "channels"), [("ed", 1), ("ced-gt", 1), ("ced-gt", 3)])
@pytest.mark.parametrize("self_ensemble", [False, True])
@settings(max_examples=4)
@given(drawn=st.data())
def test_tiles_in_both_directions_give_the_image_as_a_whole(
    exact: dict[tuple[str, int], Restorer], method: str, channels: int, self_ensemble: bool, drawn: st.DataObject
) -> None:
    """To the last pixel where no sum is rounded (double precision): whatever the size, in colour and in gray."""
    restorer = dataclasses.replace(exact[method, channels], self_ensemble=self_ensemble)
    height, width = drawn.draw(st.sampled_from([(1, 700), (700, 1), (130, 190), (203, 141), (37, 401), (300, 64)]))
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    pixels = pixels if drawn.draw(st.booleans()) else pixels[..., 0]
    through = drawn.draw(st.sampled_from(["luma", "ycbcr"]))
    grid, margin = restorer._grid, restorer._margin()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(restore, "TILE_PIXELS", 1 << 30)
        whole = restorer.restore_pixels(pixels, through)
        patched.setattr(restore, "TILE_PIXELS", drawn.draw(st.integers(1, 30_000)))
        tiled = restorer.restore_pixels(pixels, through)
        divided = list(restore.tiles((height, width), grid, margin))
    assert len(divided) > 1 or height * width < 31_000
    assert whole.shape == pixels.shape and np.array_equal(whole, tiled)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Restorer]:
    restorers = {}
    for method, channels in (("ed", 1), ("ced-gt", 1), ("ced-gt", 3)):
        one = Restorer.load(folder(tmp_path_factory.mktemp("exact"), method, channels))
        for module in (one.autoencoder, one.classifier, one.mapping):
            if module is not None:
                module.double()
        restorers[method, channels] = one
    return restorers


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([4, 8]), st.integers(0, 50), st.integers(1, 1_000_000)
)
def test_tiles_cover_the_image_once_and_are_bounded(height: int, width: int, grid: int, margin: int, most: int) -> None:
    margin *= grid
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(restore, "TILE_PIXELS", most)
        divided = list(restore.tiles((height, width), grid, margin))
    covered = np.zeros((height, width), np.uint8)
    least = 9 * margin // 4 + grid
    for (top, bottom), (left, right) in divided:
        covered[top:bottom, left:right] += 1
        assert top % grid == left % grid == 0
        seen = (min(bottom + margin, height) - max(top - margin, 0), min(right + margin, width) - max(left - margin, 0))
        assert seen[0] * seen[1] <= max(most, least**2)
    assert (covered == 1).all()


@pytest.fixture(params=["arcnn", "galteri-mse"])
def baseline(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restorer:
    """A network of other authors, from its folder; Galteri's with fewer blocks."""
    monkeypatch.setattr(Galteri, "BLOCKS", 2)
    torch.manual_seed(0)
    network = build(request.param, NETWORK, 1, 7)
    shaken(network)
    for name, content in restore.files(request.param, weights.encode(network)).items():
        (tmp_path / name).write_bytes(content)
    return Restorer.load(tmp_path)


def test_a_network_of_other_authors_restores(baseline: Restorer, plane: np.ndarray) -> None:
    with torch.inference_mode():
        x = torch.tensor(plane / 255.0, dtype=torch.float32)[None, None]
        expected = (baseline.autoencoder(x)[0, 0] * 255).round().clamp(0, 255).numpy().astype(np.uint8)
    restored = baseline.restore_planes(plane[None])[0]
    assert np.array_equal(restored, expected) and not np.array_equal(restored, plane)
    assert baseline.classifier is None and not baseline.autoencoder.training


def test_bands_of_a_network_of_other_authors(
    baseline: Restorer, plane: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tall = np.concatenate([plane, plane[::-1], plane])[None]
    whole = baseline.restore_planes(tall)
    monkeypatch.setattr(restore, "TILE_PIXELS", 88 * 40)
    banded = baseline.restore_planes(tall)
    assert np.abs(banded.astype(int) - whole).max() <= 1  # a rounding step, as above
    assert (banded != whole).mean() < 1e-3


def test_the_temperature_decides_how_q_is_read_off(tmp_path: Path, plane: np.ndarray) -> None:
    path = folder(tmp_path, "ced-gt")
    cold, warm = Restorer.load(path), Restorer.load(path, temperature=1.0)
    assert cold.classifier is not None and cold.mapping is not None and cold.temperature == 0
    with torch.inference_mode():
        x = torch.tensor(plane / 255.0, dtype=torch.float32)[None, None]
        p = cold.classifier(x)[-1].softmax(dim=2)
        q = (p * cold.mapping.table[None, :, :, None, None]).sum(dim=2)
        expected = (cold.autoencoder(x, q)[0, 0] * 255).round().clamp(0, 255).numpy().astype(int)
    restored = warm.restore_planes(plane[None])[0]
    assert np.abs(restored - expected).max() <= 1  # float32 in another order, then rounded
    assert (restored != expected).mean() < 1e-3
    assert not np.array_equal(restored, cold.restore_planes(plane[None])[0])


def test_a_restorer_is_read_off_at_its_own_temperature_unless_one_is_given(tmp_path: Path) -> None:
    path = folder(tmp_path, "ced-gt")
    weights, classifier = ((path / name).read_bytes() for name in (restore.AUTOENCODER, restore.CLASSIFIER))
    table = (path / restore.CLASSES).read_text()
    assert b"temperature" not in restore.files("ced-gt", weights, classifier, table)[restore.DESCRIPTION]
    described = restore.files("ced-gt", weights, classifier, table, 0.04)[restore.DESCRIPTION]
    (path / restore.DESCRIPTION).write_bytes(described)
    assert Restorer.load(path).temperature == 0.04
    assert Restorer.load(path, temperature=0.0).temperature == 0
    described = described.replace(f'"{restore.DIGESTS}"'.encode(), b'"none"')
    for wrong in ('"warm"', "2", "-0.1", "NaN", "null"):
        (path / restore.DESCRIPTION).write_bytes(described.replace(b"0.04", wrong.encode()))
        with pytest.raises(FormatError, match=r"restorer\.json: temperature .* is not from 0 to 1"):
            Restorer.load(path)


def unsealed(path: Path) -> Path:
    """The folder as it was made before descriptions had digests."""
    described = json.loads((path / restore.DESCRIPTION).read_text())
    del described[restore.DIGESTS]
    (path / restore.DESCRIPTION).write_text(json.dumps(described))
    return path


@pytest.mark.parametrize("name", restore.FILES)
@pytest.mark.parametrize("how", ["bit", "cut", "empty"])
def test_a_file_that_was_altered_is_named(tmp_path: Path, name: str, how: str) -> None:
    path = folder(tmp_path, "ced-gt") / name
    data = bytearray(path.read_bytes())
    place = data.index(b"ced-gt") if name == restore.DESCRIPTION else len(data) // 2
    data[place] ^= 1
    path.write_bytes({"bit": bytes(data), "cut": path.read_bytes()[:-9], "empty": b""}[how])
    with pytest.raises(FormatError, match=rf"{path}: (altered since it was made; take it again|not JSON)") as caught:
        Restorer.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_before_there_were_digests_opens_and_is_the_same(tmp_path: Path) -> None:
    for name in ("now", "before"):
        (tmp_path / name).mkdir()
        folder(tmp_path / name, "ced-gt")
    now, before = tmp_path / "now", unsealed(tmp_path / "before")
    (before / restore.DESCRIPTION).write_bytes((before / restore.DESCRIPTION).read_bytes() + b"\n")
    assert Restorer.load(before).method == "ced-gt"
    assert restore.contents(now) == restore.contents(before)


@pytest.mark.parametrize("shape", [(120, 88), (117, 83), (1, 1)])
@pytest.mark.parametrize("method", ["ed", "ced-gt"])
def test_self_ensemble_is_the_mean_over_the_flips_of_whole_blocks(
    tmp_path: Path, plane: np.ndarray, method: str, shape: tuple[int, int]
) -> None:
    one = Restorer.load(folder(tmp_path, method))
    both = Restorer.load(tmp_path, self_ensemble=True)
    height, width = shape
    cut = plane[:height, :width]
    whole = np.pad(cut, ((0, -height % 8), (0, -width % 8)), "edge")  # its flips have JPEG's blocks where it has them
    turned = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    restored = [one.restore_planes(np.ascontiguousarray(whole[None, ::v, ::h]))[0][::v, ::h] for v, h in turned]
    expected = np.mean(restored, axis=0)[:height, :width]
    # Each of the four was rounded and clipped, the mean is rounded once: half a step from the one, half from the other.
    assert np.abs(both.restore_planes(cut[None])[0] - expected).max() <= 1.0


def test_self_ensemble_in_bands(restorer: Restorer, plane: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = dataclasses.replace(restorer, self_ensemble=True)
    tall = np.concatenate([plane, plane[::-1], plane])[None]
    whole = ensemble.restore_planes(tall)
    assert not np.array_equal(whole, restorer.restore_planes(tall))
    monkeypatch.setattr(restore, "TILE_PIXELS", 88 * 44)  # 44 rows are not whole blocks
    banded = ensemble.restore_planes(tall)
    assert np.abs(banded.astype(int) - whole).max() <= 1  # a rounding step, as above
    assert (banded != whole).mean() < 1e-3


def test_a_colour_image_keeps_its_chroma(restorer: Restorer) -> None:
    image = Image.fromarray(jpeg.decode(jpeg.encode(data.chelsea(), 10)))
    restored = restorer.restore_image(image)
    assert (restored.mode, restored.size) == ("RGB", image.size)
    luma, blue, red = image.convert("YCbCr").split()
    merged = Image.merge("YCbCr", (Image.fromarray(restorer.restore_planes(np.asarray(luma)[None])[0]), blue, red))
    assert np.array_equal(np.asarray(restored), np.asarray(merged.convert("RGB")))


def test_an_rgb_model_restores_all_planes(tmp_path: Path) -> None:
    restorer = Restorer.load(folder(tmp_path, "ced-gt", channels=3))
    image = Image.fromarray(data.chelsea()[:61, :50])
    planes = np.asarray(image).transpose(2, 0, 1)
    assert np.array_equal(np.asarray(restorer.restore_image(image)).transpose(2, 0, 1), restorer.restore_planes(planes))


def test_an_rgb_model_takes_gray_as_three_equal_planes_and_answers_in_gray(tmp_path: Path) -> None:
    restorer = Restorer.load(folder(tmp_path, "ced-gt", channels=3))
    gray = Image.fromarray(data.chelsea()[:61, :50]).convert("L")
    in_colour = restorer.restore_image(gray.convert("RGB")).convert("L")
    restored = restorer.restore_image(gray)
    assert restored.mode == "L" and np.array_equal(np.asarray(restored), np.asarray(in_colour))
    assert np.array_equal(restorer.restore_pixels(np.asarray(gray)), np.asarray(in_colour))


def test_files_in_png_out(restorer: Restorer) -> None:
    stream = jpeg.encode(data.chelsea()[:61, :50], 10)
    with Image.open(io.BytesIO(restorer.restore_bytes(stream))) as image:
        assert (image.format, image.size) == ("PNG", (50, 61))
    with pytest.raises(Rejected, match="not an image"):
        restorer.restore_bytes(b"words")


def test_a_colour_profile_is_kept(restorer: Restorer) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = io.BytesIO()
    Image.fromarray(data.chelsea()[:40, :40]).save(stream, "JPEG", icc_profile=profile)
    with Image.open(io.BytesIO(restorer.restore_bytes(stream.getvalue()))) as image:
        assert image.info["icc_profile"] == profile


def test_ed_needs_no_classifier(tmp_path: Path) -> None:
    path = folder(tmp_path, "ed")
    assert sorted(p.name for p in path.iterdir()) == ["autoencoder.safetensors", "restorer.json"]
    assert Restorer.load(path).classifier is None


@pytest.mark.parametrize(
    ("name", "content", "clause"),
    [
        ("restorer.json", b"{", "not JSON"),
        ("restorer.json", b"{}", "not a restorer"),
        ("restorer.json", b'{"format": "ced-restorer", "version": 2}', "version 2, this ced reads version 1"),
        ("classes.json", b"{}", "not a class table"),
        ("classes.json", b"\xff\xfe", "not JSON"),
        ("classifier.safetensors", b"junk", "classifier.safetensors"),
        ("autoencoder.safetensors", b"", "autoencoder.safetensors"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, name: str, content: bytes, clause: str) -> None:
    path = unsealed(folder(tmp_path, "ced-gt"))
    (path / name).write_bytes(content)
    with pytest.raises(FormatError, match=clause) as refusal:
        Restorer.load(path)
    assert "\n" not in str(refusal.value)


def test_swapped_networks_are_found_out(tmp_path: Path) -> None:
    path = unsealed(folder(tmp_path, "ced-gt"))
    (path / "autoencoder.safetensors").write_bytes((path / "classifier.safetensors").read_bytes())
    with pytest.raises(FormatError, match="holds a classifier, which restores nothing"):
        Restorer.load(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="No such file"):
        Restorer.load(tmp_path / "gone")
