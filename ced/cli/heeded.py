"""Settings and options that a command would pass over in silence are refused."""

from collections.abc import Collection, Mapping, Sequence

from ced.errors import ConfigError
from ced.methods.method import TRAINED, parse


def check(settings: Sequence[str], heeded: Collection[str], given: Mapping[str, str]) -> None:
    """Raises ConfigError for a setting `section.key=value` that does not count.

    Those of `heeded` do, "section.*" for all of a section; `given` are the options that were given, by the setting
    whose place they take.
    """
    for setting in settings:
        path = setting.partition("=")[0].strip()
        if path in given:
            raise ConfigError(f"--set {path} beside {given[path]}: give one of the two")
        if path not in heeded and f"{path.partition('.')[0]}.*" not in heeded:
            raise ConfigError(f"--set {path}: does not count here, where {_listed(heeded)} do; leave it out")


def models(folder: str | None, texts: Sequence[str]) -> None:
    """Raises ConfigError for a folder --models where all of the methods, as they are written, say where they are."""
    if folder is not None and all(parse(text).kind != TRAINED for text in texts):
        raise ConfigError(f"--models {folder}: no trained method is asked for; name some with --methods, as ed,ced-gt")


def _listed(names: Collection[str]) -> str:
    *others, last = sorted(names)
    return f"{', '.join(others)} and {last}" if others else last
