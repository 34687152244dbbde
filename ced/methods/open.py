"""From a method that is asked for to one that works: found and checked where the job starts, opened where it runs."""

import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ced import settings
from ced.config import FAITHFUL, RELEASED, EvaluateConfig, VisionConfig, fingerprint
from ced.data import sources
from ced.errors import ConfigError, InputError
from ced.methods import command, spec
from ced.methods.given import Folder, has_qualities, of_colour
from ced.methods.network import Jpeg, Network, PerQuality
from ced.methods.protocol import Method
from ced.methods.pyfunc import Pyfunc, form_of
from ced.methods.spec import Spec
from ced.store.outputs import sha256, write_bytes
from ced.tracking import pyfunc

_QUALITY = "{quality}"


class Prepared(NamedTuple):
    """A method that was found. It opens on any machine that sees `target`."""

    name: str
    kind: str
    target: str  # a folder, or a command line
    content: str  # a digest of what it will do
    folder: str = ""  # that a command runs in
    timeout: float = 0.0  # seconds, of a command
    each: tuple[tuple[str, int], ...] = ()  # colours and qualities that have a restorer of their own
    through: str = "luma"  # how a restorer of luminance takes a colour image: "luma" alone, or all of "ycbcr"
    self_ensemble: bool = False  # the mean over an image's flips


Wanted = EvaluateConfig | VisionConfig  # qualities, colours, and the seconds of a command


def prepare(asked: Spec, config: Wanted, store: Path) -> Prepared:
    """Find out whether a method can work, before any work. Models of MLflow are copied into `store`.

    Raises ConfigError, InputError, FormatError or ServiceError.
    """
    found = _found(asked, config, store)
    if not asked.self_ensemble:
        return found
    if found.kind == spec.PYFUNC:
        raise ConfigError(f"method {asked.name}: {asked.target} is no restorer of ced; leave {spec.SELF_ENSEMBLE}: out")
    return found._replace(content=fingerprint(found.content, spec.SELF_ENSEMBLE), self_ensemble=True)


def _found(asked: Spec, config: Wanted, store: Path) -> Prepared:
    if asked.kind == spec.JPEG:
        return Prepared(asked.name, spec.JPEG, "", "")
    if asked.kind == RELEASED or (asked.kind == spec.RESTORER and _QUALITY in asked.target):
        return _of_each_quality(asked, config)
    if asked.kind == FAITHFUL:
        from ced.restoration import restorer as restore

        return restorer(asked.name, restore.FAITHFUL, config.colours)
    if asked.kind == spec.FOLDER:
        return _folder(asked, config)
    if asked.kind == spec.COMMAND:
        return _command(asked, config)
    if asked.kind == spec.MODEL:
        return _model(asked, config, store)
    if asked.kind == spec.RESTORER:
        return restorer(asked.name, Path(asked.target), config.colours)
    raise ConfigError(f"method {asked.name}: say where it is, as {asked.name}=DIR or with --models DIR")


def restorer(name: str, folder: Path, colours: tuple[str, ...], content: str = "") -> Prepared:
    """A restorer's folder; `content` is its digest where it is known. Raises FormatError, ConfigError."""
    return _opened(
        Prepared(name, spec.RESTORER, str(folder.resolve()), content or digest(folder)), str(folder), colours
    )


def check_apart(methods: Iterable[Prepared], names: Sequence[str], config: Wanted) -> None:
    """Find out whether a folder of restored images has a file for each of the originals. Raises InputError."""
    for method in map(open_method, (one for one in methods if one.kind == spec.FOLDER)):
        if isinstance(method, Folder):
            method.check_apart(names, config.colours, config.qualities)


def _opened(found: Prepared, where: str, colours: tuple[str, ...]) -> Prepared:
    """A method that can be opened, and takes these colours. Raises FormatError, ConfigError."""
    if open_method(found).colour == "rgb" and set(colours) != {"rgb"}:
        raise ConfigError(f"method {found.name}: {where} restores colour images alone; use --colour rgb")
    return found


def digest(folder: Path) -> str:
    """A digest of a restorer's files. Raises FormatError where it is none."""
    from ced.restoration import restorer as restore

    restore.Restorer.load(folder)
    return fingerprint({path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name in restore.FILES})


