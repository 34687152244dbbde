"""A method: anything that restores. How it is written, found, and asked; its kinds are modules of this room."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ced.config import METHOD_NAME, PLAIN, RELEASED, WITH_CED
from ced.core import jpeg
from ced.errors import ConfigError, first_line
from ced.registry import Registry


@dataclass(frozen=True, eq=False)
class Damaged:
    """One JPEG to restore. `name` is the image's identity, the path within its source."""

    name: str
    quality: int  # of the JPEG; where it was saved twice, that of the first time
    stream: bytes
    image: np.ndarray  # the stream decoded: (H, W) uint8 luminance or (H, W, 3) uint8 RGB

    @classmethod
    def of(cls, name: str, quality: int, original: np.ndarray, damage: str = PLAIN) -> "Damaged":
        """What is left of an original, (H, W) or (H, W, 3) uint8, at a quality factor and after one of
        `config.DAMAGES`."""
        stream = jpeg.degrade(original, quality, damage)
        return cls(name, quality, stream, jpeg.decode(stream))

    def tables(self) -> tuple[np.ndarray, ...]:
        """The quantization table of each component, for methods that filter by it alone. Raises Failed without any."""
        tables = jpeg.tables_of(self.stream)
        if not tables:
            raise Failed("no tables", "the JPEG names no quantization tables")
        return tables


