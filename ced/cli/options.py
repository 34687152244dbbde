"""What commands take: a dataclass of options for each, from which its parser and its help follow.

    @dataclass(frozen=True, kw_only=True)
    class EvaluateOptions(StoreOptions):
        images: str = option("SRC", "test images")  # required
        name: str | None = option("NAME", "of the data set")  # None where it is left out
        quality: list[int] = option("QF", "JPEG quality factor; repeatable")  # empty where it is left out
        lpips: bool = option(help="measure LPIPS too")
        out: str = option("PNG", "the picture", short="-o", default="sheet.png")

It is argparse underneath: `ced train --without-ray` runs where torch, numpy, pyarrow, Pillow and safetensors alone are
installed.
"""

import argparse
import dataclasses
import inspect
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, get_args, get_origin

from ced.errors import CedError, ConfigError, unknown


class Option(NamedTuple):
    """How an option is written, and what its help says of it."""

    metavar: str = ""
    help: str = ""
    name: str = ""  # "" = the field's
    short: str = ""  # a second name of one letter, such as "-o"
    positional: bool = False
    choices: tuple[str, ...] = ()
    default: object = None  # of what is neither a list, a flag nor None where it is left out; None = required
    setting: str = ""  # the section.key that the text is the value of


def option(metavar: str = "", help: str = "", **others: Any) -> Any:
    """A field of a dataclass of options."""
    return written_as(Option(metavar, help, **others))


def written_as(*options: Option) -> Any:
    """A field of a dataclass of options that can be written in several ways."""
    return dataclasses.field(metadata={"options": options})


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, with the nearest command or model."""

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            name = action.metavar.lower() if isinstance(action.metavar, str) else action.dest
            name = action.option_strings[-1].lstrip("-") if action.option_strings else name
            raise CedError(unknown(name, value, action.choices))

    def _get_value(self, action: argparse.Action, value: str) -> Any:
        """An empty word is a variable that is not set: as a path it would be this folder."""
        if not value and action.nargs != argparse.PARSER:  # a command takes all words that follow it
            name = "/".join(action.option_strings) or str(action.metavar or action.dest)
            raise CedError(f"{name} is empty; name something" + (", or leave it out" if action.option_strings else ""))
        return super()._get_value(action, value)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ced: error: {message}; see `{self.prog} --help`\n")


def declare(parser: argparse.ArgumentParser, options: type[Any]) -> None:
    """The arguments of a dataclass of options: its own first, then those that it inherits."""
    fields = {field.name: field for field in dataclasses.fields(options)}
    for name in dict.fromkeys(name for cls in options.__mro__ for name in inspect.get_annotations(cls)):
        for declared in fields[name].metadata["options"]:
            _declare(parser, name, fields[name].type, declared)


def _declare(parser: argparse.ArgumentParser, field: str, kind: Any, option: Option) -> None:
    several, optional = get_origin(kind) is list, isinstance(kind, types.UnionType)
    required = option.default is None and not (several or optional or kind is bool)
    arguments: dict[str, Any] = {"help": option.help, "default": option.default}
    if kind is bool:
        arguments |= {"action": "store_true", "default": False}
    else:
        text = f"{option.setting}={{}}".format if option.setting else None
        arguments["type"] = text or (get_args(kind)[0] if several or optional else kind)
        arguments |= {"metavar": option.metavar or None, "choices": option.choices or None}
    if option.positional:
        parser.add_argument(field, nargs="+" if several else None if required else "?", **arguments)
        return
    if several:
        arguments |= {"action": "append", "default": []}
    names = [option.short] if option.short else []
    names.append(option.name or f"--{field.replace('_', '-')}")
    parser.add_argument(*names, dest=field, required=required, **arguments)


SET = Option("section.key=value", "any setting of the configuration; repeatable", "--set")
PATTERN = Option("GLOB", "take only names that match, such as '*/test/*.JPEG'", "--pattern", setting="prepare.pattern")
STORE = Option("DIR", "where outputs are kept (CED_STORE, .ced)")
MODELS = Option("DIR", "a folder that `ced train -o` wrote, for bare method names")


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """What every command that runs stages takes: the store, settings and the cluster."""

    store: str | None = written_as(STORE)
    settings: list[str] = written_as(SET)
    ray_address: str | None = option("HOST:PORT", "a Ray cluster (RAY_ADDRESS); default: a private one")


@dataclass(frozen=True, kw_only=True)
class PhotographOptions(StoreOptions):
    """And those whose stages begin with photographs."""

    recipe: str = option("RECIPE", "default: quickstart", default="quickstart")
    images: list[str] = option(
        "SRC",
        "training photographs: a folder, an archive, a list of paths, wildcards, any of them on s3://, "
        "or builtin:train; repeatable",
    )
    settings: list[str] = written_as(PATTERN, SET)


def refuse_ignored(settings: Sequence[str], counting: Collection[str], options: Mapping[str, str]) -> None:
    """Raises ConfigError for a setting `section.key=value` that a command would pass over in silence.

    Those of `counting` count, "section.*" for all of a section; `options` are the options of the command line by the
    setting whose place they take.
    """
    for setting in settings:
        path = setting.partition("=")[0].strip()
        if path in options:
            raise ConfigError(f"--set {path} beside {options[path]}: give one of the two")
        if path not in counting and f"{path.partition('.')[0]}.*" not in counting:
            *others, last = sorted(counting)
            listed = f"{', '.join(others)} and {last}" if others else last
            raise ConfigError(f"--set {path}: does not count here, where {listed} do; leave it out")
