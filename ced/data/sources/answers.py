"""What servers answer, or do not: one line each, without address of the server, the same on every machine."""

import errno
import os
import re
from collections.abc import Callable
from typing import TypeVar

from ced.core.images import Rejected
from ced.data.sources.naming import shown
from ced.errors import InputError
from ced.timeouts import ANSWER_TIMEOUT, NoAnswer, call_in_time

_REFUSED = ("access denied", "signature does not match", "invalid access key id", "invalid signature", "forbidden")
_MISSING = ("no such bucket", "no such key", "resource not found")
_Answer = TypeVar("_Answer")


def first(source: str, ask: Callable[[], _Answer]) -> _Answer:
    """A first answer of a server, waited for no longer than ANSWER_TIMEOUT. Raises InputError."""
    try:
        return call_in_time(lambda: told(source, ask), ANSWER_TIMEOUT)
    except NoAnswer:
        raise _silent(source) from None


def told(source: str, ask: Callable[[], _Answer]) -> _Answer:
    """What a server answers about a source of the user's. Raises InputError."""
    try:
        return ask()
    except (OSError, ValueError) as error:
        clause = _clause(error)
        if _is_down(error):
            raise _silent(source) from None
        if clause in _REFUSED or isinstance(error, PermissionError):
            raise InputError(f"{shown(source)}: refused ({clause}); check the keys and permissions") from None
        if clause in _MISSING or isinstance(error, FileNotFoundError):
            raise missing(source) from None
        raise InputError(f"{shown(source)}: cannot be read ({clause}); check the address") from None


def read(path: str, fetch: Callable[[], _Answer]) -> _Answer:
    """What `fetch` reads of a photograph. One that cannot be read is set aside: Rejected. A server that is down sets
    nothing aside, it ends the work: InputError."""
    try:
        return fetch()
    except OSError as error:
        if _is_down(error):
            raise _silent(path) from error
        raise Rejected("unreadable", _clause(error)) from error


def missing(source: str) -> InputError:
    """The refusal of an address where nothing is."""
    return InputError(f"{shown(source)}: no such bucket, folder or file; check the address")


def _silent(source: str) -> InputError:
    return InputError(f"{shown(source)}: the server does not answer; check the address and the network")


def _is_down(error: Exception) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or "network connection" in _clause(error)


def _clause(error: Exception) -> str:
    code = re.search(r"AWS Error ([A-Z_]+)", str(error))
    if code:
        return code[1].replace("_", " ").lower()
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
