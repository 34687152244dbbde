"""Files that are there whole or not at all."""

import os
from pathlib import Path

from ced.errors import OutputError


def write(path: Path, data: bytes | memoryview, settled: bool = True) -> None:
    """Put `data` at `path` in one step: whatever happens meanwhile, the former file or the new one is there.

    With `settled` the new one is there for good; without, a power cut may bring the former one back, until `settle`.
    Raises OutputError where it cannot be written (a full disk, say); the former file is then intact.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if settled:
            settle(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def append(path: Path, line: str) -> None:
    """Add a line to `path`, down to the disk. Raises OutputError."""
    try:
        with path.open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from None


def make_folder(path: Path) -> None:
    """Make the folder, where it is not there. Raises OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def settle(folder: Path) -> None:
    """Bring the names in a folder to the disk: a rename is there only once its folder is. Raises OutputError."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror}); make room or name another folder")
