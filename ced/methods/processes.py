"""Other programs: started without a shell, ended with all that they started."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

_LAST = 4096  # bytes of a program's output that are looked at


class Ended(NamedTuple):
    """How a program ended: its exit code, None where it was stopped for being late, and its last line of output."""

    code: int | None
    last: str


def run(words: list[str], folder: Path, output: Path, timeout: float) -> Ended:
    """Run a program in `folder`, for at most `timeout` seconds. What it says goes to the file `output`, of any length.

    A program that cannot be started ends with 127, as in a shell.
    """
    with open(output, "wb") as said:
        try:
            process = subprocess.Popen(
                words, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        except OSError as error:
            return Ended(127, error.strerror or type(error).__name__)
        code: int | None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has left running goes with it
            process.wait()
    return Ended(code, _last_line(output))


def _last_line(path: Path) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST))
        lines = file.read().decode("utf-8", "replace").split("\n")
    told = [line.strip() for line in lines if line.strip()]
    return "".join(character for character in told[-1] if character.isprintable())[:300] if told else ""
