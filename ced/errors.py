"""The error tree: every mistake a user can make, as one clear line and exit code 2."""

import difflib
import errno
from collections.abc import Iterable


class CedError(Exception):
    """A mistake outside the program: one line that names the culprit and the cure."""

    exit_code = 2


class ConfigError(CedError):
    """A recipe, section or setting that does not exist, or a value it cannot take."""


class InputError(CedError):
    """Photographs, folders or files given by the user that cannot be used."""


class OutputError(CedError):
    """A store, folder or file that cannot be written."""


class FormatError(CedError):
    """A file made by another version or another program than the reader expects."""


class ServiceError(CedError):
    """A Ray, MLflow or Prefect address where nobody answers."""


class LostError(ServiceError):
    """A service of the run's own that was ended from outside."""


class TrainingError(CedError):
    """Training cannot go on (a loss that is not finite); the last checkpoint is intact."""


# What is wrong with a machine, not with ced: disks, permissions and limits.
_OF_THE_MACHINE = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ESTALE)
    + (errno.ENOLCK, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODEV, errno.ENXIO)
)


def of_the_machine(error: OSError) -> CedError | None:
    """A failing disk, a missing permission or a limit, as a mistake outside the program; None for any other error."""
    if error.errno not in _OF_THE_MACHINE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return OutputError(
        f"{where}{error.strerror}; check the disk, permissions and limits, then the same command goes on"
    )


def first_line(error: object, limit: int | None = None, otherwise: str | None = None) -> str:
    """The first line of an error's text, cut to `limit` characters. `otherwise` stands for an error without text; by
    default the name of its type does."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__ if otherwise is None else otherwise
    return lines[0][:limit]


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """One clause for a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown {what} {name!r}; {hint}"
