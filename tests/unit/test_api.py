"""`from ced import Restorer`: any photograph in, a Pillow image out."""

import ast
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

import ced
from ced import CedError, Rejected, Restorer
from ced.core import jpeg
from ced.core.images import luminance
from ced.restoration.family import FAITHFUL, RELEASED, Family

PHOTOGRAPH = data.coffee()[100:164, 100:180]
STREAM = jpeg.encode(PHOTOGRAPH, 10)


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.released()


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """What the network for colour at quality factor 10 makes of it."""
    family = Family.load(RELEASED)
    member = family.member(10, "rgb")
    assert member is not None
    return family.restorer(member).restore_pixels(jpeg.decode(STREAM))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


@pytest.mark.parametrize(
    "given",
    [
        lambda path: path,
        str,
        lambda path: path.read_bytes(),
        lambda path: io.BytesIO(path.read_bytes()),
        Image.open,
    ],
    ids=["path", "text", "bytes", "file", "image"],
)
def test_a_photograph_in_any_form_is_restored_alike(
    given: Callable[[Path], ced.api.Photograph], restorer: Restorer, expected: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(STREAM)
    restored = restorer.restore(given(path))
    assert isinstance(restored, Image.Image) and restored.mode == "RGB"
    assert np.array_equal(pixels(restored), expected)


def test_an_array_that_was_a_jpeg_shows_its_quality(restorer: Restorer) -> None:
    photograph = np.asarray(Image.fromarray(data.astronaut()).reduce(2))
    decoded = jpeg.decode(jpeg.encode(photograph, 10))
    assert np.array_equal(pixels(restorer.restore(decoded)), pixels(restorer.restore(decoded, quality=10)))


def test_an_array_says_no_quality_and_is_told_one(restorer: Restorer, expected: np.ndarray) -> None:
    decoded = jpeg.decode(STREAM)
    assert np.array_equal(pixels(restorer.restore(decoded, quality=10)), expected)
    assert not np.array_equal(pixels(restorer.restore(decoded)), expected)
    with pytest.raises(CedError, match="quality 0: use a JPEG quality factor, 1 to 100"):
        restorer.restore(decoded, quality=0)


def test_gray_stays_gray(restorer: Restorer) -> None:
    stream = jpeg.encode(luminance(PHOTOGRAPH), 10)
    restored = restorer.restore(stream)
    assert restored.mode == "L"
    assert np.array_equal(pixels(restorer.restore(jpeg.decode(stream), quality=10)), pixels(restored))


def test_faithful_and_all_qualities(expected: np.ndarray) -> None:
    faithful = Restorer.released(faithful=True)
    ours = Family.load(FAITHFUL)
    assert np.array_equal(
        pixels(faithful.restore(STREAM)), pixels(Image.open(io.BytesIO(ours.restore_bytes(STREAM))))
    ) and not np.array_equal(pixels(faithful.restore(STREAM)), expected)
    good = jpeg.encode(PHOTOGRAPH, 95)
    assert np.array_equal(pixels(faithful.restore(good)), jpeg.decode(good))
    assert not np.array_equal(
        pixels(Restorer.released(all_qualities=True).restore(good)), pixels(faithful.restore(good))
    )


def test_a_folder_of_ones_own(expected: np.ndarray) -> None:
    assert np.array_equal(pixels(Restorer.load(RELEASED / "rgb-q10").restore(STREAM)), expected)
    with pytest.raises(CedError, match="no-model"):
        Restorer.load("no-model")


def test_an_image_keeps_its_alpha_and_its_profile_and_is_upright(restorer: Restorer) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(PHOTOGRAPH)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info["icc_profile"] = profile
    image.getexif()[0x0112] = 6  # turned by a quarter
    restored = restorer.restore(image, quality=10)
    assert (restored.mode, restored.size) == ("RGBA", image.size[::-1])
    turned = image.getchannel("A").transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(pixels(restored.getchannel("A")), pixels(turned))
    assert restored.info["icc_profile"] == profile
    cmyk = image.convert("RGB").convert("CMYK")
    cmyk.info["icc_profile"] = profile
    assert "icc_profile" not in restorer.restore(cmyk).info


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("missing.jpg", "missing.jpg: no such"),
        (Path(__file__).parent, "is no single photograph"),
        (3, "a int is no photograph"),
        (io.StringIO("text"), 'open it with mode "rb"'),
        (np.zeros((3, 3)), r"array of float64, shape \(3, 3\)"),
        (np.zeros((3, 3, 4), np.uint8), r"shape \(3, 3, 4\); give \(H, W\) or \(H, W, 3\) of uint8"),
        (np.zeros((0, 3), np.uint8), "shape"),
    ],
)
def test_what_is_no_photograph_is_a_mistake(given: ced.api.Photograph, line: str, restorer: Restorer) -> None:
    with pytest.raises(CedError, match=line):
        restorer.restore(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [(b"", "empty"), (b"text", "not an image"), (STREAM[: len(STREAM) // 2], "truncated")],
)
def test_a_bad_file_is_rejected_with_its_reason(given: bytes, reason: str, restorer: Restorer) -> None:
    with pytest.raises(Rejected) as rejected:
        restorer.restore(given)
    assert rejected.value.reason == reason


def test_what_is_missing_of_a_damaged_file_can_be_done_without(restorer: Restorer) -> None:
    with pytest.raises(Rejected, match="truncated"):
        restorer.restore(STREAM[:-20])
    restored = restorer.restore(STREAM[:-20], damaged=True)
    apart = np.abs(pixels(restored).astype(int) - pixels(restorer.restore(STREAM)))
    assert apart[:8, :8].max() <= 4 < apart.max()


def test_it_can_be_pickled(restorer: Restorer, expected: np.ndarray) -> None:
    assert np.array_equal(pixels(pickle.loads(pickle.dumps(restorer)).restore(STREAM)), expected)


def _decoding_processes(restorer: Restorer, answers: "multiprocessing.Queue[list[str]]") -> None:
    """The processes that this one has, once it has decoded a file."""
    restorer.restore(jpeg.encode(PHOTOGRAPH, 99))  # which is left as it is
    answers.put(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs Linux's /proc")
def test_a_fork_reads_no_answers_of_its_parent() -> None:
    restorer = Restorer.released()
    restorer.restore(jpeg.encode(PHOTOGRAPH, 99))  # its process runs
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[list[str]] = context.Queue()
    fork = context.Process(target=_decoding_processes, args=(restorer, answers))
    fork.start()
    assert len(answers.get(timeout=300)) == 1
    fork.join()


def test_the_import_of_ced_costs_nothing() -> None:
    script = "import sys, ced; print(sorted(sys.modules)); print(sorted(dir(ced)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules, names = map(ast.literal_eval, done.stdout.splitlines())
    assert not {"torch", "numpy", "PIL", "ced.api", "ced.errors"} & set(modules)
    assert set(ced.__all__) <= set(names)
    with pytest.raises(AttributeError, match="module 'ced' has no attribute 'Restore'"):
        ced.Restore  # noqa: B018
