"""What a section of settings is: a frozen dataclass whose annotations say what each setting takes.

    steps: Annotated[int, Check(lambda steps: steps >= 1, "use 1 or more")] = 1000

From the annotation follow the check of a value, the line that refuses it, how the text of `--set` is read, and how the
JSON of a job or a manifest is. These are plain dataclasses, not pydantic's: training needs them on machines that have
torch, numpy, pyarrow, Pillow and safetensors alone.
"""

import contextlib
import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, get_args, get_origin

from ced.errors import ConfigError, FormatError, unknown

T = TypeVar("T")

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class Check(NamedTuple):
    """What a setting's value has to fulfil, and the advice where it does not."""

    holds: Callable[[Any], bool]
    cure: str
    names: tuple[str, ...] = ()  # where it has to be one of a few

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """What a form says of the setting, made by pydantic where that is installed."""
        return {**handler(core), "description": self.cure} | ({"enum": list(self.names)} if self.names else {})


def one_of(*names: str) -> Check:
    """The check of a setting that is one of a few words."""
    listed = f"use one of {', '.join(names)}" if len(names) > 2 else f"use {' or '.join(names)}"
    return Check(lambda value: value in names, listed, names)


def matching(pattern: str, cure: str) -> Check:
    """The check of a text that a regular expression describes as a whole."""
    return Check(lambda text: re.fullmatch(pattern, text) is not None, cure)


def require(holds: bool, setting: str, value: object, cure: str) -> None:
    """Raises ConfigError in the one form that all refused values have."""
    if not holds:
        raise ConfigError(f"{setting} = {value!r}: {cure}")


class Section:
    """The base of all sections: a value of another type, or one that fails a check, is refused with ConfigError.

    What concerns several settings together is checked in the `__post_init__` of the subclass, after this one.
    """

    PREFIX: ClassVar[str]  # stands before a setting's name in errors, such as "prepare."

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls.PREFIX = prefix

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            _check(f"{self.PREFIX}{name}", getattr(self, name), kind)


def kinds(section: type) -> dict[str, Any]:
    """The annotation of each setting, by name."""
    return {field.name: field.type for field in dataclasses.fields(section)}


def _unwrapped(kind: object) -> tuple[Any, tuple[Check, ...]]:
    """The type below Annotated, and the checks beside it."""
    if get_origin(kind) is not Annotated:
        return kind, ()
    plain, *checks = get_args(kind)
    return plain, tuple(checks)


def _check(setting: str, value: Any, kind: object) -> None:
    plain, checks = _unwrapped(kind)
    if get_origin(plain) is tuple:
        require(isinstance(value, tuple), setting, value, "use a tuple")
        for item in value:
            _check(setting, item, get_args(plain)[0])
    elif plain in (int, float):  # a whole number is a number; True is neither
        number = isinstance(value, int) and not isinstance(value, bool)
        number = number or (plain is float and isinstance(value, float) and math.isfinite(value))
        require(number, setting, value, f"use {_KINDS[plain]}")
    else:
        require(isinstance(value, plain), setting, value, f"use {_KINDS.get(plain, plain.__name__)}")
    for check in checks:
        require(check.holds(value), setting, value, check.cure)


def parse(text: str, kind: object) -> object:
    """The value that a user's text stands for; several are apart by commas. Raises ConfigError for another type."""
    plain, _ = _unwrapped(kind)
    if get_origin(plain) is tuple:
        return tuple(parse(item.strip(), get_args(plain)[0]) for item in text.split(",") if item.strip())
    if plain is str:
        return text
    if plain is bool and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if plain in (int, float):
        with contextlib.suppress(ValueError, OverflowError):
            number: float = plain(text)
            if math.isfinite(number):
                return number
    raise ConfigError(f"{text!r} is not {_KINDS[plain]}")


def as_text(value: object) -> str:
    """The text that `parse` makes `value` of."""
    if isinstance(value, tuple | list):
        return ",".join(map(as_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(cls: type[T], stored: Mapping[str, Any], where: str) -> T:
    """The dataclass of JSON values: lists are tuples, and objects the dataclasses that its fields name.

    Raises FormatError, naming the file `where`, for an unknown key or a value that its field does not take, TypeError
    where a key is missing.
    """
    known = kinds(cls)
    values: dict[str, Any] = {}
    for key, value in dict(stored).items():
        if key not in known:
            raise FormatError(f"{where}: {unknown('key', key, known)}")
        if dataclasses.is_dataclass(known[key]):
            value = read(known[key], value, where)
        values[key] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**values)
    except ConfigError as error:
        raise FormatError(f"{where}: {error}") from None
