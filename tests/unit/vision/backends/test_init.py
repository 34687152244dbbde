"""Specs: which model a text names, and what it is called and identified by."""

import hashlib
from pathlib import Path

import pytest

from ced.errors import InputError
from ced.vision import backends
from ced.vision.backends import onnx


def test_files_are_loaded_by_their_suffix(tiny_detector: Path, tiny_segmenter: Path) -> None:
    assert isinstance(backends.load_detector(str(tiny_detector)), onnx.Detector)
    assert isinstance(backends.load_segmenter(str(tiny_segmenter)), onnx.Segmenter)


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
