"""`ced restore`: bad JPEGs in, restored PNGs out."""

import argparse
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ced import settings
from ced.config import RELEASED, PublishConfig
from ced.core import images, jpeg
from ced.core.images import Rejected
from ced.data import sources
from ced.errors import ConfigError, InputError, OutputError
from ced.progress import Progress
from ced.store.outputs import write_bytes

if TYPE_CHECKING:
    from ced.restoration.restorer import Restorer

logger = logging.getLogger("ced")


def restore(arguments: argparse.Namespace) -> None:
    """Restore each image; what cannot be read is named and left out, and then the exit code is 2."""
    temperature = _temperature(arguments.read_off)
    if arguments.faithful:
        _check_faithful(arguments, temperature)
    work = _plan(arguments.inputs, Path(arguments.out))
    whole = arguments.model == RELEASED
    folder = None if whole else _model(arguments)
    restorers = _Restorers(folder, temperature, arguments.self_ensemble, whole, arguments.faithful)
    given = restorers.load(restorers.folder) if restorers.folder else None
    if temperature and given and given.classifier is None:
        raise ConfigError(
            f"--read-off {arguments.read_off}: {given.method} has no classifier to read off; leave it out"
        )
    from ced.restoration.restorer import decoded_bytes  # and with it torch, once what was asked for is found right

    progress = Progress("restore", len(work), "images")
    failed = kept = 0
    for source, target in work:
        try:
            data = sources.read(source)
            restorer = restorers.of(data)
            write_bytes(target, restorer.restore_bytes(data) if restorer else decoded_bytes(data))
            kept += restorer is None
        except Rejected as error:
            failed += 1
            logger.warning("%s: %s (%s); left out", source.name, error.message, error.reason)
        progress.advance()
    logger.info("restored %d of %d images to %s", len(work) - failed - kept, len(work), arguments.out)
    if kept:
        logger.info(
            "%d are good as they are (quality factor above %d): written unchanged; --model released restores them too",
            kept,
            restorers.good,
        )
    if failed:
        raise InputError(f"{failed} of {len(work)} images could not be restored; see the lines above")


class _Restorers:
    """One restorer for all images or, without a `folder`, those that come with ced: by quality factor and colour.

    `whole`: also for images that are good as they are. `faithful`: the one nearest to the pixels for all.
    """

    def __init__(
        self, folder: Path | None, temperature: float | None, self_ensemble: bool, whole: bool, faithful: bool
    ):
        self.folder, self._temperature, self._self_ensemble = folder, temperature, self_ensemble
        self._whole, self._faithful = whole, faithful
        self._loaded: dict[Path, Restorer] = {}

    def of(self, data: bytes) -> "Restorer | None":
        """The restorer for an image file; None where those that come with ced would make it worse."""
        from ced.restoration.restorer import FAITHFUL, released

        if self.folder:
            return self.load(self.folder)
        quality = jpeg.quality_of(data)
        if quality is not None and quality > self.good and not self._whole:
            return None
        return self.load(FAITHFUL if self._faithful else released(quality, images.in_colour(data)))

    @property
    def good(self) -> int:
        """The quality factor above which what comes with ced leaves files alone."""
        from ced.restoration.restorer import GOOD, GOOD_FAITHFUL

        return GOOD_FAITHFUL if self._faithful else GOOD

    def load(self, folder: Path) -> "Restorer":
        """The restorer in a folder, loaded once. Raises FormatError."""
        from ced.restoration.restorer import Restorer

        if folder not in self._loaded:
            self._loaded[folder] = Restorer.load(
                folder, temperature=self._temperature, self_ensemble=self._self_ensemble
            )
        return self._loaded[folder]


def _temperature(text: str | None) -> float | None:
    """Of `--read-off`, None where the restorer's own is wanted. Raises ConfigError."""
    if text is None:
        return None
    named = {"argmax": 0.0, "mean": 1.0}
    with contextlib.suppress(ValueError):
        temperature = named[text] if text in named else float(text)
        if 0 <= temperature <= 1:
            return temperature
    raise ConfigError(f"--read-off {text}: use argmax, mean, or a temperature from 0 to 1")


def _check_faithful(arguments: argparse.Namespace, temperature: float | None) -> None:
    """Raises ConfigError where another argument says something else."""
    if temperature:
        raise ConfigError(f"--read-off {arguments.read_off}: --faithful has no classifier to read off; leave one out")
    named = {"--store": arguments.store, "--model": "" if arguments.model == RELEASED else arguments.model}
    for name, value in named.items():
        if value:
            raise ConfigError(f"{name} {value}: --faithful is a model that comes with ced; leave one out")


def _plan(inputs: list[str], out: Path) -> list[tuple[sources.Photograph, Path]]:
    """Which image goes to which file. Raises InputError and OutputError before anything is written."""
    found = sources.find(tuple(inputs))
    single = len(inputs) == 1 and Path(inputs[0]).is_file() and bool(out.suffix)
    if single:
        if out.suffix.lower() != ".png":
            raise OutputError(f"{out}: restored images are PNG files; name it {out.with_suffix('.png')}")
        work = [(found[0], out)]
    else:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out}: is a file; give a folder for {len(found)} images")
        work = [(photograph, _inside(out, photograph, len(inputs))) for photograph in found]
    _check(work)
    return work


def _inside(out: Path, photograph: sources.Photograph, inputs: int) -> Path:
    """A folder's own name is left out where it is the only input."""
    name = Path(photograph.name)
    if inputs == 1 and len(name.parts) > 1:
        name = Path(*name.parts[1:])
    return out / name.with_suffix(".png")


def _check(work: list[tuple[sources.Photograph, Path]]) -> None:
    targets: dict[Path, str] = {}
    for source, target in work:
        if target.is_dir():
            raise OutputError(f"{target}: exists as a folder; choose another output")
        if target in targets:
            raise InputError(f"{source.name} and {targets[target]} would both become {target}; restore them apart")
        if target.resolve() == Path(source.path):
            raise OutputError(f"{target}: would overwrite its own input; choose another output")
        targets[target] = source.name


def _model(arguments: argparse.Namespace) -> Path | None:
    """The folder of the restorer: the one that is named, the champion of a store that is, else None: the released."""
    if arguments.model and "://" not in arguments.model and ":/" not in arguments.model:
        return Path(arguments.model)
    if not arguments.model and not arguments.store:
        return None
    from ced.tracking import client

    settings.quiet()
    from_environment = settings.load()
    store = Path(arguments.store or from_environment.store).resolve()
    if not store.is_dir() and not from_environment.mlflow_uri:
        raise InputError(f"{store}: no such store; make it with `ced run`, or leave --store out")
    uri = from_environment.mlflow_uri or client.local_uri(store)
    client.check(uri)
    if arguments.model:
        return client.resolve(uri, arguments.model)
    published = PublishConfig()
    champion = client.load_champion(uri, published.model, published.alias)
    if champion is None:
        raise InputError(f"no trained model in {store}; run `ced run quickstart` first or name one with --model")
    return champion
