"""Detectors and segmenters that others have trained: ONNX by onnxruntime, TFLite by LiteRT, or torchvision's.

A spec is the path of an ONNX detector of the YOLOX layout, of an ONNX or TFLite segmenter, or `torchvision:NAME`. Files
run on one core, since Ray runs one task a core; torchvision downloads its weights at the first use. Each runtime is a
package that only `ced evaluate-vision` needs, imported where a model of its kind is loaded.
"""

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from ced.errors import FormatError, InputError, ServiceError, first_line, unknown
from ced.store.outputs import sha256
from ced.vision import layouts, objects
from ced.vision.objects import Detections

_ZOO = "torchvision:"
_CURE = "pip install 'ced[vision]'"
_ZOO_CURE = "pip install torchvision, in the version that goes with the torch that is installed"
_RENAMED = {"__background__": "background"}  # of torchvision's categories
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, what torchvision's exports expect
_OTHER_COLUMNS = 5  # of a YOLOX head: x, y, width, height, object
_CATEGORIES = {len(objects.COCO): objects.COCO, len(objects.CLASSES): objects.CLASSES}


class Detector(Protocol):
    """Finds objects."""

    def detect(self, rgb: np.ndarray) -> Detections:
        """Boxes in pixels of the image. Shape: (H, W, 3) uint8."""


class Segmenter(Protocol):
    """Finds the class of each pixel."""

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """The index of each pixel's class in ced.vision.objects.SEGMENTS. Shape: (H, W, 3) uint8 -> (H, W) uint8."""


def load_detector(spec: str) -> Detector:
    """Raises InputError where there is no such model or its package is missing, FormatError for another layout."""
    if spec.startswith(_ZOO):
        return TorchvisionDetector(spec.removeprefix(_ZOO))
    return OnnxDetector(_file(spec, "--detector", (".onnx",)))


def load_segmenter(spec: str, fit: str = "native") -> Segmenter:
    """`fit` (ced.vision.layouts): how images lie in the input of a file's model; torchvision's scale as trained.

    Raises InputError where there is no such model or its package is missing, FormatError for another layout.
    """
    if spec.startswith(_ZOO):
        return TorchvisionSegmenter(spec.removeprefix(_ZOO))
    path = _file(spec, "--segmenter", (".tflite", ".onnx"))
    return TfliteSegmenter(path, fit) if path.suffix == ".tflite" else OnnxSegmenter(path, fit)


def title(spec: str) -> str:
    """What a model is called in tables."""
    return spec if spec.startswith(_ZOO) else Path(spec).name


def content(spec: str) -> str:
    """A digest of the model: of its file, or of the name and version of its weights."""
    return _zoo_version(spec.removeprefix(_ZOO)) if spec.startswith(_ZOO) else sha256(Path(spec))


def _file(spec: str, option: str, suffixes: tuple[str, ...]) -> Path:
    path = Path(spec)
    if path.suffix not in suffixes:
        raise InputError(f"{option} {spec}: name a file that ends in {' or '.join(suffixes)}, or torchvision:NAME")
    if not path.is_file():
        raise InputError(f"{option} {spec}: no such file")
    return path


class OnnxDetector:
    """A detector of the YOLOX layout (ced.vision.layouts) with COCO's 80 classes or VOC's 20."""

    def __init__(self, path: Path):
        self._session = _open_onnx(path)
        self._side = _side(self._session, path)
        head = self._run(np.zeros((1, 3, self._side, self._side), np.float32))
        cells = layouts.cells(self._side)
        categories = _CATEGORIES.get(head.shape[-1] - _OTHER_COLUMNS) if head.shape[:-1] == (1, cells) else None
        if categories is None:
            raise FormatError(
                f"{path}: answers {list(head.shape)}, a YOLOX head is [1, {cells}, 85] (COCO) or 25 (VOC)"
            )
        self._columns = objects.columns(categories)

    def detect(self, rgb: np.ndarray) -> Detections:
        """Boxes in pixels of the image, the surest first. Shape: (H, W, 3) uint8."""
        taken, scale = layouts.detector_input(rgb, self._side)
        head = self._run(taken)[0]
        return layouts.detections(head, self._side, scale, self._columns, (rgb.shape[0], rgb.shape[1]))

    def _run(self, taken: np.ndarray) -> np.ndarray:
        head: np.ndarray = self._session.run(None, {self._session.get_inputs()[0].name: taken})[0]
        return head


