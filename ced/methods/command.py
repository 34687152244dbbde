"""Any program that reads a JPEG file and writes an image file, as a method."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ced.config import fingerprint
from ced.errors import ConfigError
from ced.methods.folder import pixels
from ced.methods.method import Conditions, Damaged, Failed, Find, Request

_NEEDED = ("{input}", "{output}")
_LAST = 4096  # bytes of a program's output that are looked at


@dataclass(frozen=True)
class CommandMethod:
    """A command line with {input}, {output} and, where wanted, {quality}. No shell sees it.

    {input} is a .jpg file; {output} ends in .png, and what is written there may be any image format. Both lie in a
    folder of their own, which is removed afterwards.
    """

    name: str
    words: tuple[str, ...]
    folder: Path  # that it runs in
    timeout: float  # seconds
    content: str = ""
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = True

    def load(self) -> None:
        """Nothing is needed."""

    def restore(self, damaged: Damaged) -> np.ndarray:
        """What the program has written. Raises Failed where it ends badly, late, or without an image."""
        with tempfile.TemporaryDirectory(prefix="ced-") as scratch:
            source, target = Path(scratch, "input.jpg"), Path(scratch, "output.png")
            source.write_bytes(damaged.stream)
            filled = {"{input}": str(source), "{output}": str(target), "{quality}": str(damaged.quality)}
            words = [_fill(word, filled) for word in self.words]
            code, last = run(words, self.folder, Path(scratch, "log"), self.timeout)
            said = f" ({last})" if last else ""
            if code is None:
                raise Failed("timeout", f"{self.words[0]} was stopped after {self.timeout:g} s")
            if code != 0:
                raise Failed("exit code", f"{self.words[0]} ended with {code}{said}")
            if not target.is_file():
                raise Failed("no output", f"{self.words[0]} has written no {{output}}{said}")
            return pixels(target.read_bytes(), damaged, f"output of {self.words[0]}")


def _find(request: Request, conditions: Conditions, store: Path) -> CommandMethod:
    split = words(request.name, request.target)
    stats = {str(path): path.stat() for path in (program(split), *files(split)) if path}
    stamps = {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()}
    content = fingerprint(request.target, stamps)
    return CommandMethod(request.name, split, Path.cwd(), conditions.timeout, content)


ENTRIES: dict[str, Find] = {"command": _find}


def words(name: str, line: str) -> tuple[str, ...]:
    """A command line apart in words, its program found. Raises ConfigError."""
    try:
        split = tuple(shlex.split(line))
    except ValueError as error:
        raise ConfigError(f"method {name}: {line!r}: {error}") from None
    missing = [field for field in _NEEDED if not any(field in word for word in split)]
    if missing:
        raise ConfigError(f"method {name}: no {' and no '.join(missing)} in {line!r}; say where the files go")
    if program(split) is None:
        raise ConfigError(f"method {name}: no program {split[0]!r}; install it or give its path")
    return split


def program(words: tuple[str, ...]) -> Path | None:
    """The file that a command runs."""
    path = shutil.which(words[0])
    return Path(path).resolve() if path else None


def files(words: tuple[str, ...]) -> list[Path]:
    """The files that a command line names, alone or behind an equals sign: a script, its weights. Where one of them
    changes, the method is another one."""
    named = [Path(text).resolve() for word in words for text in dict.fromkeys((word, word.partition("=")[2])) if text]
    return [path for path in named if os.path.isfile(path)]  # False for what is too long for a name, say


def _fill(word: str, values: dict[str, str]) -> str:
    for field, text in values.items():
        word = word.replace(field, text)
    return word


def run(words: list[str], folder: Path, output: Path, timeout: float) -> tuple[int | None, str]:
    """Run a program in `folder`, for at most `timeout` seconds. Its output goes to the file `output`, of any length.

    Returns its exit code, None where it was stopped for being late, and its last line of output. A program that cannot
    be started ends with 127, as in a shell.
    """
    with open(output, "wb") as log:
        try:
            process = subprocess.Popen(
                words, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            return 127, error.strerror or type(error).__name__
        code: int | None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has left running goes with it
            process.wait()
    return code, _last_line(output)


def _last_line(path: Path) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST))
        lines = file.read().decode("utf-8", "replace").split("\n")
    full = [line.strip() for line in lines if line.strip()]
    return "".join(character for character in full[-1] if character.isprintable())[:300] if full else ""
