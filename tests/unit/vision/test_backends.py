"""Models by their specs: ONNX, TFLite and torchvision, and what is no model as one line with the cure."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.errors import FormatError, InputError
from ced.vision import backends
from ced.vision.backends import OnnxDetector, OnnxSegmenter, TfliteSegmenter, TorchvisionDetector, TorchvisionSegmenter
from ced.vision.backends import _needed as needed
from ced.vision.objects import CLASSES, SEGMENTS


def test_files_are_loaded_by_their_suffix(tiny_detector: Path, tiny_segmenter: Path) -> None:
    assert isinstance(backends.load_detector(str(tiny_detector)), OnnxDetector)
    assert isinstance(backends.load_segmenter(str(tiny_segmenter)), OnnxSegmenter)


@pytest.mark.parametrize(
    ("load", "spec", "message"),
    [
        (backends.load_detector, "gone.onnx", "--detector gone.onnx: no such file"),
        (
            backends.load_detector,
            "a.tflite",
            "a.tflite: name a file that ends in .onnx, or torchvision:NAME",
        ),
        (backends.load_segmenter, "gone.tflite", "--segmenter gone.tflite: no such file"),
        (backends.load_segmenter, "model.pt", "name a file that ends in .tflite or .onnx, or torchvision:NAME"),
        (backends.load_segmenter, "", "--segmenter : name a file"),
    ],
)
def test_specs_that_name_no_model_are_one_clear_line(load: object, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(spec)  # type: ignore[operator]


def test_a_file_is_known_by_its_bytes_and_called_by_its_name(tiny_detector: Path) -> None:
    assert backends.title(str(tiny_detector)) == "tiny_detector.onnx"
    assert backends.title("torchvision:fcn_resnet101") == "torchvision:fcn_resnet101"
    assert backends.content(str(tiny_detector)) == hashlib.sha256(tiny_detector.read_bytes()).hexdigest()


REAL = Path(__file__).parents[4] / "shared" / "data"
RED, GREEN = (255, 0, 0), (0, 255, 0)
Save = Callable[..., Path]


def picture(*squares: tuple[int, int, tuple[int, int, int]], size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Squares of 16x16 at (x, y) on black."""
    rgb = np.zeros((*size, 3), np.uint8)
    for x, y, colour in squares:
        rgb[y : y + 16, x : x + 16] = colour
    return rgb


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """An ONNX file that takes `taken` and gives zeros of `given`."""

    def write(taken: list, given: list[int], kind: int = 1) -> Path:
        import onnx as package
        from onnx import helper, numpy_helper

        x = helper.make_tensor_value_info("x", kind, taken)
        y = helper.make_tensor_value_info("y", package.TensorProto.FLOAT, given)
        zeros = numpy_helper.from_array(np.zeros(given, np.float32), "zeros")
        nodes = [helper.make_node("Identity", ["zeros"], ["y"])]
        graph = helper.make_graph(nodes, "zeros", [x], [y], [zeros])
        package.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx"
        )
        return tmp_path / "m.onnx"

    return write


def test_detections_are_where_the_objects_are(tiny_detector: Path) -> None:
    detector = OnnxDetector(tiny_detector)
    found = detector.detect(picture((32, 0, RED), (48, 32, GREEN)))
    seen = {(CLASSES[n], *box) for n, box in zip(found.classes, found.boxes.tolist(), strict=True)}
    assert seen == {("person", 32, 0, 48, 16), ("dog", 48, 32, 64, 48)}
    assert found.scores.min() > 0.99


def test_boxes_are_in_pixels_of_images_of_any_size(tiny_detector: Path) -> None:
    rgb = np.asarray(Image.fromarray(picture((16, 32, RED))).resize((256, 192), Image.Resampling.NEAREST))
    found = OnnxDetector(tiny_detector).detect(rgb)
    assert found.boxes[0] == pytest.approx([64, 128, 128, 192], abs=1)


def test_nothing_to_see_is_nothing_found(tiny_detector: Path) -> None:
    assert len(OnnxDetector(tiny_detector).detect(picture()).scores) == 0


@pytest.mark.parametrize("fit", ["native", "scaled"])
def test_pixels_get_their_class(tiny_segmenter: Path, fit: str) -> None:
    labels = OnnxSegmenter(tiny_segmenter, fit).segment(picture((0, 0, RED), (16, 16, GREEN)))
    expected = np.zeros((48, 64), np.uint8)
    expected[:16, :16], expected[16:32, 16:32] = SEGMENTS.index("person"), SEGMENTS.index("dog")
    assert np.array_equal(labels, expected)


