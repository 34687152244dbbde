"""torchvision's models, whose weights it downloads at the first use."""

from typing import Any

import numpy as np

from ced.errors import FormatError, InputError, ServiceError, first_line, unknown
from ced.vision import objects
from ced.vision.backends.packages import needed

_CURE = "pip install torchvision, in the version that goes with the torch that is installed"
_RENAMED = {"__background__": "background"}


class Detector:
    """A detector of `torchvision.models.detection`, such as fasterrcnn_resnet50_fpn_v2, trained on COCO."""

    def __init__(self, name: str):
        weights = _weights(name, "detection")
        try:
            places = objects.columns(_categories(weights))
        except ValueError as error:
            raise FormatError(f"torchvision:{name}: {error}; use fasterrcnn_resnet50_fpn_v2") from error
        self._classes = {int(place): number for number, place in enumerate(places)}
        self._network = _network(name, weights)

    def detect(self, rgb: np.ndarray) -> objects.Detections:
        """Boxes in pixels of the image. Shape: (H, W, 3) uint8."""
        import torch

        with torch.inference_mode():
            found = self._network([_tensor(rgb).float().div(255)])[0]
        kept = [n for n, label in enumerate(found["labels"].tolist()) if label in self._classes]
        classes = [self._classes[label] for label in found["labels"][kept].tolist()]
        return objects.Detections.of(found["boxes"][kept].numpy(), found["scores"][kept].numpy(), classes)


class Segmenter:
    """A segmenter of `torchvision.models.segmentation`, such as fcn_resnet101, with VOC's labels."""

    def __init__(self, name: str):
        weights = _weights(name, "segmentation")
        if _categories(weights) != objects.SEGMENTS:
            raise FormatError(f"torchvision:{name}: its classes are not those of VOC; use fcn_resnet101")
        self._prepare = weights.transforms()
        self._network = _network(name, weights)

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """The class of each pixel. Shape: (H, W, 3) uint8 -> (H, W) uint8."""
        import torch

        with torch.inference_mode():
            scores = self._network(self._prepare(_tensor(rgb))[None])["out"]
            whole = torch.nn.functional.interpolate(scores, rgb.shape[:2], mode="bilinear", align_corners=False)
            classes: np.ndarray = whole[0].argmax(0).byte().numpy()
        return classes


def version(name: str) -> str:
    """Which weights: the name of the model, of the weights, and torchvision's version."""
    package = needed("torchvision", "torchvision", f"torchvision:{name}", _CURE)
    return f"{name}, {package.models.get_model_weights(name).DEFAULT.name}, torchvision {package.__version__}"


def _weights(name: str, task: str) -> Any:
    package = needed("torchvision", "torchvision", f"torchvision:{name}", _CURE)
    known = package.models.list_models(module=getattr(package.models, task))
    if name not in known:
        raise InputError(f"torchvision:{name}: {unknown(f'{task} model', name, known)}")
    return package.models.get_model_weights(name).DEFAULT


def _categories(weights: Any) -> tuple[str, ...]:
    return tuple(_RENAMED.get(name, name) for name in weights.meta["categories"])


def _network(name: str, weights: Any) -> Any:
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
