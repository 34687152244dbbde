"""Packages that only the vision models need."""

import importlib
from types import ModuleType

from ced.errors import InputError, first_line


def needed(name: str, package: str, for_what: object, cure: str = "pip install 'ced[vision]'") -> ModuleType:
    """The module `name` of `package`. Raises InputError with the cure where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"{for_what} needs {package}, which is not installed; {cure}") from error
    except (ImportError, RuntimeError, OSError) as error:  # built for another torch, or another system
        reason = first_line(error)
        raise InputError(f"{for_what} needs {package}, which does not load here ({reason}); {cure}") from error