@functools.lru_cache(maxsize=16)
def open_method(prepared: Prepared) -> Method:
    """The method, ready to restore; loaded once a process."""
    if prepared.each:
        one = prepared._replace(kind=spec.RESTORER, each=())
        folders = {such: _at(prepared.kind, prepared.target, *such) for such in prepared.each}
        return PerQuality(prepared.name, {such: open_method(one._replace(target=folders[such])) for such in folders})
    if prepared.kind == spec.RESTORER:
        from ced.restoration import restorer as restore  # and with it torch: jpeg, folders and commands do without

        loaded = restore.Restorer.load(prepared.target, self_ensemble=prepared.self_ensemble)
        return Network(prepared.name, loaded, prepared.through)
    if prepared.kind == spec.PYFUNC:
        model = pyfunc.load(Path(prepared.target), prepared.name)
        return Pyfunc(prepared.name, model.predict, form_of(model, prepared.name), prepared.through)
    if prepared.kind == spec.FOLDER:
        return Folder(prepared.name, Path(prepared.target))
    if prepared.kind == spec.COMMAND:
        words = command.words(prepared.name, prepared.target)
        return command.Command(prepared.name, words, Path(prepared.folder), prepared.timeout)
    if prepared.kind == spec.JPEG:
        return Jpeg()
    raise ConfigError(f"method {prepared.name}: nothing is of kind {prepared.kind!r}; prepare it with this ced")


def _of_each_quality(asked: Spec, config: Wanted) -> Prepared:
    """A restorer for each quality factor, as in the paper: {quality} in the path, or what comes with ced."""
    each = tuple(itertools.product(config.colours, config.qualities))
    folders = {such: _at(asked.kind, asked.target, *such) for such in each}
    uses = dict.fromkeys((folder, colour) for (colour, _), folder in folders.items())
    contents = {folder: restorer(asked.name, Path(folder), (colour,)).content for folder, colour in uses}
    content = fingerprint({f"{colour} {quality}": contents[folders[colour, quality]] for colour, quality in each})
    target = str(Path(asked.target).resolve()) if asked.target else ""
    return Prepared(asked.name, asked.kind, target, content, each=each)


def _at(kind: str, target: str, colour: str, quality: int) -> str:
    """The folder of the restorer for a quality factor; of what comes with ced the one that `ced restore` takes."""
    if kind == RELEASED:
        from ced.restoration import restorer as restore

        return str(restore.released(quality, in_colour=colour == "rgb"))
    return target.replace(_QUALITY, str(quality))


def _folder(asked: Spec, config: Wanted) -> Prepared:
    folder = Path(asked.target)
    if not folder.is_dir():
        raise InputError(f"method {asked.name}: {folder}: no such folder; give one of restored images")
    tops = {colour: of_colour(folder, colour) for colour in config.colours}
    if len(set(tops.values())) < len(tops):
        raise InputError(f"method {asked.name}: {folder} has no y and rgb; with several colours it needs them")
    taken = [place for top in tops.values() for place in _places(asked.name, top, config.qualities)]
    try:
        content = sources.content(sources.find(tuple(map(str, taken))))
    except InputError as error:
        raise InputError(f"method {asked.name}: {error}") from None
    return Prepared(asked.name, spec.FOLDER, str(folder.resolve()), content)


def _places(name: str, folder: Path, qualities: tuple[int, ...]) -> list[Path]:
    """The folders that images are taken from. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"method {name}: {folder}: no such folder; restore images of this colour too")
    if has_qualities(folder):
        missing = [f"q{quality}" for quality in qualities if not (folder / f"q{quality}").is_dir()]
        if missing:
            raise InputError(f"method {name}: {folder} has no {', '.join(missing)}; restore these qualities too")
        return [folder / f"q{quality}" for quality in qualities]
    if len(qualities) > 1:
        raise InputError(f"method {name}: {folder} has no q10, q20, ...; with several qualities it needs them")
    return [folder]


def _command(asked: Spec, config: Wanted) -> Prepared:
    words = command.words(asked.name, asked.target)
    stamps = {str(path): _stamp(path) for path in (command.program(words), *command.files(words)) if path}
    content = fingerprint(asked.target, stamps)
    return Prepared(asked.name, spec.COMMAND, asked.target, content, str(Path.cwd()), config.timeout)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _model(asked: Spec, config: Wanted, store: Path) -> Prepared:
    """A model of MLflow, copied into the store, where all machines of a job see it: a restorer, or any pyfunc."""
    from ced.restoration import restorer as restore
    from ced.tracking import client

    tracking = settings.load().mlflow_uri or client.local_uri(store)
    client.check(tracking)
    found = client.resolve_model(tracking, asked.target)
    inside = found / client.RESTORER
    if inside.is_dir():
        files = {path.name: path for path in inside.iterdir() if path.name in restore.FILES}
        return restorer(asked.name, _copied(files, store / "models" / digest(inside)), config.colours)
    files = {path.relative_to(found).as_posix(): path for path in sorted(found.rglob("*")) if path.is_file()}
    content = fingerprint({name: sha256(path) for name, path in files.items()})
    folder = _copied(files, store / "models" / content)
    return _opened(Prepared(asked.name, spec.PYFUNC, str(folder.resolve()), content), asked.target, config.colours)


def _copied(files: dict[str, Path], folder: Path) -> Path:
    for name, path in files.items():
        if not (folder / name).exists():
            write_bytes(folder / name, path.read_bytes())
    return folder
