"""A model of MLflow that `ced` did not log: any pyfunc whose signature says that it takes an image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ced.errors import ConfigError
from ced.methods.given import pixels
from ced.methods.network import planewise
from ced.methods.protocol import Damaged, Failed
from ced.tracking import pyfunc
from ced.tracking.pyfunc import LoadedModel

_TAKEN = "one column of bytes (a JPEG file) or one array of uint8 or floats with free height and width"
_FLOATS = ("float32", "float64")


class Form(NamedTuple):
    """How a model takes an image: `column` of a JPEG file's bytes, or an array of `axes`, such as NHWC."""

    name: str  # of the column or the array; "" where an array has none
    axes: str = ""  # "" for bytes
    channels: int = 1  # of an array
    type: str = "uint8"  # of an array; floats are 0..1


@dataclass(frozen=True, eq=False)
class Pyfunc:
    """The model with its form. One that takes planes is given a colour image `through` its luma or all of YCbCr."""

    name: str
    predict: Callable[[Any], Any]
    form: Form
    through: str = "luma"
    timed: bool = True

    @property
    def colour(self) -> str:
        return "rgb" if self.form.axes and self.form.channels == 3 else "any"

    def restore(self, damaged: Damaged) -> np.ndarray:
        """What the model answers, as 8 bits. Raises Failed."""
        if not self.form.axes:
            answer = _first(self.predict(pyfunc.table(self.form.name, damaged.stream)))
            if not isinstance(answer, bytes):
                raise Failed(
                    "no image", f"the model answers with {type(answer).__name__}, not with an image file's bytes"
                )
            return pixels(answer, damaged, f"output of {self.name}")
        if self.form.channels == 3:
            return self._asked(damaged.image)
        return planewise(self._asked, damaged.image, self.through)

    def _asked(self, image: np.ndarray) -> np.ndarray:
        array = _shaped(image, self.form)
        answer = _first(self.predict({self.form.name: array} if self.form.name else array))
        restored = np.asarray(answer)
        if restored.size != image.size:
            raise Failed("another size", f"the model answers with {restored.shape}, not {array.shape}")
        if restored.shape == array.shape and "C" in self.form.axes:
            restored = np.moveaxis(restored, self.form.axes.index("C"), -1)
        plain = restored.reshape(image.shape)
        if plain.dtype == np.uint8:
            return np.ascontiguousarray(plain)
        if not np.isfinite(plain).all():
            raise Failed("no image", "the model answers with values that are not finite")
        scale = 255 if self.form.type in _FLOATS else 1
        return np.clip(np.round(plain * scale), 0, 255).astype(np.uint8)


def form_of(loaded: LoadedModel, name: str) -> Form:
    """How a model takes images, by its signature. Raises ConfigError where it takes none."""
    if len(loaded.columns) == 1 and loaded.columns[0][1] == "binary":
        return Form(loaded.columns[0][0])
    if len(loaded.tensors) == 1:
        title, kind, shape = loaded.tensors[0]
        axes, channels = _axes(shape)
        if axes and kind in ("uint8", *_FLOATS):
            return Form(title, axes, channels, kind)
    raise ConfigError(f"method {name}: the model takes {_described(loaded)}; it has to take {_TAKEN}")


def _axes(shape: tuple[int, ...]) -> tuple[str, int]:
    """The axes of an array of one image, and its channels; "" where it is none, or has its size fixed."""
    for axes in {2: ("HW",), 3: ("HWC", "NHW"), 4: ("NHWC", "NCHW")}.get(len(shape), ()):
        sizes = dict(zip(axes, shape, strict=True))
        channels = sizes.get("C", 1)
        if sizes["H"] == sizes["W"] == -1 and channels in (1, 3) and sizes.get("N", 1) in (-1, 1):
            return axes, channels
    return "", 0


def _shaped(image: np.ndarray, form: Form) -> np.ndarray:
    """An image, (H, W) or (H, W, 3) uint8, as the model takes it."""
    array = image[..., None] if image.ndim == 2 and "C" in form.axes else image
    if form.type in _FLOATS:
        array = (array / 255).astype(form.type)
    if "N" in form.axes:
        array = array[None]
    return np.ascontiguousarray(np.moveaxis(array, -1, 1) if form.axes == "NCHW" else array)


def _first(answer: Any) -> Any:
    """The image in an answer: itself, or the only thing in a table, a mapping or a list."""
    if hasattr(answer, "iloc"):
        return answer.iloc[0, 0] if len(answer.shape) == 2 else answer.iloc[0]
    if isinstance(answer, dict) and len(answer) == 1:
        return _first(next(iter(answer.values())))
    return _first(answer[0]) if isinstance(answer, list) and len(answer) == 1 else answer


def _described(loaded: LoadedModel) -> str:
    if loaded.columns:
        return "the columns " + ", ".join(f"{name or '?'} ({kind})" for name, kind in loaded.columns)
    if loaded.tensors:
        return ", ".join(f"{kind} {list(shape)}" for _, kind, shape in loaded.tensors)
    return "what no signature says"
