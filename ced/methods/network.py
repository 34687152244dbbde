"""Networks that others have trained, in the files that they publish, as methods: NAME=network:FILE.

What a file holds is found in the file itself; another kind of file is one line in `READERS`. Nothing is downloaded.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ced.config import AS_FOUND, fingerprint
from ced.errors import ConfigError, FormatError, InputError, first_line
from ced.methods.method import Conditions, Damaged, Failed, Find, Request
from ced.registry import Registry
from ced.restoration.restorer import planewise
from ced.store.outputs import sha256

_QUALITY = "{quality}"
_FORM = 1  # of what becomes of an image around the network; another number measures again
_CURE = "pip install 'ced[peers]'"


class Network(NamedTuple):
    """A network that is loaded, on one core. `run` takes (C, H, W) float32 in 0..1, H and W multiples of `grid` with
    `border` more pixels at each side, and gives (C, H x scale, W x scale) in 0..1."""

    run: Callable[[np.ndarray], np.ndarray]
    channels: int  # 1 or 3
    grid: int = 1
    border: int = 0
    scale: int = 1

    def restored(self, image: np.ndarray) -> np.ndarray:
        """An image through the network, not yet rounded. Shape: (H, W, C) float32 in 0..1 -> the same.

        Edge pixels are repeated where the network wants more of them. What it enlarges becomes the mean of each
        `scale` x `scale` pixels again.
        """
        height, width, channels = image.shape
        sides = [(self.border, self.border + -side % self.grid) for side in (height, width)]
        padded = np.pad(image, [*sides, (0, 0)], "edge")
        answer = self.run(np.ascontiguousarray(padded.transpose(2, 0, 1)))
        cut = answer[:, : height * self.scale, : width * self.scale]
        cells = cut.reshape(channels, height, self.scale, width, self.scale)
        smaller: np.ndarray = cells.mean(axis=(2, 4))
        return smaller.transpose(1, 2, 0)


# The reader of a file by its suffix: it raises ImportError where its package is not installed, and FormatError.
READERS: Registry[Callable[[Path], Network]] = Registry(
    "kind of network file",
    {".mat": "ced.methods.matlab", ".onnx": "ced.methods.runtimes", ".param": "ced.methods.runtimes"},
)


@dataclass(frozen=True)
class NetworkMethod:
    """A published network, or one for each quality factor.

    One of planes restores the full-range luma of a colour image and leaves its chroma. One of colour images is given
    luminance as three equal channels, and the mean of its three is taken.
    """

    name: str
    files: tuple[tuple[int, Path], ...]  # by quality factor; one for AS_FOUND is for all
    content: str
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = True

    def load(self) -> None:
        """Load the networks. Raises ConfigError and FormatError."""
        for _, file in self.files:
            read(file, self.name)

    def restore(self, damaged: Damaged) -> np.ndarray:
        """The network's output, rounded and clipped to 8 bits. Raises Failed where none is for such a JPEG."""
        files = dict(self.files)
        file = files.get(damaged.quality, files.get(AS_FOUND))
        if file is None:
            raise Failed("no network", f"none is for quality factor {damaged.quality}")
        network = read(file, self.name)
        if network.channels == 1:
            return planewise(lambda plane: _bytes(network, plane[..., None])[..., 0], damaged.image, "luma")
        if damaged.image.ndim == 3:
            return _bytes(network, damaged.image)
        three = network.restored(_floats(damaged.image[..., None].repeat(3, axis=2)))
        return _rounded(three.mean(axis=2))


def _bytes(network: Network, image: np.ndarray) -> np.ndarray:
    """An image through a network. Shape: (H, W, C) uint8 -> the same."""
    return _rounded(network.restored(_floats(image)))


def _floats(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


def _rounded(image: np.ndarray) -> np.ndarray:
    if not np.isfinite(image).all():
        raise Failed("no image", "the network answers with values that are not finite")
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=8)
def read(file: Path, name: str) -> Network:
    """The network in a file, loaded once a process. Raises ConfigError without its package, and FormatError."""
    reader = READERS.get(file.suffix.lower())
    try:
        return reader(file)
    except ImportError as error:
        raise ConfigError(f"method {name}: {file.name} needs a package ({first_line(error)}); {_CURE}") from None
    except FormatError as error:
        raise FormatError(f"method {name}: {file}: {error}") from None
    except Exception as error:  # whatever a runtime raises on a file of its format
        raise FormatError(f"method {name}: {file}: cannot be read ({first_line(error)}); download it again") from error


def _find(request: Request, conditions: Conditions, store: Path) -> NetworkMethod:
    files, digests = {}, {}
    for quality in conditions.qualities:
        file = files[quality] = Path(request.target.replace(_QUALITY, str(quality))).resolve()
        suffix = file.suffix.lower()
        if suffix not in READERS.names:
            raise ConfigError(f"method {request.name}: {file}: give a file of {', '.join(READERS.names)}")
        whole = [file, file.with_suffix(".bin")] if suffix == ".param" else [file]  # ncnn keeps the weights apart
        if missing := [each for each in whole if not each.is_file()]:
            raise InputError(f"method {request.name}: {missing[0]}: no such file; download it (docs/evaluation.md)")
        read(file, request.name)
        digests[str(quality)] = [sha256(each) for each in whole]
    same = len(set(files.values())) == 1
    content = fingerprint("network", _FORM, next(iter(digests.values())) if same else digests)
    return NetworkMethod(request.name, tuple(files.items()), content)


ENTRIES: dict[str, Find] = {"network": _find}