class Failed(Exception):
    """A method that could not restore an image: `reason` is one of a few words, `message` says more in one line.

    No kind of images.Rejected, which sets an image aside for all methods: this leaves a gap in one method's row alone.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.message)


class Method(Protocol):
    """Anything that restores. It is found where a job starts, travels to the workers by pickle, and loads there."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def content(self) -> str:
        """A digest of what it does: results are measured again where it changes; "" for the JPEG itself."""

    @property
    def colours(self) -> tuple[str, ...]:
        """What it takes: planes of luminance ("y"), colour images ("rgb")."""

    @property
    def timed(self) -> bool:
        """Whether the time that `restore` takes is the method's own: not so where results are only read."""

    def load(self) -> None:
        """Load what `restore` needs, once a process. Raises CedError."""

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The restored image, of the shape and type of `damaged.image`. Raises Failed."""


class Request(NamedTuple):
    """A method that somebody asked for, as written: NAME, or NAME=KIND:TARGET.

    `target`: a folder, an MLflow URI or a command line, or "".
    """

    name: str
    kind: str
    target: str = ""
    self_ensemble: bool = False


class Conditions(Protocol):
    """What methods are asked to do: a section of the configuration that evaluates."""

    @property
    def qualities(self) -> tuple[int, ...]:
        """JPEG quality factors; (AS_FOUND,) where each file has its own."""

    @property
    def colours(self) -> tuple[str, ...]:
        """ "y", "rgb"."""

    @property
    def timeout(self) -> float:
        """Seconds that a program may take for one image."""


Find = Callable[[Request, Conditions, Path], Method]

# How a method of each kind is found: `find(request, conditions, store)`, before any work; it raises CedError.
# Another kind is one file with such a function, and one line here.
KINDS: Registry[Find] = Registry(
    "kind of method",
    {
        "jpeg": "ced.methods.restorer",
        "released": "ced.methods.restorer",
        "faithful": "ced.methods.restorer",
        "sa-dct": "ced.methods.sa_dct",
        "restorer": "ced.methods.restorer",
        "model": "ced.methods.pyfunc",
        "folder": "ced.methods.folder",
        "command": "ced.methods.command",
        "blend": "ced.methods.blend",
        "network": "ced.methods.network",
        "bm3d": "ced.methods.bm3d",
    },
)
JPEG, TRAINED, RESTORER, MODEL, COMMAND = "jpeg", "trained", "restorer", "model", "command"
SELF_ENSEMBLE = "self-ensemble"
_MODELS = ("models:/", "runs:/")
_IS_COMMAND = re.compile(rf"\s*[^=,]+=\s*{COMMAND}:")


def parse(text: str) -> Request:
    """`jpeg`, `released`, `faithful`, `ced-gt`, `mine=DIR`, `mine=released`, `mine=models:/ced@champion`,
    `mine=folder:DIR`, `mine=command:PROGRAM ...`, `mine=network:FILE` or `mine=bm3d:FACTOR`.

    A restorer, a model or `released` may be `mine=self-ensemble:...`. Raises ConfigError.
    """
    name, equals, target = (part.strip() for part in text.partition("="))
    if not re.fullmatch(METHOD_NAME, name) or name.lower() == "original":
        how = "with at most 40 letters, digits and . _ + - (original is taken)"
        if not equals or ":" in name:  # a target alone, or a command whose own words have an equals sign
            raise ConfigError(f"method {text!r}: write it as NAME=WHERE, and name it {how}")
        raise ConfigError(f"method {text!r}: name it {how}")
    if not equals:
        return Request(name, name if name in (JPEG, *WITH_CED) else TRAINED)
    if name.lower() == JPEG:
        raise ConfigError(f"method {text!r}: jpeg is the damaged image itself; give yours another name")
    if target.startswith(f"{SELF_ENSEMBLE}:"):
        single = parse(f"{name}={target.removeprefix(f'{SELF_ENSEMBLE}:')}")
        if single.kind not in (RESTORER, MODEL, *WITH_CED) or single.self_ensemble:
            raise ConfigError(f"method {text!r}: {SELF_ENSEMBLE} is for a restorer, a model or {RELEASED}")
        return single._replace(self_ensemble=True)
    if target in WITH_CED:
        return Request(name, target)
    if name in WITH_CED:
        raise ConfigError(f"method {text!r}: {name} comes with ced; give yours another name")
    if target.startswith(_MODELS):
        return Request(name, MODEL, target)
    kind, colon, rest = target.partition(":")
    if not (colon and kind in set(KINDS.names) - {JPEG, RESTORER, MODEL, *WITH_CED}):
        kind, rest = RESTORER, target
    if not rest.strip():
        raise ConfigError(f"method {text!r}: nothing behind {text.strip()[-1]!r}; say where it is")
    return Request(name, kind, rest.strip())


def split(text: str) -> tuple[str, ...]:
    """The methods of one `--methods`, apart at the commas; a command takes all of the rest, commas too."""
    items = []
    while text.strip():
        if _IS_COMMAND.match(text):
            item, text = text, ""
        else:
            item, _, text = text.partition(",")
        items += [item.strip()] if item.strip() else []
    return tuple(items)


def find(request: Request, conditions: Conditions, store: Path) -> Method:
    """A method that can work, found before any work. Models of MLflow are copied into `store`.

    Raises ConfigError, InputError, FormatError or ServiceError.
    """
    if request.kind == TRAINED:
        name = request.name
        raise ConfigError(f"method {name}: say where it is, as {name}=DIR or with --models DIR")
    return takes_colours(KINDS.get(request.kind)(request, conditions, store), conditions, request.target)


def takes_colours(method: Method, conditions: Conditions, where: str) -> Method:
    """The method, found to take the colours that are asked for. Raises ConfigError."""
    if set(conditions.colours) - set(method.colours):
        raise ConfigError(f"method {method.name}: {where} restores colour images alone; use --colour rgb")
    return method


def checked(method: Method, damaged: Damaged) -> np.ndarray:
    """What `method` makes of an image, found to be an image of the same size. Raises Failed for whatever goes wrong."""
    try:
        restored = method.restore(damaged)
    except Failed:
        raise
    except Exception as error:
        raise Failed("error", f"{type(error).__name__}: {first_line(error, 300, otherwise='')}") from error
    if restored.shape != damaged.image.shape or restored.dtype != np.uint8:
        raise Failed("another size", f"{_size(restored)}, not {_size(damaged.image)}")
    return restored


def _size(image: np.ndarray) -> str:
    if image.ndim not in (2, 3) or image.dtype != np.uint8:
        return f"{image.dtype} {image.shape}"
    return f"{image.shape[1]}x{image.shape[0]}{' RGB' if image.ndim == 3 else ''}"
