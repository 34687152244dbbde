"""`--set section.key=value`: settings as text, put in their places."""

import contextlib
import dataclasses
import math
import typing
from collections.abc import Iterable

from ced.config import SECTIONS, Config, TrainConfig
from ced.errors import ConfigError, unknown


def override(config: Config, settings: Iterable[str]) -> Config:
    """`config` with each `section.key=value` of `settings` put in its place.

    Raises ConfigError for an unknown section or key (with the nearest name) or a value of another type.
    """
    for setting in settings:
        path, separator, text = setting.partition("=")
        section, dot, key = path.strip().partition(".")
        if not separator or not dot:
            raise ConfigError(f"setting {setting!r}: write it as section.key=value")
        if section not in SECTIONS:
            raise ConfigError(f"setting {setting!r}: {unknown('section', section, SECTIONS)}")
        part = getattr(config, section)
        types = typing.get_type_hints(type(part))
        if key not in types:
            raise ConfigError(f"setting {setting!r}: {unknown('key', key, types)}")
        value = _parse(setting, text.strip(), types[key])
        try:
            changed = dataclasses.replace(part, **{key: value})
        except ConfigError as error:  # a TrainConfig does not know which of the two sections it is
            raise ConfigError(f"{section}.{error}" if isinstance(part, TrainConfig) else str(error)) from None
        config = dataclasses.replace(config, **{section: changed})
    return config


def _parse(setting: str, text: str, kind: object) -> object:
    items = typing.get_args(kind)
    if items:
        return tuple(_parse(setting, item.strip(), items[0]) for item in text.split(",") if item.strip())
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() in words:
            return words[text.lower()]
    elif kind is str:
        return text
    elif kind in (int, float):
        with contextlib.suppress(ValueError, OverflowError):
            number: float = kind(text)
            if math.isfinite(number):
                return number
    raise ConfigError(f"setting {setting!r}: {text!r} is not {_KINDS[kind]}")


_KINDS: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number"}
