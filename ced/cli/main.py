"""The command `ced`: what goes wrong is one line and an exit code."""

import importlib
import io
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from ced import environment
from ced.cli.arguments import COMMANDS, parser
from ced.errors import CedError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0, 2 for a mistake of the user's, 130 where stopped."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    _forgive(sys.stdout)
    environment.quiet()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("ced").setLevel(logging.INFO)
    try:
        arguments = parser().parse_args(argv)
        module = importlib.import_module(COMMANDS[arguments.command].module)
        function = getattr(arguments, "subcommand", arguments.command)
        getattr(module, function.replace("-", "_"))(arguments)
    except CedError as error:
        print(f"ced: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ced: stopped; the same command goes on where this one ended", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _forgive(stream: TextIO) -> None:
    """What an output's encoding has no letter for (rules of tables, names of images) is a question mark, no failure."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def _stop(number: int, frame: object) -> None:
    """SIGTERM is Ctrl-C: what is under way is left in order."""
    raise KeyboardInterrupt
