"""`ced restore`: bad JPEGs in, restored PNGs out."""

import contextlib
import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ced import environment
from ced.cli.options import option
from ced.config import RELEASED
from ced.core.images import MAX_PIXELS, SECONDS, Rejected
from ced.data import sources
from ced.decoding import Decoder
from ced.errors import ConfigError, InputError, OutputError
from ced.progress import Progress
from ced.store.outputs import write_bytes

if TYPE_CHECKING:
    from ced.restoration.family import Family

logger = logging.getLogger("ced")


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    inputs: list[str] = option("IN", "image files, or folders of them", positional=True)
    out: str = option("OUT", "a PNG file, or a folder for many", short="-o")
    model: str | None = option(
        "MODEL",
        "a restorer's folder, an MLflow URI, or released: what comes with ced, for good images too; default: what "
        "comes with ced, for JPEGs of quality factor 70 or less (90 with --faithful)",
    )
    store: str | None = option("DIR", "restore with the champion of this store")
    faithful: bool = option(
        help="what comes with ced for those who want nothing invented: smooth and nearest to the pixels (ED)"
    )
    read_off: str | None = option(
        "HOW",
        "how CED chooses among the frequencies that its classifier thinks possible: argmax (the paper's, sharp), "
        "mean (faithful), or a temperature from 0 (argmax) to 1 (mean); default: the restorer's own, or argmax",
    )
    self_ensemble: bool = option(
        help="the mean over the image and its three flips: nearer to the pixels, less sharp, four times as long"
    )
    max_pixels: int = option("N", "pixels of an image; larger ones are left out", default=MAX_PIXELS)
    max_seconds: float = option("S", "that decoding an image may take", default=SECONDS)


def restore(arguments: RestoreOptions) -> None:
    """Restore each image; what cannot be read is named and left out, and then the exit code is 2."""
    temperature = _temperature(arguments.read_off)
    if arguments.faithful:
        _check_faithful(arguments, temperature)
    if not (arguments.max_seconds > 0 and arguments.max_pixels > 0):
        raise ConfigError("--max-seconds and --max-pixels: use numbers above 0")
    work = _plan(arguments.inputs, Path(arguments.out))
    folder = None if arguments.faithful or arguments.model == RELEASED else _model(arguments)
    with Decoder(arguments.max_seconds) as decoder:  # which starts while torch is imported
        family = _family(arguments, folder, temperature)  # once what was asked for is found right
        _restore(arguments, work, family, decoder)


def _restore(
    arguments: RestoreOptions, work: list[tuple[sources.Photograph, Path]], family: "Family", decoder: Decoder
) -> None:
    from ced.restoration.files import Writing, restore_file

    progress = Progress("restore", len(work), "images")
    writing = Writing(max_pixels=arguments.max_pixels)
    failed = unchanged = 0
    for source, target in work:
        try:
            restored = restore_file(sources.read(source), family, decoder, writing)
            write_bytes(target.with_suffix(restored.suffix), restored.data)
            unchanged += bool(restored.left)
            if restored.warning:
                logger.warning("%s: %s", source.name, restored.warning)
        except Rejected as error:
            failed += 1
            logger.warning("%s: %s (%s); left out", source.name, error.message, error.reason)
        progress.advance()
    logger.info("restored %d of %d images to %s", len(work) - failed - unchanged, len(work), arguments.out)
    if unchanged:
        logger.info(
            "%d are left as they are (quality factor above %d, or no JPEG); --model released restores them too",
            unchanged,
            family.leave_above,
        )
    if failed:
        raise InputError(f"{failed} of {len(work)} images could not be restored; see the lines above")


def _family(arguments: RestoreOptions, folder: Path | None, temperature: float | None) -> "Family":
    """The restorers for these files: those of a folder, or those that come with ced.

    Raises FormatError, ConfigError.
    """
    from ced.restoration import family as families

    family = families.Family.load(folder or (families.FAITHFUL if arguments.faithful else families.RELEASED))
    if arguments.model == RELEASED:
        family = family.everything()
    family = dataclasses.replace(family, temperature=temperature, self_ensemble=arguments.self_ensemble)
    restorer = family.restorer(family.members[0])
    if temperature and restorer.classifier is None:
        raise ConfigError(
            f"--read-off {arguments.read_off}: {restorer.method} has no classifier to read off; leave it out"
        )
    return family


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


def _check_faithful(arguments: RestoreOptions, temperature: float | None) -> None:
    """Raises ConfigError where another argument says something else."""
    if temperature:
        raise ConfigError(f"--read-off {arguments.read_off}: --faithful has no classifier to read off; leave one out")
    named = {"--store": arguments.store, "--model": "" if arguments.model == RELEASED else arguments.model}
    for name, value in named.items():
        if value:
            raise ConfigError(f"{name} {value}: --faithful is a model that comes with ced; leave one out")


def _plan(inputs: list[str], out: Path) -> list[tuple[sources.Photograph, Path]]:
    """Which image goes to which file. Raises InputError and OutputError before anything is written."""
    photographs = sources.find(tuple(inputs))
    single = len(inputs) == 1 and Path(inputs[0]).is_file() and bool(out.suffix)
    if single:
        if out.suffix.lower() != ".png":
            raise OutputError(f"{out}: restored images are PNG files; name it {out.with_suffix('.png')}")
        work = [(photographs[0], out)]
    else:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out}: is a file; give a folder for {len(photographs)} images")
        work = [(photograph, _inside(out, photograph, len(inputs))) for photograph in photographs]
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


def _model(arguments: RestoreOptions) -> Path | None:
    """The folder of the restorer: the one that is named, the champion of a store that is, else None: the released."""
    if arguments.model and "://" not in arguments.model and ":/" not in arguments.model:
        return Path(arguments.model)
    if not arguments.model and not arguments.store:
        return None
    from ced.tracking import client

    environment.quiet()
    from_environment = environment.load()
    store = Path(arguments.store or from_environment.store).resolve()
    if not store.is_dir() and not from_environment.mlflow_uri:
        raise InputError(f"{store}: no such store; make it with `ced run`, or leave --store out")
    uri = from_environment.mlflow_uri or client.local_uri(store)
    client.check(uri, write=False)
    if arguments.model:
        return client.resolve(uri, arguments.model)
    from ced.pipeline import publish

    newest = publish.newest(store)
    champion = client.load_champion(uri, newest.model, newest.alias)
    if champion is None:
        raise InputError(f"no trained model in {store}; run `ced run quickstart` first or name one with --model")
    return champion
