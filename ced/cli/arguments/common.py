"""What several commands take, and how mistakes are told."""

import argparse
from typing import Any, NoReturn

from ced.config import RELEASED
from ced.errors import CedError, unknown

_SOURCES = "a folder, an archive, a list of paths, any of them on s3://,"


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, with the nearest command or model."""

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            name = action.metavar.lower() if isinstance(action.metavar, str) else action.dest
            name = action.option_strings[-1].lstrip("-") if action.option_strings else name
            raise CedError(unknown(name, value, action.choices))

    def _get_value(self, action: argparse.Action, value: str) -> Any:
        """An empty word is a variable that is not set: as a path it would be this folder."""
        if not value and action.nargs != argparse.PARSER:  # a command is given all words that follow it
            name = "/".join(action.option_strings) or str(action.metavar or action.dest)
            raise CedError(f"{name} is empty; name something" + (", or leave it out" if action.option_strings else ""))
        return super()._get_value(action, value)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ced: error: {message}; see `{self.prog} --help`\n")


def recipe(parser: argparse.ArgumentParser, positional: bool) -> None:
    """The recipe: RECIPE where it is positional, --recipe where not."""
    if positional:
        parser.add_argument("recipe", nargs="?", default="quickstart", metavar="RECIPE", help="default: quickstart")
    else:
        parser.add_argument("--recipe", default="quickstart", metavar="RECIPE", help="default: quickstart")


def images(parser: argparse.ArgumentParser) -> None:
    """Training photographs."""
    parser.add_argument(
        "--images",
        action="append",
        metavar="SRC",
        help=f"training photographs: {_SOURCES} or builtin:train; repeatable",
    )
    parser.add_argument(
        "--pattern",
        action="append",
        default=[],
        dest="settings",
        type="prepare.pattern={}".format,
        metavar="GLOB",
        help="take only names that match, such as '*/test/*.JPEG'",
    )


def training(parser: argparse.ArgumentParser) -> None:
    """What is trained on, and how."""
    parser.add_argument("--data", metavar="DIR", help="a folder that `ced prepare -o` wrote, instead of --images")
    parser.add_argument("--device", metavar="NAME", help="device of --without-ray, such as cpu or cuda")
    parser.add_argument("--without-ray", action="store_true", help="train in this process, without Ray Train")
    parser.add_argument(
        "--start-from",
        metavar="[MODEL=]DIR",
        action="append",
        default=[],
        help=f"begin with weights that are trained already, of all models or of one: a folder of `ced train -o`, "
        f"a restorer, or {RELEASED}; repeatable",
    )


def settings(parser: argparse.ArgumentParser) -> None:
    """--set, any setting of the configuration."""
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="section.key=value", help="repeatable"
    )


def shared(parser: argparse.ArgumentParser) -> None:
    """The store, settings and the cluster."""
    parser.add_argument("--store", metavar="DIR", help="where outputs are kept (CED_STORE, .ced)")
    settings(parser)
    parser.add_argument(
        "--ray-address", metavar="HOST:PORT", help="a Ray cluster (RAY_ADDRESS); default: a private one"
    )