def test_values_are_normalised_as_imagenets(tiny_segmenter: Path) -> None:
    """The tiny model says person where 10 (R - 0.485) / 0.229 is more than 0.8, G and B being 0: above 128.3 of 255."""
    labels = OnnxSegmenter(tiny_segmenter, "native").segment(picture((0, 0, (127, 0, 0)), (16, 0, (130, 0, 0))))
    assert (labels[:16, :16] == 0).all() and (labels[:16, 16:32] == 15).all()


def test_an_image_larger_than_the_input_is_scaled(tiny_segmenter: Path) -> None:
    rgb = np.asarray(Image.fromarray(picture((16, 16, RED))).resize((256, 192), Image.Resampling.NEAREST))
    labels = OnnxSegmenter(tiny_segmenter, "native").segment(rgb)
    assert labels.shape == (192, 256)
    assert (labels[72:120, 72:120] == 15).all() and (labels[:, 140:] == 0).all()


def test_a_segmenter_of_no_fixed_size_takes_the_image_as_it_is(save: Save) -> None:
    model = OnnxSegmenter(save([1, 3, "height", "width"], [1, 21, 4, 4]), "native")
    assert model.segment(picture(size=(30, 50))).shape == (30, 50)


@pytest.mark.parametrize("kind", [1, 2])  # float32, uint8
def test_channels_last_and_bytes_are_understood(save: Save, kind: int) -> None:
    model = OnnxSegmenter(save([1, 32, 32, 3], [1, 32, 32, 21], kind), "native")
    assert (model.segment(picture()) == 0).all()


@pytest.mark.parametrize(
    ("taken", "given", "message"),
    [
        ([1, 3, 64, 64], [1, 84, 84], "answers \\[1, 84, 84\\], a YOLOX head is \\[1, 84, 85\\]"),
        ([1, 3, 64, 64], [1, 83, 85], "answers \\[1, 83, 85\\], a YOLOX head is \\[1, 84, 85\\]"),
        ([1, 3, 64, 96], [1, 84, 85], "a YOLOX detector takes tensor"),
        ([1, 3, 50, 50], [1, 84, 85], "a YOLOX detector takes tensor"),
        ([1, 3, "h", "w"], [1, 84, 85], "a YOLOX detector takes tensor"),
    ],
)
def test_other_layouts_of_detectors_are_one_clear_line(save: Save, taken: list, given: list, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        OnnxDetector(save(taken, given))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("taken", "given", "message"),
    [
        ([1, 3, 32, 32], [1, 150, 32, 32], "an answer of shape \\(1, 150, 32, 32\\)"),
        ([1, 5, 32, 32], [1, 21, 32, 32], "a segmenter takes one RGB image"),
        ([1, 3], [1, 21, 32, 32], "a segmenter takes one RGB image"),
    ],
)
def test_other_layouts_of_segmenters_are_one_clear_line(save: Save, taken: list, given: list, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        OnnxSegmenter(save(taken, given), "native")


def test_a_head_of_vocs_own_classes_is_taken(save: Save) -> None:
    assert len(OnnxDetector(save([1, 3, 64, 64], [1, 84, 25])).detect(picture()).scores) == 0


def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"words")
    with pytest.raises(FormatError, match="bad.onnx: not an ONNX model that onnxruntime runs") as caught:
        OnnxDetector(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not REAL.is_dir(), reason="the models are not on this machine")
def test_the_real_detector_finds_a_real_monitor() -> None:
    with Image.open(REAL / "voc2007-val" / "JPEGImages" / "2007_000039.jpg") as image:
        found = OnnxDetector(REAL / "models" / "yolox_nano.onnx").detect(np.asarray(image))
    assert CLASSES[found.classes[0]] == "tvmonitor"
    assert found.boxes[0] == pytest.approx([155, 88, 344, 279], abs=8)  # as labelled


def test_what_is_there_is_given() -> None:
    assert needed("json", "json", "a.onnx") is json


def test_what_is_missing_is_named_with_the_cure() -> None:
    with pytest.raises(InputError) as caught:
        needed("no_such_module", "no-such-package", "a.onnx")
    assert str(caught.value) == ("a.onnx needs no-such-package, which is not installed; pip install 'ced[vision]'")


def test_what_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('built for another torch\\nand more')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="which does not load here \\(built for another torch\\); install it anew$"):
        needed("broken_module", "broken", "a.onnx", "install it anew")


FLOAT32, UINT8, INT32, INT64 = 0, 3, 2, 4  # TFLite's numbers of types


