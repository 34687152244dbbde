"""The one test-time path from a bad JPEG to a restored image: evaluation, the command line and serving use it.

    I^J --+--> E ----------------------------+
          |                                  +--> D --> I^R        (equation 2)
          +--> C --> argmax --> M --> q-hat -+

ED has no C: its decoder takes E's output alone. The networks of other authors take the image as it is.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from ced.core.classes import Classes
from ced.core.encoding import encode
from ced.decoding import Decoded, decoded
from ced.errors import FormatError
from ced.models import weights
from ced.models.base import Network, mean_over_flips
from ced.models.classifier import Classifier, Mapping

FORMAT = "ced-restorer"
VERSION = 1
DESCRIPTION = "restorer.json"
AUTOENCODER = "autoencoder.safetensors"  # the network that restores, of whichever kind
CLASSIFIER = "classifier.safetensors"
CLASSES = "classes.json"
FILES = (DESCRIPTION, AUTOENCODER, CLASSIFIER, CLASSES)

DIGESTS = "sha256"  # of the other files by name, in a description, and its own; older ones have none

TILE_PIXELS = 3 << 20  # larger images are restored in tiles of at most this many pixels, with their margins
GRID = 4  # sides the networks take are multiples of this
_JPEG_GRID = 8  # sides of an image whose flips have their blocks where it has them

_tile_done: ContextVar[Callable[[int], None]] = ContextVar("tile_done", default=lambda count: None)


@contextlib.contextmanager
def tiles_told_to(tell: Callable[[int], None]) -> Iterator[None]:
    """After each tile of an image that is restored in the block, `tell` is told how many it has."""
    token = _tile_done.set(tell)
    try:
        yield
    finally:
        _tile_done.reset(token)


@dataclass(frozen=True, eq=False)
class Restorer:
    """A trained method. `classifier` and `mapping` are there for CED alone.

    `temperature` says how q-hat is read off p-hat: 0, the paper's way, is the most probable class; up to 1, the mean
    under p-hat, restorations become more faithful to the pixels and less sharp (`Mapping.read`). A folder may name its
    own.
    `self_ensemble`: the mean of what becomes of the image and of its three flips, in four times the time; nearer to the
    pixels, and with CED-GT less sharp.
    """

    method: str
    autoencoder: Network
    classifier: Classifier | None = None
    mapping: Mapping | None = None
    temperature: float = 0.0
    self_ensemble: bool = False

    @classmethod
    def load(
        cls, folder: str | Path, device: str = "cpu", temperature: float | None = None, self_ensemble: bool = False
    ) -> Self:
        """The restorer in `folder` (restorer.json and its weights), at its own temperature unless one is given.

        Raises FormatError.
        """
        folder = Path(folder)
        described = _description(folder / DESCRIPTION)
        path = folder / AUTOENCODER
        autoencoder = _network(path, described).to(device)
        if isinstance(autoencoder, Classifier):
            raise FormatError(f"{path}: holds a classifier, which restores nothing; train it again")
        if not autoencoder.conditioned:
            return cls(described["method"], autoencoder, self_ensemble=self_ensemble)
        text = part(folder / CLASSES, described).decode("utf-8", "replace")
        table = Classes.from_json(text, str(folder / CLASSES))
        classifier = _network(folder / CLASSIFIER, described).to(device)
        if not isinstance(classifier, Classifier):
            raise FormatError(f"{folder / CLASSIFIER}: holds no classifier; train it again")
        mapping = Mapping(table.representatives, table.deviations).to(device)
        temperature = described.get("temperature", 0.0) if temperature is None else temperature
        return cls(described["method"], autoencoder, classifier, mapping, temperature, self_ensemble)

    @property
    def channels(self) -> int:
        """1 for a luminance model, 3 for RGB."""
        return self.autoencoder.channels

    def restore_planes(self, planes: np.ndarray) -> np.ndarray:
        """Restore an image of any size. Shape: (C, H, W) uint8 -> the same.

        Large images go through in tiles, each with a margin beyond which no input reaches: the result is that of
        the whole image at once, and the memory that of one tile.
        """
        restored = np.empty(planes.shape, np.uint8)
        self._restore_into(restored, planes)
        return restored

    def restore_image(self, image: Image.Image) -> Image.Image:
        """Restore a decoded image, colour kept; gray stays gray.

        A luminance model restores the full-range luma of a colour image, the plane its JPEG stream coded, and
        leaves the chroma as it is.
        """
        return Image.fromarray(self.restore_pixels(np.asarray(image if image.mode == "L" else image.convert("RGB"))))

    def restore_pixels(self, pixels: np.ndarray, through: str = "luma") -> np.ndarray:
        """Restore decoded pixels. Shape: (H, W) or (H, W, 3) uint8 -> the same.

        `through`: how a luminance model takes a colour image, by its luma alone or by all of "ycbcr" (`planewise`).
        """
        if self.channels == 1:
            return planewise(lambda plane: self.restore_planes(plane[None])[0], pixels, through)
        if pixels.ndim == 2:
            restored = self.restore_pixels(np.repeat(pixels[..., None], 3, axis=2))
            return np.asarray(Image.fromarray(restored).convert("L"))
        restored = np.empty(pixels.shape, np.uint8)
        self._restore_into(restored.transpose(2, 0, 1), pixels.transpose(2, 0, 1))
        return restored

    def restore_bytes(self, data: bytes) -> bytes:
        """Image file in, restored PNG out, upright and with its colour profile. Raises Rejected."""
        return self.png(decoded(data))

    def png(self, photograph: Decoded) -> bytes:
        """Restored, as a PNG with the photograph's transparency and colour profile."""
        return encode(self.restore_pixels(photograph.pixels), photograph.alpha, photograph.icc_profile)[0]

    def _restore_into(self, restored: np.ndarray, planes: np.ndarray) -> None:
        """Fill `restored` with the restoration of `planes`, (C, H, W) uint8 in any order of memory."""
        grid, margin = self._grid, self._margin()
        size = planes.shape[1], planes.shape[2]
        divided = list(tiles(size, grid, margin))
        for tile in divided:
            (top, bottom), (left, right) = tile
            start = max(0, top - margin), max(0, left - margin)
            seen = planes[:, start[0] : bottom + margin, start[1] : right + margin]
            padding = [(0, -side % grid) for side in seen.shape[1:]]  # none but at the image's end: all else is on grid
            out = self._forward(np.pad(seen, ((0, 0), *padding), "edge"))
            out = out[:, top - start[0] : bottom - start[0], left - start[1] : right - start[1]]
            restored[:, top:bottom, left:right] = out
            _tile_done.get()(len(divided))

    def _margin(self) -> int:
        reach = self.autoencoder.receptive_radius(self.classifier)
        return -(-reach // self._grid) * self._grid

    @property
    def _grid(self) -> int:
        return _JPEG_GRID if self.self_ensemble else GRID

    @torch.inference_mode()
    def _forward(self, planes: np.ndarray) -> np.ndarray:
        weight = next(self.autoencoder.parameters())
        x = torch.from_numpy(planes).to(weight.device).unsqueeze(0).to(weight.dtype).div_(255)
        restored = (mean_over_flips(self._restored, x) if self.self_ensemble else self._restored(x))[0]
        planes_out: np.ndarray = restored.mul_(255).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()
        return planes_out

    def _restored(self, x: torch.Tensor) -> torch.Tensor:
        q = None
        if self.classifier is not None and self.mapping is not None:
            q = self.mapping.read(self.classifier.infer(x), self.temperature)
        return self.autoencoder.infer(x, q)


def planewise(restore: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, through: str) -> np.ndarray:
    """What a function of planes makes of an image. Shape: (H, W) or (H, W, 3) uint8 -> the same.

    Of a colour image it is given the full-range luma, the plane that its JPEG stream coded; "luma" leaves the chroma
    as it is, "ycbcr" gives it each of the two as well.
    """
    if pixels.ndim == 2:
        return restore(pixels)
    planes = Image.fromarray(pixels).convert("YCbCr").split()
    restored = [
        plane if number and through == "luma" else Image.fromarray(np.ascontiguousarray(restore(np.asarray(plane))))
        for number, plane in enumerate(planes)
    ]
    return np.asarray(Image.merge("YCbCr", restored).convert("RGB"))


def files(
    method: str, autoencoder: bytes, classifier: bytes = b"", classes: str = "", temperature: float = 0.0
) -> dict[str, bytes]:
    """The files of a restorer's folder, by name; `autoencoder` holds the weights of the network that restores."""
    described: dict[str, Any] = {"format": FORMAT, "version": VERSION, "method": method}
    if temperature:
        described["temperature"] = temperature
    contents = {AUTOENCODER: autoencoder}
    if classifier:
        contents |= {CLASSIFIER: classifier, CLASSES: classes.encode()}
    return {DESCRIPTION: (json.dumps(sealed(described, contents)) + "\n").encode(), **contents}


def sealed(described: dict[str, Any], contents: dict[str, bytes]) -> dict[str, Any]:
    """A description with the digests of the files that it is about, by name, and its own under ""."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    return {**described, DIGESTS: {**digests, "": _own_digest({**described, DIGESTS: digests})}}


def check_seal(path: Path, described: dict[str, Any]) -> None:
    """Raises FormatError where a description was altered since it was written; one without digests is taken."""
    digests = described.get(DIGESTS, {})
    bare = {name: digest for name, digest in digests.items() if name} if isinstance(digests, dict) else None
    if bare is None or (digests and digests.get("") != _own_digest({**described, DIGESTS: bare})):
        raise FormatError(f"{path}: altered since it was made; {_ANOTHER}")


def part(path: Path, described: dict[str, Any], name: str = "") -> bytes:
    """The bytes of a file that a description is about, by its `name` there. Raises FormatError where it is missing or
    was altered."""
    data = _read(path)
    if DIGESTS in described and described[DIGESTS].get(name or path.name) != hashlib.sha256(data).hexdigest():
        raise FormatError(f"{path}: altered since it was made; {_ANOTHER}")
    return data


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a restorer's folder; the digests in its description do not count: the same restorer
    with and without them is one."""
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name in FILES
    }
    described = _description(folder / DESCRIPTION)
    if described.pop(DIGESTS, None):
        digests[DESCRIPTION] = hashlib.sha256((json.dumps(described) + "\n").encode()).hexdigest()
    return digests


