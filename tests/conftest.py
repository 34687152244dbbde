"""Settings, free ports and tiny vision models that all tests share."""

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# A shared machine is slow now and then: a property is judged by its truth, not by its time.
settings.register_profile("ced", deadline=None)
settings.load_profile("ced")

# Nothing of the user's own set-up may reach a test.
for name in ("CED_STORE", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME"):
    os.environ.pop(name, None)

PERSON, DOG = 14, 11  # places in ced.vision.objects.CLASSES; a mask has them one higher, COCO at 0 and 16


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds ports of this machine that nobody listens on, never one twice.

    They lie below those that the system gives to whoever asks for any port (and above those of Ray's workers): a server
    that starts seconds later finds its port free still, whatever other tests begin meanwhile.
    """
    ports = list(range(20_000, 32_768))
    random.SystemRandom().shuffle(ports)

    def find() -> int:
        while True:
            port = ports.pop()
            try:
                with socket.create_server(("", port)):
                    return port
            except OSError:
                continue

    return find


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real ONNX detector of the YOLOX layout, 64x64 in: each 16x16 cell of its grid is a person where it is all red,
    a dog where it is all green, and nothing else."""
    from onnx import helper

    nodes, weights = [], {}
    for number, stride in enumerate((8, 16, 32)):
        kernel, bias = np.zeros((85, 3, 1, 1), np.float32), np.full(85, -20, np.float32)
        bias[:2], bias[2:4], bias[4] = 0.5, 0, 10 if stride == 16 else -10  # centre, log size, object
        kernel[5 + 0, :, 0, 0], kernel[5 + 16, :, 0, 0] = (-0.1, -0.1, 0.1), (-0.1, 0.1, -0.1)  # blue, green, red
        weights |= {f"k{number}": kernel, f"b{number}": bias}
        nodes += [
            helper.make_node(
                "AveragePool", ["images"], [f"p{number}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            ),
            helper.make_node("Conv", [f"p{number}", f"k{number}", f"b{number}"], [f"c{number}"]),
            helper.make_node("Reshape", [f"c{number}", "flat"], [f"r{number}"]),
        ]
    weights |= {"flat": np.array([1, 85, -1]), "split": np.array([4, 81])}
    nodes += [
        helper.make_node("Concat", ["r0", "r1", "r2"], ["all"], axis=2),
        helper.make_node("Transpose", ["all"], ["rows"], perm=[0, 2, 1]),
        helper.make_node("Split", ["rows", "split"], ["place", "chances"], axis=2),
        helper.make_node("Sigmoid", ["chances"], ["sure"]),
        helper.make_node("Concat", ["place", "sure"], ["output"], axis=2),
    ]
    path = tmp_path_factory.mktemp("models") / "tiny_detector.onnx"
    return _save(path, nodes, weights, ("images", [1, 3, 64, 64]), ("output", [1, 84, 85]))


@pytest.fixture(scope="session")
def tiny_segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real ONNX segmenter with VOC's 21 classes, 64x64 in: a pixel is person where it is red, dog where green."""
    from onnx import helper

    kernel, bias = np.zeros((21, 3, 1, 1), np.float32), np.full(21, -100, np.float32)
    bias[0], bias[1 + PERSON], bias[1 + DOG] = 0, -20, -20
    kernel[1 + PERSON, :, 0, 0], kernel[1 + DOG, :, 0, 0] = (10, -5, -5), (-5, 10, -5)  # red, green, blue; normalised
    node = helper.make_node("Conv", ["image", "k", "b"], ["scores"])
    path = tmp_path_factory.mktemp("models") / "tiny_segmenter.onnx"
    weights = {"k": kernel, "b": bias}
    return _save(path, [node], weights, ("image", [1, 3, 64, 64]), ("scores", [1, 21, 64, 64]))


def _save(path: Path, nodes: list, weights: dict, taken: tuple[str, list], given: tuple[str, list]) -> Path:
    import onnx
    from onnx import helper, numpy_helper

    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (taken, given)]
    initial = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "tiny", values[:1], values[1:], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def tiny_voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of 64x48 with red persons and green dogs in a VOC folder with boxes.json; the last is seen wrongly:
    it is labelled dog where it is red."""
    import json

    from PIL import Image

    root = tmp_path_factory.mktemp("tiny") / "voc"
    for name in ("JPEGImages", "SegmentationClass"):
        (root / name).mkdir(parents=True)
    stored = {}
    scenes = [[(0, 0, PERSON)], [(16, 16, DOG)], [(32, 0, PERSON), (48, 32, DOG)], [(16, 0, DOG)]]
    for number, objects in enumerate(scenes):
        rgb, mask = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
        for x, y, kind in objects:
            red = kind == PERSON or number == 3
            rgb[y : y + 16, x : x + 16, 0 if red else 1] = 255
            mask[y : y + 16, x : x + 16] = 1 + kind
        mask[:, -1] = 255
        Image.fromarray(rgb).save(root / "JPEGImages" / f"2007_{number:06d}.png")
        Image.fromarray(mask).save(root / "SegmentationClass" / f"2007_{number:06d}.png")
        boxes = [{"class": ("dog", "person")[k == PERSON], "bbox": [x, y, x + 16, y + 16]} for x, y, k in objects]
        stored[f"2007_{number:06d}"] = {"split": "val" if number else "train", "size": [64, 48], "objects": boxes}
    (root / "boxes.json").write_text(json.dumps(stored))
    return root
