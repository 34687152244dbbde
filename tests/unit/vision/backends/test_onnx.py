"""ONNX models, really run: tiny ones whose answers are known, and the real detector where it is there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.errors import FormatError
from ced.vision.backends import onnx
from ced.vision.objects import CLASSES, SEGMENTS

REAL = Path(__file__).parents[5] / "shared" / "data"
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
    detector = onnx.Detector(tiny_detector)
    found = detector.detect(picture((32, 0, RED), (48, 32, GREEN)))
    seen = {(CLASSES[n], *box) for n, box in zip(found.classes, found.boxes.tolist(), strict=True)}
    assert seen == {("person", 32, 0, 48, 16), ("dog", 48, 32, 64, 48)}
    assert found.scores.min() > 0.99


def test_boxes_are_in_pixels_of_images_of_any_size(tiny_detector: Path) -> None:
    rgb = np.asarray(Image.fromarray(picture((16, 32, RED))).resize((256, 192), Image.Resampling.NEAREST))
    found = onnx.Detector(tiny_detector).detect(rgb)
    assert found.boxes[0] == pytest.approx([64, 128, 128, 192], abs=1)


def test_nothing_to_see_is_nothing_found(tiny_detector: Path) -> None:
    assert len(onnx.Detector(tiny_detector).detect(picture()).scores) == 0


@pytest.mark.parametrize("fit", ["native", "scaled"])
def test_pixels_get_their_class(tiny_segmenter: Path, fit: str) -> None:
    labels = onnx.Segmenter(tiny_segmenter, fit).segment(picture((0, 0, RED), (16, 16, GREEN)))
    expected = np.zeros((48, 64), np.uint8)
    expected[:16, :16], expected[16:32, 16:32] = SEGMENTS.index("person"), SEGMENTS.index("dog")
    assert np.array_equal(labels, expected)


def test_values_are_normalised_as_imagenets(tiny_segmenter: Path) -> None:
    """The tiny model says person where 10 (R - 0.485) / 0.229 is more than 0.8, G and B being 0: above 128.3 of 255."""
    labels = onnx.Segmenter(tiny_segmenter, "native").segment(picture((0, 0, (127, 0, 0)), (16, 0, (130, 0, 0))))
    assert (labels[:16, :16] == 0).all() and (labels[:16, 16:32] == 15).all()


def test_an_image_larger_than_the_input_is_scaled(tiny_segmenter: Path) -> None:
    rgb = np.asarray(Image.fromarray(picture((16, 16, RED))).resize((256, 192), Image.Resampling.NEAREST))
    labels = onnx.Segmenter(tiny_segmenter, "native").segment(rgb)
    assert labels.shape == (192, 256)
    assert (labels[72:120, 72:120] == 15).all() and (labels[:, 140:] == 0).all()


def test_a_segmenter_of_no_fixed_size_takes_the_image_as_it_is(save: Save) -> None:
    model = onnx.Segmenter(save([1, 3, "height", "width"], [1, 21, 4, 4]), "native")
    assert model.segment(picture(size=(30, 50))).shape == (30, 50)


@pytest.mark.parametrize("kind", [1, 2])  # float32, uint8
def test_channels_last_and_bytes_are_understood(save: Save, kind: int) -> None:
    model = onnx.Segmenter(save([1, 32, 32, 3], [1, 32, 32, 21], kind), "native")
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
        onnx.Detector(save(taken, given))
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
        onnx.Segmenter(save(taken, given), "native")


def test_a_head_of_vocs_own_classes_is_taken(save: Save) -> None:
    assert len(onnx.Detector(save([1, 3, 64, 64], [1, 84, 25])).detect(picture()).scores) == 0


def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"words")
    with pytest.raises(FormatError, match="bad.onnx: not an ONNX model that onnxruntime runs") as caught:
        onnx.Detector(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not REAL.is_dir(), reason="the models are not on this machine")
def test_the_real_detector_finds_a_real_monitor() -> None:
    with Image.open(REAL / "voc2007-val" / "JPEGImages" / "2007_000039.jpg") as image:
        found = onnx.Detector(REAL / "models" / "yolox_nano.onnx").detect(np.asarray(image))
    assert CLASSES[found.classes[0]] == "tvmonitor"
    assert found.boxes[0] == pytest.approx([155, 88, 344, 279], abs=8)  # as labelled