class _FileSegmenter:
    """What segmenters in files share: the image lies in their input as `fit` says (ced.vision.layouts)."""

    def __init__(self, path: Path, fit: str, size: layouts.Size | None):
        self._path, self._fit, self._size = path, fit, size
        self.segment(np.zeros((*(size or (64, 64)), 3), np.uint8))  # so that another layout is found out now

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """The class of each pixel. Shape: (H, W, 3) uint8 -> (H, W) uint8."""
        canvas, taken = layouts.letterbox(rgb, self._size, self._fit)
        try:
            classes = layouts.class_map(self._answer(canvas), (canvas.shape[0], canvas.shape[1]))
        except ValueError as error:
            raise FormatError(f"{self._path}: {error}") from error
        return layouts.unletterbox(classes, taken, (rgb.shape[0], rgb.shape[1]))

    def _answer(self, canvas: np.ndarray) -> np.ndarray:
        """Classes or scores. Shape: (H, W, 3) uint8 -> as `layouts.class_map` takes them."""
        raise NotImplementedError


class OnnxSegmenter(_FileSegmenter):
    """A segmenter with VOC's 21 classes: input NCHW or NHWC, uint8 in 0..255 or float32 normalised as ImageNet."""

    def __init__(self, path: Path, fit: str):
        self._session = _open_onnx(path)
        taken = self._session.get_inputs()[0]
        shape = [side if isinstance(side, int) else None for side in taken.shape]
        if len(shape) != 4 or 3 not in (shape[1], shape[3]) or taken.type not in ("tensor(uint8)", "tensor(float)"):
            raise FormatError(f"{path}: takes {taken.type} {taken.shape}, a segmenter takes one RGB image")
        self._name, self._float, self._planes_first = taken.name, taken.type == "tensor(float)", shape[1] == 3
        height, width = shape[2:] if self._planes_first else shape[1:3]
        super().__init__(path, fit, (height, width) if height and width else None)

    def _answer(self, canvas: np.ndarray) -> np.ndarray:
        x = ((canvas / 255 - _MEAN) / _DEVIATION).astype(np.float32) if self._float else canvas
        x = x.transpose(2, 0, 1) if self._planes_first else x
        answer: np.ndarray = self._session.run(None, {self._name: np.ascontiguousarray(x[None])})[0]
        return answer


