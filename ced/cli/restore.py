"""`ced restore`: bad JPEGs in, restored images out."""

import dataclasses
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from ced.bulk.places import place
from ced.cli.options import option
from ced.core.encoding import FORMATS
from ced.core.images import MAX_BYTES, MAX_PIXELS, SECONDS, Rejected
from ced.data import sources
from ced.data.sources.photograph import FILES, check_size, is_uri, redacted
from ced.decoding import Decoder
from ced.errors import ConfigError, InputError, OutputError
from ced.pipeline import restoring
from ced.pipeline.restoring import Restoring

if TYPE_CHECKING:  # it imports torch
    from ced.bulk.run import Summary

logger = logging.getLogger("ced")

STREAM = "-"  # standard input, standard output
_FORMAT_OF = {each.suffix: name for name, each in FORMATS.items()} | {".jpeg": "jpeg", ".tiff": "tiff"}


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    inputs: list[str] = option(
        "SRC",
        "image files, folders, archives, lists of files (.txt), any of them on s3://; - is standard input",
        positional=True,
    )
    out: str = option(
        "OUT",
        "a folder or an address; for one image a file: .png, .jpg, .webp, .tif or .avif; - is standard output",
        short="-o",
    )
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
    format: str | None = option("FORMAT", f"of the new files: {', '.join(FORMATS)}; default: png, or what -o ends with")
    output_quality: int | None = option("Q", "of a jpeg, webp or avif, 1 to 100")
    strip: bool = option(help="leave out what is in a file beside its pixels: date, camera, place, comments")
    damaged: bool = option(help="restore what there is of damaged files, too")
    overwrite: bool = option(help="replace files that are there already and that this command did not write")
    workers: int = option("N", "processes, or tasks of Ray at a time; default: one a core", default=0)
    ray_address: str | None = option("HOST:PORT", "restore on a Ray cluster (RAY_ADDRESS); default: on this machine")
    max_pixels: int = option("N", "pixels of an image; larger ones are left out", default=MAX_PIXELS)
    max_seconds: float = option("S", "that decoding an image may take", default=SECONDS)


def restore(options: RestoreOptions) -> None:
    """Restore each image; what cannot be read is named and left out, and then the exit code is 2."""
    names = [field.name for field in dataclasses.fields(Restoring)]
    how = Restoring(**{name: getattr(options, name) for name in names})
    how.check()
    image = _single(options)
    summary = _many(options, how) if image is None else _one(image, how, options.out)
    for line in summary.lines():
        logger.info(line)
    if summary.aside:
        raise InputError(summary.refusal())


class _Image(NamedTuple):
    """The one image that becomes one file."""

    name: str
    read: Callable[[], bytes]  # raises Rejected
    path: str = ""


def _single(options: RestoreOptions) -> _Image | None:
    """None where a folder of files is to be made. Raises InputError, OutputError."""
    first, out = options.inputs[0], options.out
    if STREAM in options.inputs:
        if len(options.inputs) > 1:
            raise InputError(f"{STREAM}: standard input is one image; restore it apart from the others")
        if out != STREAM and _suffix(out) not in _FORMAT_OF:
            raise OutputError(f"{out}: standard input is one image; name a file, such as {out.rstrip('/')}.png")
        return _Image("standard input", _read_standard_input)
    if out != STREAM and (not _suffix(out) or (_suffix(out) not in _FORMAT_OF and Path(out).is_dir())):
        return None
    local = unquote(urlsplit(first).path) if first.lower().startswith("file://") else first
    if len(options.inputs) == 1 and (is_uri(local) or Path(local).is_file()):
        found = sources.find((first,))
        path = found[0].path
        if len(found) == 1 and found[0].kind == FILES and path in (local, str(Path(local).resolve())):
            if out != STREAM and _suffix(out) not in _FORMAT_OF:
                cure = f"name it {PurePosixPath(out).with_suffix('.png')}"
                raise OutputError(f"{out}: restored images are {', '.join(_FORMAT_OF)}; {cure}")
            return _Image(found[0].name, partial(sources.read, found[0]), path)
    if out == STREAM:
        raise OutputError(f"{STREAM}: standard output takes one image; give a folder for what is in {first}")
    return None


def _suffix(out: str) -> str:
    return PurePosixPath(urlsplit(out).path if is_uri(out) else out).suffix.lower()


def _read_standard_input() -> bytes:
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    check_size(len(data), MAX_BYTES)
    return data


def _one(image: _Image, how: Restoring, out: str) -> "Summary":
    """One image into one file, or to standard output. Raises CedError."""
    write, how = _writer(image, how, out)
    writing = dataclasses.replace(how.writing, always=True)
    folder = restoring.model_folder(how)
    with Decoder(how.max_seconds) as decoder:  # which starts while torch is imported
        family = restoring.family(how, folder)  # once what was asked for is found right
        from ced.bulk.run import Summary
        from ced.bulk.work import tiles_are_told
        from ced.restoration.files import restore_file

        summary = Summary(1, "standard output" if out == STREAM else out)
        try:
            data = image.read()
            with tiles_are_told(image.name):
                restored = restore_file(data, family, decoder, writing)
        except Rejected as error:
            summary.set_aside(image.name, f"{error.message} ({error.reason})")
            return summary
    write(restored.data)
    summary.add(image.name, restored.left, restored.warning)
    return summary


def _writer(image: _Image, how: Restoring, out: str) -> tuple[Callable[[bytes], None], Restoring]:
    """What writes the new file, found to be possible, and how, with the format that its name asks for. Raises
    OutputError, ConfigError."""
    if out == STREAM:
        if sys.stdout.isatty():
            raise OutputError(f"{STREAM}: standard output is a terminal; name a file, or lead it into a program")
        how = dataclasses.replace(how, format=how.format or "png")
        how.check()
        return _write_standard_output, how
    written_as = _FORMAT_OF[_suffix(out)]
    if how.format not in (None, written_as):
        raise ConfigError(f"--format {how.format} beside -o {out}: leave one out")
    how = dataclasses.replace(how, format=written_as)
    how.check()
    above, name = _split(out)
    outputs = place(above)
    if not is_uri(out) and Path(out).is_dir():
        raise OutputError(f"{out}: exists as a folder; choose another output")
    if image.path and image.path in (out, str(Path(out).resolve())):
        raise OutputError(f"{out}: would overwrite its own input; choose another output")
    if not how.overwrite and outputs.size(name) is not None:
        raise OutputError(f"{redacted(out)}: there already; name another file, or replace it with --overwrite")
    return partial(outputs.write, name), how


def _split(out: str) -> tuple[str, str]:
    """The folder of a file, as `place` takes it, and its name."""
    if not is_uri(out):
        return str(Path(out).parent.resolve()), Path(out).name
    parts = urlsplit(out)
    above, _, name = parts.path.rpartition("/")
    return parts._replace(path=above).geturl(), unquote(name)


def _write_standard_output(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _many(options: RestoreOptions, how: Restoring) -> "Summary":
    out = options.out
    if _suffix(out) in _FORMAT_OF and not is_uri(out) and not Path(out).is_dir():
        raise OutputError(f"{out}: is the name of one file; give a folder for what is in {options.inputs[0]}")
    return restoring.many(how, options.inputs, out)
