"""A model of MLflow that `ced` did not log: any pyfunc whose signature says that it takes an image."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ced import environment
from ced.config import fingerprint
from ced.errors import ConfigError, first_line
from ced.methods import restorer
from ced.methods.folder import pixels
from ced.methods.method import MODEL, SELF_ENSEMBLE, Conditions, Damaged, Failed, Find, Method, Request
from ced.store.outputs import sha256, write_bytes
from ced.tracking import client

if TYPE_CHECKING:
    from mlflow.types import Schema

_TAKEN = "one column of bytes (a JPEG file) or one array of uint8 or floats with free height and width"
_FLOATS = ("float32", "float64")
_LENGTH = 200  # characters of a model's own message

Predict = Callable[[Any], Any]


class Form(NamedTuple):
    """How a model takes an image: `column` of a JPEG file's bytes, or an array of `axes`, such as NHWC."""

    name: str  # of the column or the array; "" where an array has none
    axes: str = ""  # "" for bytes
    channels: int = 1  # of an array
    type: str = "uint8"  # of an array; floats are 0..1


@dataclass(frozen=True)
class ModelMethod:
    """A model in a folder that MLflow laid out. One that takes planes is given a colour image `through` its luma or all
    of YCbCr."""

    name: str
    folder: Path
    content: str
    through: str = "luma"
    timed: bool = True

    @property
    def colours(self) -> tuple[str, ...]:
        return ("y", "rgb") if self.channels == 1 else ("rgb",)

    @property
    def channels(self) -> int:
        """1 where planes are restored or files taken, 3 where RGB arrays are."""
        return self.form.channels if self.form.axes else 1

    @property
    def form(self) -> Form:
        """How the model takes an image. Raises ConfigError."""
        return load(self.folder, self.name)[1]

    def load(self) -> None:
        """Load the model. Raises ConfigError."""
        load(self.folder, self.name)

    def restore(self, damaged: Damaged) -> np.ndarray:
        """What the model answers, as 8 bits. Raises Failed."""
        return answer(*load(self.folder, self.name), damaged, self.through)


@functools.lru_cache(maxsize=4)
def load(folder: Path, name: str) -> tuple[Predict, Form]:
    """What a model answers with, and how it takes an image; MLflow laid out its folder, and its code runs in this
    process. Raises ConfigError."""
    client.configure_mlflow()
    import mlflow

    try:
        model = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:  # whatever its code and its packages raise
        line = first_line(error, _LENGTH, otherwise="")
        raise ConfigError(f"method {name}: the model cannot be loaded here ({type(error).__name__}: {line})") from error
    return model.predict, form_of(model.metadata.get_input_schema(), name)


def _find(request: Request, conditions: Conditions, store: Path) -> Method:
    """A model of MLflow, copied into the store, where all machines of a job see it: a restorer, or any pyfunc."""
    from ced.restoration.family import contents, files_of

    tracking = environment.load().mlflow_uri or client.local_uri(store)
    client.check(tracking)
    model = client.resolve_model(tracking, request.target)
    own = model / client.RESTORER
    if own.is_dir():
        folder = _copy(files_of(own), store / "models" / fingerprint(contents(own)))
        return restorer.find_restorer(request._replace(target=str(folder)), conditions, store)
    if request.self_ensemble:
        raise ConfigError(f"method {request.name}: {request.target} is no restorer of ced; leave {SELF_ENSEMBLE}: out")
    files = {path.relative_to(model).as_posix(): path for path in sorted(model.rglob("*")) if path.is_file()}
    content = fingerprint({name: sha256(path) for name, path in files.items()})
    method = ModelMethod(request.name, _copy(files, store / "models" / content).resolve(), content)
    method.load()
    return method


ENTRIES: dict[str, Find] = {MODEL: _find}


def _copy(files: dict[str, Path], folder: Path) -> Path:
    for name, path in files.items():
        if not (folder / name).exists():
            write_bytes(folder / name, path.read_bytes())
    return folder


def answer(predict: Predict, form: Form, damaged: Damaged, through: str = "luma") -> np.ndarray:
    """What a model that takes images in a form makes of one, as 8 bits. Raises Failed."""
    if not form.axes:
        import pandas as pd

        file = _first(predict(pd.DataFrame({form.name: [damaged.stream]})))
        if not isinstance(file, bytes):
            raise Failed("no image", f"the model answers with {type(file).__name__}, not with an image file's bytes")
        return pixels(file, damaged, "output of the model")
    if form.channels == 3:
        return _asked(predict, form, damaged.image)
    from ced.restoration.restorer import planewise

    return planewise(lambda plane: _asked(predict, form, plane), damaged.image, through)


def _asked(predict: Predict, form: Form, image: np.ndarray) -> np.ndarray:
    """The answer to one array. Shape: (H, W) or (H, W, 3) uint8 -> the same."""
    array = _shaped(image, form)
    restored = np.asarray(_first(predict({form.name: array} if form.name else array)))
    if restored.size != image.size:
        raise Failed("another size", f"the model answers with {restored.shape}, not {array.shape}")
    if restored.shape == array.shape and "C" in form.axes:
        restored = np.moveaxis(restored, form.axes.index("C"), -1)
    plain = restored.reshape(image.shape)
    if plain.dtype == np.uint8:
        return np.ascontiguousarray(plain)
    if not np.isfinite(plain).all():
        raise Failed("no image", "the model answers with values that are not finite")
    scale = 255 if form.type in _FLOATS else 1
    return np.clip(np.round(plain * scale), 0, 255).astype(np.uint8)


def form_of(schema: "Schema | None", name: str) -> Form:
    """How a model takes images, by its signature. Raises ConfigError where it takes none."""
    inputs = schema.inputs if schema else []
    types = [str(getattr(taken.type, "name", taken.type)) for taken in inputs]  # of columns, or of arrays
    if schema is None:
        described = "what no signature says"
    elif schema.is_tensor_spec():
        described = ", ".join(f"{kind} {list(array.shape)}" for array, kind in zip(inputs, types, strict=True))
        axes, channels = _axes(tuple(inputs[0].shape))
        if len(inputs) == 1 and axes and types[0] in ("uint8", *_FLOATS):
            return Form(inputs[0].name or "", axes, channels, types[0])
    else:
        described = ", ".join(f"{column.name or '?'} ({kind})" for column, kind in zip(inputs, types, strict=True))
        described = f"the columns {described}"
        if types == ["binary"]:
            return Form(inputs[0].name or "")
    raise ConfigError(f"method {name}: the model takes {described}; it has to take {_TAKEN}")


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
