"""Named things that can be extended; the module that declares one is imported when it is first asked for."""

import importlib
from collections.abc import Mapping
from typing import Generic, TypeVar

from ced.errors import ConfigError, unknown

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries of one kind by name, in order. A module declares its entries in a mapping `ENTRIES`, name to entry.

    Asking for the names imports nothing, so the command line can list networks without torch.
    """

    def __init__(self, kind: str, modules: Mapping[str, str]):
        self.kind = kind
        self._modules = dict(modules)
        self._entries: dict[str, Entry] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, those that ced declares first."""
        return tuple(dict.fromkeys((*self._modules, *self._entries)))

    def get(self, name: str) -> Entry:
        """The entry of that name. Raises ConfigError, with the nearest name, where there is none."""
        if name not in self._entries:
            if name not in self._modules:
                raise ConfigError(unknown(self.kind, name, self.names))
            declared: Mapping[str, Entry] = importlib.import_module(self._modules[name]).ENTRIES
            self._entries[name] = declared[name]
        return self._entries[name]

    def add(self, name: str, entry: Entry) -> None:
        """Declare an entry from outside this package. Raises ConfigError for a name that is taken."""
        if name in self.names:
            raise ConfigError(f"{self.kind} {name!r} exists already; choose another name")
        self._entries[name] = entry
