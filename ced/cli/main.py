"""The command `ced`: what goes wrong is one line and an exit code."""

import argparse
import importlib
import io
import logging
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

from ced import __version__, environment, progress
from ced.cli.options import Parser, declare
from ced.cli.stop import LINE, Stop
from ced.errors import CedError, LostError, of_the_machine


class Subcommand(NamedTuple):
    """What a command is in a line, and the function that does its work, imported only when it is asked for."""

    about: str
    function: str = ""  # as "module:function", of one parameter, its options; "" = a group of commands
    metavar: str = "COMMAND"  # what its commands are called
    examples: str = ""  # lines to type, below its options


# What `ced restore` does without, by the names that are imported: the extra "pipeline" of the package.
PIPELINE = (
    *("ray", "prefect", "pydantic", "fastapi", "mlflow", "pandas"),
    *("rich", "matplotlib", "jinja2", "skimage", "sklearn"),
)

RESTORE = """five things people want:
  one photograph       ced restore photo.jpg -o photo.png
  a folder             ced restore holiday/ -o restored/
  nothing invented     ced restore scans/ -o restored/ --faithful
  small files          ced restore holiday/ -o restored/ --format webp --output-quality 90
  in a pipe            cat photo.jpg | ced restore - -o - > photo.png
docs/restore.md says what becomes of every kind of file; `ced app` does the same with a mouse."""

COMMANDS = {
    "run": Subcommand("the whole pipeline: photographs in, tables, report and registered model out", "ced.cli.run:run"),
    "prepare": Subcommand("photographs -> labelled examples", "ced.cli.stages:prepare"),
    "train": Subcommand("labelled examples -> weights of one model", "ced.cli.stages:train"),
    "evaluate": Subcommand("test images and methods -> table, report and figures", "ced.cli.evaluate:evaluate"),
    "evaluate-vision": Subcommand(
        "labelled test images -> detection and segmentation scores", "ced.cli.evaluate:evaluate_vision"
    ),
    "report": Subcommand("the page and the figures of a finished evaluation, drawn again", "ced.cli.evaluate:report"),
    "experiment": Subcommand("the paper's other experiments: its figures beside ours", metavar="EXPERIMENT"),
    "experiment stages": Subcommand(
        "Table 1: the accuracy of each stage of a three-stage classifier on held-out photographs",
        "ced.cli.stages:accuracy",
    ),
    "experiment decoder-weights": Subcommand(
        "section 3.4: how much the decoder looks at q, trained with q-hat and trained with q",
        "ced.cli.stages:decoder_weights",
    ),
    "restore": Subcommand("bad JPEGs -> restored PNGs", "ced.cli.restore:restore", examples=RESTORE),
    "app": Subcommand("a page in the browser that restores photographs on this machine", "ced.cli.app:app"),
    "data": Subcommand("check outputs part by part, or show what is in them"),
    "data verify": Subcommand("is every part there, unaltered, and do the counts add up", "ced.cli.inspect:verify"),
    "data show": Subcommand(
        "configuration, columns and class balance in words, and examples as a picture", "ced.cli.inspect:show"
    ),
    "recipes": Subcommand("list the recipes, or show one", "ced.cli.inspect:recipes"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0, 2 for a mistake of the user's, 130 or 143 where stopped."""
    with Stop() as stop:
        code = _run(sys.argv[1:] if argv is None else argv, stop)
        if code and argv is None:
            stop.leave(code)
    return code


def _run(words: Sequence[str], stop: Stop) -> int:
    _print_any_letter(sys.stdout)
    environment.quiet()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    progress.enable()
    try:
        function, options = parse(words)
        function(options)
    except LostError:  # which was said at once
        return LostError.exit_code
    except CedError as error:
        return _stopped(stop) if stop.signal else _refuse(error)
    except KeyboardInterrupt as error:
        return _stopped(stop, str(error) or LINE)
    except BrokenPipeError:
        return 0
    except Exception as error:
        if stop.signal:  # what libraries make of an interrupt
            return _stopped(stop)
        line = _outside(error)
        if line is None:
            raise
        return _refuse(line)
    return 0


def _outside(error: Exception) -> CedError | None:
    """An error that is not ced's own as a mistake outside the program; None for any other."""
    if isinstance(error, OSError):
        return of_the_machine(error)
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    extra = "app" if package == "streamlit" else "pipeline" if package in PIPELINE else ""
    return CedError(f"this needs {package}, which is not here; pip install 'ced[{extra}]'") if extra else None


def _refuse(error: CedError) -> int:
    print(f"ced: error: {error}", file=sys.stderr)
    return error.exit_code


def _stopped(stop: Stop, line: str = LINE) -> int:
    print(line, file=sys.stderr)
    return stop.code


def parse(words: Sequence[str]) -> tuple[Callable[[Any], None], Any]:
    """The function of the command that `words` name, and its options. Raises CedError, or SystemExit with a line."""
    parser = Parser(prog="ced", description="Restores JPEG images by estimating the frequencies they lost.")
    parser.add_argument("--version", action="version", version=f"ced {__version__}")
    groups = {"": parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)}
    named = [word for word in words if not word.startswith("-")]
    function, options = None, None
    for name, command in COMMANDS.items():
        group, _, last = name.rpartition(" ")
        added = groups[group].add_parser(last, help=command.about, description=command.about, epilog=command.examples)
        if command.examples:
            added.formatter_class = argparse.RawDescriptionHelpFormatter
        if not command.function:
            groups[name] = added.add_subparsers(required=True, metavar=command.metavar, parser_class=Parser)
        elif named[: name.count(" ") + 1] == name.split():
            function, options = load(command)
            declare(added, options)
    values = vars(parser.parse_args(words))
    assert function is not None and options is not None, "a parser that ended well has met a command"
    return function, options(**values)


def load(command: Subcommand) -> tuple[Callable[[Any], None], type[Any]]:
    """A command's function, and the class of its options."""
    module, _, name = command.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    return function, next(iter(typing.get_type_hints(function).values()))


def _print_any_letter(stream: TextIO) -> None:
    """What an output's encoding has no letter for (rules of tables, names of images) is a question mark, no failure."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
