"""Networks of others: what they are given, what becomes of their answer, and what is said where one cannot be had."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy.ndimage import correlate

from ced.config import EvaluateConfig
from ced.core.images import decode_rgb, luminance
from ced.core.metrics import measure
from ced.errors import CedError
from ced.methods import Damaged, Failed, checked, find, parse
from ced.methods.network import Network, read

CONFIG = EvaluateConfig(qualities=(10, 20))
KERNEL = np.array([[0.0, 0.1037, 0.0], [0.2011, 0.3963, 0.0517], [0.0, 0.1471, 0.0553]], np.float32)  # no halves


def write_onnx(path: Path, channels: int = 3, kind: int = TensorProto.FLOAT, scale: int = 1) -> Path:
    """Each channel through KERNEL, by a padded convolution; then enlarged, each pixel repeated."""
    weights = np.zeros((channels, channels, 3, 3), np.float32)
    weights[range(channels), range(channels)] = KERNEL
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    stored = [numpy_helper.from_array(weights.astype(dtype), "w")]
    nodes = [helper.make_node("Conv", ["x", "w"], ["y" if scale > 1 else "out"], pads=[1, 1, 1, 1])]
    if scale > 1:
        stored.append(numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "scales"))
        nodes.append(helper.make_node("Resize", ["y", "", "scales"], ["out"], mode="nearest"))
    shape = ["n", channels, "h", "w"]
    given, answered = (helper.make_tensor_value_info(name, kind, shape) for name in ("x", "out"))
    graph = helper.make_graph(nodes, "net", [given], [answered], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
    return path


def write_ncnn(path: Path, padding: int, scale: int = 1) -> Path:
    """The same by ncnn: without padding the answer lacks a pixel at each side."""
    weights = np.zeros((3, 3, 3, 3), np.float32)
    weights[range(3), range(3)] = KERNEL
    path.write_text(
        "7767517\n3 3\nInput in 0 1 x\n"
        f"Convolution conv 1 1 x y 0=3 1=3 4={padding} 5=1 6={weights.size}\n"
        f"Interp up 1 1 y out 0=1 1={scale}.0 2={scale}.0\n"
    )
    path.with_suffix(".bin").write_bytes(bytes(4) + weights.tobytes() + np.zeros(3, np.float32).tobytes())
    return path


def filtered(image: np.ndarray) -> np.ndarray:
    """What these networks make of an image, by scipy; what is beyond the edges is repeated."""
    planes = image[..., None] if image.ndim == 2 else image
    answers = [correlate(planes[..., n] / 255.0, KERNEL, mode="nearest") for n in range(planes.shape[2])]
    return np.round(np.stack(answers, axis=2) * 255).clip(0, 255).astype(np.uint8).reshape(image.shape)


def found(name: str, target: Path | str, folder: Path):
    return find(parse(f"{name}=network:{target}"), CONFIG, folder)


def apart(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.abs(first.astype(int) - second).max())


def inside(image: np.ndarray) -> np.ndarray:
    """Without the edges, where a network that pads with zeros darkens the image."""
    return image[1:-1, 1:-1]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("scale", [1, 2])
def test_onnx_is_the_convolution_that_scipy_makes(
    tmp_path: Path, colour: Damaged, gray: Damaged, kind: int, scale: int
) -> None:
    """45 and 70 pixels are no multiples of 8: the rest is repeated, and cut off again."""
    method = found("net", write_onnx(tmp_path / "net.onnx", kind=kind, scale=scale), tmp_path)
    rounding = 1 if kind == TensorProto.FLOAT16 else 0  # 11 bits: 1/8 of a gray level, so that halves round otherwise
    for damaged in (colour, gray):
        restored = checked(method, Damaged(damaged.name, 10, damaged.stream, damaged.image))
        assert apart(inside(restored), inside(filtered(damaged.image))) <= rounding


def test_a_network_of_planes_restores_the_luma_of_a_colour_image(
    tmp_path: Path, colour: Damaged, gray: Damaged
) -> None:
    method = found("net", write_onnx(tmp_path / "net.onnx", channels=1), tmp_path)
    planes = Image.fromarray(colour.image).convert("YCbCr").split()
    expected = Image.merge("YCbCr", [Image.fromarray(filtered(np.asarray(planes[0]))), *planes[1:]]).convert("RGB")
    assert np.array_equal(inside(checked(method, colour)), inside(np.asarray(expected)))
    assert np.array_equal(inside(checked(method, gray)), inside(filtered(gray.image)))


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_ncnn_gets_the_pixels_that_it_loses_at_its_edges(
    tmp_path: Path, colour: Damaged, gray: Damaged, padding: int, scale: int
) -> None:
    pytest.importorskip("ncnn")
    method = found("net", write_ncnn(tmp_path / "net.param", padding, scale), tmp_path)
    assert read(tmp_path / "net.param", "net")[1:] == (3, 8, 1 - padding, scale)
    for damaged in (colour, gray):
        restored, expected = (
            checked(method, Damaged(damaged.name, 10, damaged.stream, damaged.image)),
            filtered(damaged.image),
        )
        assert apart(inside(restored), inside(expected)) <= 1  # ncnn's sums in another order
        assert padding or apart(restored, expected) <= 1, "nothing but real pixels and repeated ones"


def test_another_network_for_each_quality_factor(tmp_path: Path, gray: Damaged) -> None:
    (tmp_path / "q10.onnx").write_bytes(write_onnx(tmp_path / "net.onnx").read_bytes())
    (tmp_path / "q20.onnx").write_bytes(write_onnx(tmp_path / "net.onnx", channels=1).read_bytes())
    method = found("net", tmp_path / "q{quality}.onnx", tmp_path)
    assert method.content != found("net", tmp_path / "q10.onnx", tmp_path).content
    with pytest.raises(Failed, match="none is for quality factor 30"):
        checked(method, Damaged.of("man.png", 30, gray.image))
    (tmp_path / "q20.onnx").write_bytes((tmp_path / "q10.onnx").read_bytes())
    assert method.content != found("net", tmp_path / "q{quality}.onnx", tmp_path).content


def test_the_content_is_that_of_the_weights_too(tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    path = write_ncnn(tmp_path / "net.param", 1)
    before = found("net", path, tmp_path).content
    path.with_suffix(".bin").write_bytes(bytes(len(path.with_suffix(".bin").read_bytes())))
    assert found("net", path, tmp_path).content != before


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("net.pth", None, "give a file of .mat, .onnx, .param"),
        ("net.mat", None, "no such file; download it"),
        ("net.onnx", lambda path: path.write_bytes(b"words"), "cannot be read"),
        ("net.onnx", lambda path: write_onnx(path, channels=2), "one tensor of floats"),
        ("net.mat", lambda path: path.write_bytes(bytes(600)), "cannot be read"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    tmp_path: Path, name: str, write: Callable[[Path], object] | None, message: str
) -> None:
    if write:
        write(tmp_path / name)
    with pytest.raises(CedError, match=message) as raised:
        found("net", tmp_path / name, tmp_path)
    assert "\n" not in str(raised.value) and str(raised.value).startswith("method net: ")


def test_a_missing_package_is_one_line_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)  # as if it were not installed
    with pytest.raises(CedError, match=r"net.onnx needs a package \(.*onnxruntime.*\); pip install 'ced\[peers\]'"):
        found("net", write_onnx(tmp_path / "net.onnx"), tmp_path)


def test_values_that_are_not_finite_are_a_failure(tmp_path: Path, colour: Damaged, monkeypatch) -> None:
    method = found("net", write_onnx(tmp_path / "net.onnx"), tmp_path)
    broken = Network(lambda image: image * np.float32("nan"), 3)
    monkeypatch.setattr("ced.methods.network.read", lambda file, name: broken)
    with pytest.raises(Failed, match="not finite"):
        checked(method, colour)


DATA = Path(__file__).parents[4] / "shared" / "data"
LIVE1, WEIGHTS = DATA / "live1", DATA / "peers"
PUBLISHED = {  # on LIVE1, studio-range luminance, quality factor 10: PSNR, PSNR-B, SSIM
    "dncnn3.mat": (29.195, 28.901, 0.826),
    "arcnn-q10.mat": (28.958, 28.684, 0.822),
}


@pytest.mark.skipif(not (LIVE1.is_dir() and WEIGHTS.is_dir()), reason="LIVE1 and published weights are not here")
@pytest.mark.parametrize("file", PUBLISHED)
def test_published_weights_give_the_published_figures(file: str) -> None:
    images = sorted(LIVE1.iterdir())
    assert len(images) == 29
    method = find(parse(f"net=network:{WEIGHTS / file}"), EvaluateConfig(), WEIGHTS)
    figures = []
    for path in images:
        plane = luminance(decode_rgb(path.read_bytes()))
        measured = measure(plane, checked(method, Damaged.of(path.name, 10, plane)))
        figures.append((measured.psnr, measured.psnr_b, measured.ssim))
    assert np.abs(np.mean(figures, axis=0) - PUBLISHED[file]).max() < 0.01
