"""TFLite models, really run: a tiny one whose answers are known, and the real segmenter where it is there."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.errors import FormatError
from ced.vision.backends import tflite
from ced.vision.objects import SEGMENTS

REAL = Path(__file__).parents[5] / "shared" / "data"
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
    labels = tflite.Segmenter(brightest_channel(tmp_path / "m.tflite", kind), "native").segment(rgb)
    expected = np.zeros((20, 30), np.uint8)
    expected[5:9, 7:12] = 2
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize("fit", ["native", "scaled"])
def test_large_images_come_back_at_their_size(tmp_path: Path, fit: str) -> None:
    rgb = np.zeros((100, 70, 3), np.uint8)
    rgb[50:, :, 1] = 90
    labels = tflite.Segmenter(brightest_channel(tmp_path / "m.tflite"), fit).segment(rgb)
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
        tflite.Segmenter(brightest_channel(tmp_path / "m.tflite", channels=5), "native")


def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"words" * 20)
    with pytest.raises(FormatError, match="bad.tflite: not a TFLite model that LiteRT runs") as caught:
        tflite.Segmenter(tmp_path / "bad.tflite", "native")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not REAL.is_dir(), reason="the models are not on this machine")
def test_the_real_segmenter_sees_a_real_train() -> None:
    segmenter = tflite.Segmenter(REAL / "models" / "deeplabv3_mnv2_pascal_quant.tflite", "native")
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
