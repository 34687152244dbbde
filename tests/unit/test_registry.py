"""Named things that can be extended."""

import sys
import types

import pytest

from ced.errors import ConfigError
from ced.registry import Registry


def registry() -> Registry[int]:
    return Registry("thing", {"here": __name__, "far": "no.such.module"})


def test_names_are_in_order_and_import_nothing() -> None:
    assert registry().names == ("here", "far")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown thing 'her'; did you mean 'here'\?"):
        registry().get("her")


def test_what_is_added_is_found_after_those_of_ced() -> None:
    things = registry()
    things.add("mine", 7)
    assert things.names == ("here", "far", "mine")
    assert things.get("mine") == 7


def test_a_name_is_taken_once() -> None:
    things = registry()
    with pytest.raises(ConfigError, match="thing 'here' exists already"):
        things.add("here", 2)
    things.add("mine", 7)
    with pytest.raises(ConfigError, match="exists already"):
        things.add("mine", 8)


def test_an_entry_is_declared_by_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("declares")
    module.ENTRIES = {"far": 3}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "no.such.module", module)
    assert registry().get("far") == 3