def brightest_channel(path: Path, kind: int = UINT8, channels: int = 3) -> Path:
    """A real TFLite file of one operation: the class of a pixel is its brightest channel, 32x32 in."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(shape: list[int], kind: int, buffer: int) -> object:
        made = schema.TensorT()
        made.shape, made.type, made.buffer, made.name = shape, kind, buffer, f"t{buffer}"
        return made

    argmax, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ARG_MAX
    argmax.opcodeIndex, argmax.inputs, argmax.outputs = 0, [0, 1], [2]
    argmax.builtinOptionsType, argmax.builtinOptions = schema.BuiltinOptions.ArgMaxOptions, schema.ArgMaxOptionsT()
    argmax.builtinOptions.outputType = INT64
    graph = schema.SubGraphT()
    graph.tensors = [tensor([1, 32, 32, channels], kind, 1), tensor([], INT32, 2), tensor([1, 32, 32], INT64, 3)]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [argmax]
    buffers = [schema.BufferT() for _ in range(4)]
    buffers[2].data = np.frombuffer(np.int32(3).tobytes(), np.uint8)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


@pytest.mark.parametrize("kind", [UINT8, FLOAT32])
def test_pixels_get_their_class_and_void_space_is_cut_off(tmp_path: Path, kind: int) -> None:
    rgb = np.zeros((20, 30, 3), np.uint8)
    rgb[..., 0] = 9
    rgb[5:9, 7:12, 2] = 200
    labels = TfliteSegmenter(brightest_channel(tmp_path / "m.tflite", kind), "native").segment(rgb)
    expected = np.zeros((20, 30), np.uint8)
    expected[5:9, 7:12] = 2
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize("fit", ["native", "scaled"])
def test_large_images_come_back_at_their_size(tmp_path: Path, fit: str) -> None:
    rgb = np.zeros((100, 70, 3), np.uint8)
    rgb[50:, :, 1] = 90
    labels = TfliteSegmenter(brightest_channel(tmp_path / "m.tflite"), fit).segment(rgb)
    assert labels.shape == (100, 70)
    assert (labels[:46] == 0).all() and (labels[54:] == 1).all()


@pytest.mark.skipif(not REAL.is_dir(), reason="the models are not on this machine")
def test_loading_says_nothing() -> None:
    """In a process of its own: LiteRT speaks only the first time."""
    path = REAL / "models" / "deeplabv3_mnv2_pascal_quant.tflite"
    script = f"from ced.vision import backends; backends.load_segmenter({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_other_inputs_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="takes uint8 \\[1, 32, 32, 5\\], a segmenter takes one RGB image"):
        TfliteSegmenter(brightest_channel(tmp_path / "m.tflite", channels=5), "native")


def test_a_file_that_is_no_tflite_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"words" * 20)
    with pytest.raises(FormatError, match="bad.tflite: not a TFLite model that LiteRT runs") as caught:
        TfliteSegmenter(tmp_path / "bad.tflite", "native")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not REAL.is_dir(), reason="the models are not on this machine")
def test_the_real_segmenter_sees_a_real_train() -> None:
    segmenter = TfliteSegmenter(REAL / "models" / "deeplabv3_mnv2_pascal_quant.tflite", "native")
    with Image.open(REAL / "voc2007-val" / "JPEGImages" / "2007_000123.jpg") as image:
        labels = segmenter.segment(np.asarray(image))
    with Image.open(REAL / "voc2007-val" / "SegmentationClass" / "2007_000123.png") as image:
        mask = np.asarray(image)
    train = SEGMENTS.index("train")
    shared, either = (
        ((labels == train) & (mask == train)),
        ((labels == train) | (mask == train)) & (mask != 255),
    )
    assert shared.sum() / either.sum() > 0.8


THERE = importlib.util.find_spec("torchvision") is not None
without = pytest.mark.skipif(THERE, reason="torchvision is installed")
needs_it = pytest.mark.skipif(not THERE, reason="torchvision is not installed")


@without
@pytest.mark.parametrize("make", [TorchvisionDetector, TorchvisionSegmenter, backends._zoo_version])
def test_without_torchvision_the_line_says_how_to_get_it(make: object) -> None:
    with pytest.raises(InputError, match="^torchvision:a_model needs torchvision, which is not installed; pip install"):
        make("a_model")  # type: ignore[operator]


@needs_it
def test_unknown_models_are_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'fasterrcnn_resnet50_fpn"):
        TorchvisionDetector("fasterrcnn_resnet50_fpn_v3")
    with pytest.raises(InputError, match="did you mean 'fcn_resnet101'"):
        TorchvisionSegmenter("fcn_resnet102")


@needs_it
def test_real_weights_where_they_can_be_had() -> None:
    from ced.errors import ServiceError

    try:
        detector, segmenter = TorchvisionDetector("fasterrcnn_resnet50_fpn_v2"), TorchvisionSegmenter("fcn_resnet101")
    except ServiceError as error:
        assert "cannot be had from https://" in str(error) and "\n" not in str(error)
        pytest.skip("the weights cannot be downloaded here")
    rgb = np.zeros((60, 90, 3), np.uint8)
    assert detector.detect(rgb).boxes.shape[1] == 4
    assert segmenter.segment(rgb).shape == (60, 90)