def weights_of(folder: Path, name: str) -> Path:
    """A file of weights in a restorer's folder, found unaltered. Raises FormatError."""
    if (folder / DESCRIPTION).is_file():
        part(folder / name, _description(folder / DESCRIPTION))
    return folder / name


def _own_digest(described: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def tiles(size: tuple[int, int], grid: int, margin: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Divide an image of `size`, (height, width), into tiles: the rows from and to, and the columns.

    One with its margins has at most TILE_PIXELS (more where hardly more than margins would go in); of all such
    divisions this is the one with the fewest pixels in margins. Tiles begin on multiples of `grid`.
    """
    height, width = size
    most = max(TILE_PIXELS, (9 * margin // 4 + grid) ** 2)
    best = (height, width)
    if height * width > most:
        columns = range(1, -(-width // grid) + 1)
        best = min(_tile(size, count, most, grid, margin) for count in columns)[1]
    for top in range(0, height, best[0]):
        for left in range(0, width, best[1]):
            yield (top, min(top + best[0], height)), (left, min(left + best[1], width))


def _tile(
    size: tuple[int, int], columns: int, most: int, grid: int, margin: int
) -> tuple[tuple[bool, int], tuple[int, int]]:
    """The height and width of a tile where there are so many columns of tiles: before it, what it costs."""
    height, width = size
    wide = _on_grid(-(-width // columns), grid)
    high = (most // (wide + 2 * margin * (columns > 1)) - 2 * margin) // grid * grid
    if high < grid:
        return (True, columns), (grid, wide)  # none such: too large, unless all divisions are
    rows = -(-height // high)
    high = _on_grid(-(-height // rows), grid)  # all alike
    return (False, (height + 2 * margin * (rows - 1)) * (width + 2 * margin * (columns - 1))), (high, wide)


def _on_grid(side: int, grid: int) -> int:
    return side + -side % grid


_ANOTHER = "take it again from where it came: `ced train` makes one, those that come with ced are installed with it"


def _description(path: Path) -> dict[str, Any]:
    try:
        described = json.loads(_read(path))
    except ValueError as error:
        raise FormatError(f"{path}: not JSON; give a folder that ced made") from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise FormatError(f"{path}: not a restorer (no format {FORMAT!r}); give a folder that ced made")
    check_seal(path, described)
    if described.get("version") != VERSION:
        version = described.get("version")
        raise FormatError(
            f"{path}: a restorer of version {version!r}, this ced reads version {VERSION}; train it again"
        )
    temperature = described.get("temperature", 0.0)
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 1:
        raise FormatError(f"{path}: temperature {temperature!r} is not from 0 to 1; mend it, or train it again")
    return described


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}; give the folder of a restorer that ced made") from error


def _network(path: Path, described: dict[str, Any]) -> Network:
    data = part(path, described)
    try:
        return weights.decode(data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
