"""What the page knows of a photograph: what its file is, what will be done, and what became of it."""

import functools
import io
import itertools
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from PIL import Image

from ced.core import images, jpeg
from ced.core.encoding import Writing
from ced.decoding import Decoder
from ced.restoration import restorer
from ced.restoration.family import Family
from ced.restoration.files import RestoredFile, restore_file
from ced.terminal import size

SHOWN = 3_000_000  # pixels of a picture on the page; what is downloaded has all
DETAIL = (800, 600)  # pixels of the part that is shown as it is

_WRITING = Writing(damaged=True)  # what is missing is seen on the page, and said

# How often the first component is sampled for each of the second, across and down.
_SUBSAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}


class Restoration(NamedTuple):
    """What became of a file."""

    file: RestoredFile
    seconds: float


def facts(data: bytes) -> list[str]:
    """What a file is, by its header: such as "JPEG", "451 × 300 pixels", "quality factor 10". Raises Rejected."""
    with images.opened(data) as image:
        found = [str(image.format), f"{image.width} × {image.height} pixels", size(len(data))]
        found.append("gray" if image.mode in ("L", "1") or image.mode.startswith("I") else "colour")
        quality = jpeg.quality_of_opened(image)
        layers = getattr(image, "layer", [])
    if quality is not None:
        found += [f"quality factor {quality}", _tables(data, quality), *_subsampling(layers)]
    return found


def plan(data: bytes, family: Family) -> str:
    """What `family` will do with a file, and why, in a sentence. Raises Rejected."""
    photograph = _decoder().decode(data, damaged=_WRITING.damaged)
    choice = family.choose(photograph)
    if choice.restorer is None:
        return f"It stays as it is: {choice.left}."
    network = choice.restorer.method.upper()
    found = f"{choice.history[0].upper()}{choice.history[1:]}. " if choice.history else ""
    if choice.quality is None:
        return f"It will be restored by {network}; its file does not say how strong the compression was."
    member = next(member for member in family.members if family.restorer(member) is choice.restorer)
    limit = min(member.highest, family.leave_above)
    return f"{found}It will be restored by {network}, with the network for quality factors up to {limit}."


def restore(data: bytes, family: Family, tell: Callable[[float], None] = lambda share: None) -> Restoration:
    """Restore a file; a large image tells which share of it is done. Raises Rejected."""
    started, done = time.monotonic(), itertools.count(1)
    with restorer.tiles_told_to(lambda tiles: tell(min(1.0, next(done) / tiles))):
        file = restore_file(data, family, _decoder(), _WRITING)
    return Restoration(file, time.monotonic() - started)


@functools.lru_cache(maxsize=4)  # the page asks again whenever something on it changes
def pictures(before: bytes, after: bytes, detail: bool) -> tuple[bytes, bytes]:
    """Both files as PNGs that the page shows, of one size: whole, or the part in the middle, pixel for pixel."""
    first, second = (
        _shown(Image.fromarray(_decoder().decode(data, damaged=_WRITING.damaged).pixels), detail)
        for data in (before, after)
    )
    return images.png(first, compress_level=1), images.png(second, compress_level=1)


def names(sources: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """A name for each new file, no two alike: x.jpg and x.jpeg become x.png and x.jpeg.png. Without a suffix a file
    is as it was, and keeps its name."""
    taken: set[str] = set()
    chosen = [""] * len(sources)
    for number in sorted(range(len(sources)), key=lambda number: bool(suffixes[number])):  # those that keep it first
        path = PurePath(sources[number].replace("\\", "/"))
        whole = path.name or "photograph"
        suffix, stem = suffixes[number] or path.suffix, path.stem or whole
        stems = (stem, whole) if suffixes[number] else (stem,)
        more = (f"{stems[-1]}-{count}" for count in itertools.count(2))
        name = next(name for each in itertools.chain(stems, more) if (name := f"{each}{suffix}").lower() not in taken)
        taken.add(name.lower())
        chosen[number] = name
    return chosen


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of named files, which are compressed already."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as zipped:
        for name, data in files:
            zipped.writestr(name, data)
    return stream.getvalue()


def _shown(image: Image.Image, detail: bool) -> Image.Image:
    width, height = image.size
    if detail:
        wide, high = min(width, DETAIL[0]), min(height, DETAIL[1])
        left, top = (width - wide) // 2, (height - high) // 2
        return image.crop((left, top, left + wide, top + high))
    scale = (SHOWN / (width * height)) ** 0.5
    smaller = max(1, round(width * scale)), max(1, round(height * scale))
    return image.resize(smaller, Image.Resampling.LANCZOS) if scale < 1 else image


@functools.cache
def _decoder() -> Decoder:
    """One for all who have the page open; it ends with this process."""
    return Decoder()


def _tables(data: bytes, quality: int) -> str:
    """Whether a file's quantization tables are those of the IJG's library at its quality factor."""
    found = jpeg.tables_of(data)
    standard = jpeg.tables_of(jpeg.encode(np.zeros((8, 8, 3), np.uint8), quality))
    known = len(found) <= len(standard) and all(map(np.array_equal, found, standard))
    return "standard tables" if known else "tables of its own, nearest to those of this factor"


def _subsampling(layers: Sequence[tuple[int, int, int, int]]) -> list[str]:
    """How the colours of a JPEG are sampled, by its components: number, across, down, table."""
    if len(layers) < 3:
        return []
    ratio = layers[0][1] / layers[1][1], layers[0][2] / layers[1][2]
    return [f"colours {_SUBSAMPLING.get((int(ratio[0]), int(ratio[1])), 'sampled in its own way')}"]
