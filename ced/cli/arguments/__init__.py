"""The arguments of every command. The work is in other modules, imported only when it is wanted."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from ced import __version__
from ced.cli.arguments import judging, making, using
from ced.cli.arguments.common import Parser


class Command(NamedTuple):
    """A command: the module that does its work, its arguments, and what it is in a line."""

    module: str
    arguments: Callable[[argparse.ArgumentParser], None]
    about: str


COMMANDS = {
    "run": Command(
        "ced.cli.run", making.run, "the whole pipeline: photographs in, tables, report and registered model out"
    ),
    "prepare": Command("ced.cli.stages", making.prepare, "photographs -> labelled examples"),
    "train": Command("ced.cli.stages", making.train, "labelled examples -> weights of one model"),
    "evaluate": Command("ced.cli.evaluate", judging.evaluate, "test images and methods -> table, report and figures"),
    "evaluate-vision": Command(
        "ced.cli.evaluate_vision", judging.evaluate_vision, "labelled test images -> detection and segmentation scores"
    ),
    "report": Command(
        "ced.cli.report", judging.report, "the page and the figures of a finished evaluation, drawn again"
    ),
    "experiment": Command(
        "ced.cli.experiment", making.experiment, "the paper's other experiments: its figures beside ours"
    ),
    "restore": Command("ced.cli.restore", using.restore, "bad JPEGs -> restored PNGs"),
    "data": Command("ced.cli.data", using.data, "check outputs part by part, or show what is in them"),
    "recipes": Command("ced.cli.recipes", using.recipes, "list the recipes, or show one"),
}


def parser() -> argparse.ArgumentParser:
    """The parser of `ced`: which command, and what for it."""
    whole = Parser(prog="ced", description="Restores JPEG images by estimating the frequencies they lost.")
    whole.add_argument("--version", action="version", version=f"ced {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, help=command.about, description=command.about))
    return whole
