"""What a report shows, read from finished outputs: pictures, spectra, training curves and facts."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from ced.core import jpeg
from ced.core.spectrum import Spectrum
from ced.errors import ConfigError, FormatError
from ced.evaluation import evaluate, pool
from ced.evaluation.measure import ORIGINAL
from ced.evaluation.runner import PICTURES
from ced.report.model import Curve, Picture, Spectra
from ced.store.outputs import Output
from ced.training import stage

JPEG = "jpeg"


def pictures(evaluated: Output, chosen: Sequence[str] = ()) -> tuple[Picture, ...]:
    """The pictures that an evaluation kept, at each of its quality factors; `chosen` ones in that order, else all.

    A picture is chosen by its number, from 1, or its name, with or without folder and suffix. A method without a
    picture is not shown there. Raises ConfigError for a picture that was not kept.
    """
    config = evaluated.manifest.config
    names = _kept(evaluated)
    numbers = [_number(names, text) for text in chosen] or list(names)
    versions = tuple(dict.fromkeys((ORIGINAL, JPEG, *config["methods"])))
    shown = []
    for number in numbers:
        for quality in config["qualities"]:
            planes = ((version, _plane(evaluated, number, quality, version)) for version in versions)
            there = tuple((version, plane) for version, plane in planes if plane is not None)
            shown.append(Picture(names[number], quality, there))
    return tuple(shown)


def _plane(evaluated: Output, number: int, quality: int, version: str) -> np.ndarray | None:
    """A kept picture; the JPEG, which all are compared with, is made again where it was not measured."""
    if version == JPEG and JPEG not in evaluated.manifest.config["methods"]:
        original = evaluate.picture(evaluated, number, quality, ORIGINAL)
        return None if original is None else jpeg.decode(jpeg.encode(original, quality))
    return evaluate.picture(evaluated, number, quality, version)


def spectra(evaluated: Output) -> Spectra | None:
    """The pooled coefficients at the first quality factor; None where the evaluation has none. Raises FormatError."""
    config = evaluated.manifest.config
    quality = config["qualities"][0]
    found = []
    for version in (ORIGINAL, *config["methods"]):
        path = pool.spectrum_file(evaluated.path, quality, version)
        if path.exists():
            try:
                found.append((version, Spectrum.from_bytes(path.read_bytes())))
            except ValueError as error:
                raise FormatError(f"{path}: {error}; remove {evaluated.path} to have it made again") from error
    there = bool(found) and found[0][0] == ORIGINAL
    return Spectra(config["dataset"], quality, tuple(found)) if there else None


def curves(trained: dict[str, Output]) -> tuple[Curve, ...]:
    """How each model learned."""
    return tuple(Curve(model, tuple(stage.curve(output))) for model, output in trained.items())


def facts(
    told: dict[str, Any], evaluated: Output, trained: dict[str, Output], versions: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    """Name and value of what stands in the head of the page; `told` is what decided the results."""
    images = evaluated.manifest.counts["images"]
    # An evaluation of its own trains nothing, and does not know what its methods were trained on.
    found = [("trained on", ", ".join(told["images"]))] if told["images"] else []
    found.append(("tested on", f"{told['test_images']} ({images} image{'' if images == 1 else 's'})"))
    for model, output in trained.items():
        counts = output.manifest.counts
        found.append((f"training of {model}", f"{counts['steps']} steps, {output.manifest.seconds:.0f} s"))
    found.append(("machine", f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"))
    found.append(("versions", ", ".join(f"{name} {number}" for name, number in versions.items())))
    return tuple(found)


def _kept(evaluated: Output) -> dict[int, str]:
    """The numbers and names of the images whose pictures are there."""
    names = dict.fromkeys(str(one["image_id"]) for one in evaluate.per_image(evaluated))
    folder = evaluated.path / PICTURES
    numbers = sorted(int(path.name.partition("-")[0]) for path in folder.glob(f"*-{ORIGINAL}.png"))
    return dict(zip(numbers, names, strict=False))


def _number(names: dict[int, str], text: str) -> int:
    for position, (number, name) in enumerate(names.items(), start=1):
        if text in _called(position, name):
            return number
    known = ", ".join(f"{n} {name}" for n, name in enumerate(names.values(), start=1)) or "none"
    raise ConfigError(f"image {text!r} was not kept (kept: {known}); keep more with --set evaluate.pictures=N")


def _called(position: int, name: str) -> Iterable[str]:
    path = PurePath(name)
    return str(position), name, path.name, path.stem