def _open_onnx(path: Path) -> Any:
    runtime = _needed("onnxruntime", "onnxruntime", path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FormatError(f"{path}: not an ONNX model that onnxruntime runs ({first_line(error)})") from error


def _side(session: Any, path: Path) -> int:
    taken = session.get_inputs()[0]
    shape = taken.shape
    square = len(shape) == 4 and shape[1] == 3 and isinstance(shape[2], int) and shape[2] == shape[3]
    if not square or shape[2] % layouts.STRIDES[-1] or taken.type != "tensor(float)":
        raise FormatError(f"{path}: takes {taken.type} {shape}; a YOLOX detector takes tensor(float) [1, 3, 416, 416]")
    return int(shape[2])


class TfliteSegmenter(_FileSegmenter):
    """A segmenter with VOC's 21 classes of DeepLab's layout: NHWC, uint8 in 0..255 or float32 in -1..1."""

    def __init__(self, path: Path, fit: str):
        runtime = _needed("ai_edge_litert.interpreter", "ai-edge-litert", path)
        try:
            with _silent():
                self._interpreter = runtime.Interpreter(str(path), num_threads=1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise FormatError(f"{path}: not a TFLite model that LiteRT runs ({first_line(error)})") from error
        taken = self._interpreter.get_input_details()[0]
        shape = [int(side) for side in taken["shape"]]
        if len(shape) != 4 or shape[3] != 3 or taken["dtype"] not in (np.uint8, np.float32):
            raise FormatError(f"{path}: takes {taken['dtype'].__name__} {shape}, a segmenter takes one RGB image, NHWC")
        self._input, self._float = taken["index"], taken["dtype"] == np.float32
        self._output = self._interpreter.get_output_details()[0]["index"]
        super().__init__(path, fit, (shape[1], shape[2]))

    def _answer(self, canvas: np.ndarray) -> np.ndarray:
        x = (canvas / 127.5 - 1).astype(np.float32) if self._float else canvas
        self._interpreter.set_tensor(self._input, x[None])
        self._interpreter.invoke()
        answer: np.ndarray = self._interpreter.get_tensor(self._output)
        return answer


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """LiteRT announces its kernels on the standard error of the process, and has no switch for that."""
    former, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(former, 2)
        os.close(former)
        os.close(nothing)


class TorchvisionDetector:
    """A detector of `torchvision.models.detection`, such as fasterrcnn_resnet50_fpn_v2, trained on COCO."""

    def __init__(self, name: str):
        weights = _zoo_weights(name, "detection")
        try:
            columns = objects.columns(_categories(weights))
        except ValueError as error:
            raise FormatError(f"torchvision:{name}: {error}; use fasterrcnn_resnet50_fpn_v2") from error
        self._classes = {int(column): number for number, column in enumerate(columns)}
        self._network = _zoo_network(name, weights)

    def detect(self, rgb: np.ndarray) -> Detections:
        """Boxes in pixels of the image. Shape: (H, W, 3) uint8."""
        import torch

        with torch.inference_mode():
            answer = self._network([_tensor(rgb).float().div(255)])[0]
        kept = [n for n, label in enumerate(answer["labels"].tolist()) if label in self._classes]
        classes = [self._classes[label] for label in answer["labels"][kept].tolist()]
        return Detections.of(answer["boxes"][kept].numpy(), answer["scores"][kept].numpy(), classes)


class TorchvisionSegmenter:
    """A segmenter of `torchvision.models.segmentation`, such as fcn_resnet101, with VOC's labels."""

    def __init__(self, name: str):
        weights = _zoo_weights(name, "segmentation")
        if _categories(weights) != objects.SEGMENTS:
            raise FormatError(f"torchvision:{name}: its classes are not those of VOC; use fcn_resnet101")
        self._prepare = weights.transforms()
        self._network = _zoo_network(name, weights)

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """The class of each pixel. Shape: (H, W, 3) uint8 -> (H, W) uint8."""
        import torch

        with torch.inference_mode():
            scores = self._network(self._prepare(_tensor(rgb))[None])["out"]
            whole = torch.nn.functional.interpolate(scores, rgb.shape[:2], mode="bilinear", align_corners=False)
            classes: np.ndarray = whole[0].argmax(0).byte().numpy()
        return classes


def _zoo_version(name: str) -> str:
    """Which weights: the name of the model, of the weights, and torchvision's version."""
    package = _needed("torchvision", "torchvision", f"torchvision:{name}", _ZOO_CURE)
    return f"{name}, {package.models.get_model_zoo_weights(name).DEFAULT.name}, torchvision {package.__version__}"


def _zoo_weights(name: str, task: str) -> Any:
    package = _needed("torchvision", "torchvision", f"torchvision:{name}", _ZOO_CURE)
    known = package.models.list_models(module=getattr(package.models, task))
    if name not in known:
        raise InputError(f"torchvision:{name}: {unknown(f'{task} model', name, known)}")
    return package.models.get_model_zoo_weights(name).DEFAULT


def _categories(weights: Any) -> tuple[str, ...]:
    return tuple(_RENAMED.get(name, name) for name in weights.meta["categories"])


def _zoo_network(name: str, weights: Any) -> Any:
    from torchvision.models import get_model

    try:
        return get_model(name, weights=weights).eval()
    except (OSError, RuntimeError) as error:  # no network; a file that was cut short
        reason = first_line(getattr(error, "reason", error))
        raise ServiceError(
            f"torchvision:{name}: its weights cannot be had from {weights.url} ({reason}); download them elsewhere "
            "into ~/.cache/torch/hub/checkpoints, or name a model's file"
        ) from error


def _tensor(rgb: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))


def _needed(name: str, package: str, for_what: object, cure: str = _CURE) -> ModuleType:
    """The module `name` of `package`. Raises InputError with the cure where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"{for_what} needs {package}, which is not installed; {cure}") from error
    except (ImportError, RuntimeError, OSError) as error:  # built for another torch, or another system
        reason = first_line(error)
        raise InputError(f"{for_what} needs {package}, which does not load here ({reason}); {cure}") from error
