"""Any program that reads a JPEG file and writes an image file, as a method."""

import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ced.errors import ConfigError
from ced.methods import processes
from ced.methods.given import pixels
from ced.methods.protocol import Damaged, Failed

_NEEDED = ("{input}", "{output}")


@dataclass(frozen=True)
class Command:
    """A command line with {input}, {output} and, where wanted, {quality}. No shell sees it.

    {input} is a .jpg file; {output} ends in .png, and what is written there may be any image format. Both lie in a
    folder of their own, which is removed afterwards.
    """

    name: str
    words: tuple[str, ...]
    folder: Path  # that it runs in
    timeout: float  # seconds
    colour: str = "any"
    timed: bool = True

    def restore(self, damaged: Damaged) -> np.ndarray:
        """What the program has written. Raises Failed where it ends badly, late, or without an image."""
        with tempfile.TemporaryDirectory(prefix="ced-") as scratch:
            source, target = Path(scratch, "input.jpg"), Path(scratch, "output.png")
            source.write_bytes(damaged.stream)
            filled = {"{input}": str(source), "{output}": str(target), "{quality}": str(damaged.quality)}
            ended = processes.run(
                [_fill(word, filled) for word in self.words], self.folder, Path(scratch, "said"), self.timeout
            )
            if ended.code is None:
                raise Failed("timeout", f"{self.words[0]} was stopped after {self.timeout:g} s")
            if ended.code != 0:
                raise Failed("exit code", f"{self.words[0]} ended with {ended.code}{_said(ended.last)}")
            if not target.is_file():
                raise Failed("no output", f"{self.words[0]} has written no {{output}}{_said(ended.last)}")
            return pixels(target.read_bytes(), damaged, f"output of {self.words[0]}")


def words(name: str, line: str) -> tuple[str, ...]:
    """A command line apart in words, its program found. Raises ConfigError."""
    try:
        found = tuple(shlex.split(line))
    except ValueError as error:
        raise ConfigError(f"method {name}: {line!r}: {error}") from None
    missing = [place for place in _NEEDED if not any(place in word for word in found)]
    if missing:
        raise ConfigError(f"method {name}: no {' and no '.join(missing)} in {line!r}; say where the files go")
    if program(found) is None:
        raise ConfigError(f"method {name}: no program {found[0]!r}; install it or give its path")
    return found


def program(words: tuple[str, ...]) -> Path | None:
    """The file that a command runs."""
    found = shutil.which(words[0])
    return Path(found).resolve() if found else None


def files(words: tuple[str, ...]) -> list[Path]:
    """The files that a command line names, alone or behind an equals sign: a script, its weights. Where one of them
    changes, the method is another one."""
    named = [Path(text).resolve() for word in words for text in dict.fromkeys((word, word.partition("=")[2])) if text]
    return [path for path in named if _is_file(path)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, say
        return False


def _fill(word: str, filled: dict[str, str]) -> str:
    for place, text in filled.items():
        word = word.replace(place, text)
    return word


def _said(last: str) -> str:
    return f" ({last})" if last else ""
