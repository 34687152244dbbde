"""A finished report in a folder of the user's: what an earlier report left there is replaced, anything else is kept."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ced.errors import OutputError
from ced.store.outputs import Output, write_bytes

_FIRST = "results.json"  # by which a report's folder is known, so it is copied before the others
_KEYS = {"versions", "config", "rows"}  # in it
_PATTERNS = (  # of what reports are made of, whichever have it
    *("report.html", "results.json", "table.md", "table.tex", "table.csv"),
    *(f"figures/{name}.{suffix}" for name in ("figure-[1-9]", "table-1", "plane") for suffix in ("png", "svg")),
    *("strips/[0-9][0-9].png", f"pictures/{'[0-9]' * 5}-*.png"),
)


def check(folder: str | None) -> None:
    """Find out before any work whether a report can be copied into a folder; None is none. Raises OutputError."""
    if folder is None:
        return
    path = Path(folder)
    # os.path.exists is False where one may not look, Path.exists an error.
    nearest = next(parent for parent in (path, *path.absolute().parents) if os.path.exists(parent))
    if not nearest.is_dir():
        raise OutputError(f"{folder}: {nearest} is no folder; choose another one for the report")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: {nearest} cannot be written; choose another folder for the report")
    if nearest == path and not _is_report(path):
        _refuse(path, _report_files(path))


def deliver(reported: Output, folder: Path) -> None:
    """Copy a finished report into a folder of the user's. Raises OutputError."""
    parts = reported.manifest.parts
    if _is_report(folder):
        for former in list(_report_files(folder)):
            if former.relative_to(folder).as_posix() not in parts:
                former.unlink(missing_ok=True)
    else:
        _refuse(folder, (folder / name for name in parts if os.path.exists(folder / name)))
    for name in sorted(parts, key=lambda name: name != _FIRST):
        write_bytes(folder / name, (reported.path / name).read_bytes())


def _refuse(folder: Path, others: Iterable[Path]) -> None:
    """Raises OutputError where there are files of others."""
    for other in others:
        name = other.relative_to(folder).as_posix()
        raise OutputError(f"{folder} holds something else already ({name}); choose another folder for the report")


def _report_files(folder: Path) -> Iterator[Path]:
    """Files that are called as those of a report."""
    return (path for pattern in _PATTERNS for path in sorted(folder.glob(pattern)))


def _is_report(folder: Path) -> bool:
    """Whether a report was copied here before, be it in part."""
    try:
        stored = json.loads((folder / _FIRST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(stored, dict) and set(stored) == _KEYS
