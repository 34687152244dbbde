"""The page docs/extending.md: its code goes the whole way in these tests, with no file of ced touched."""

import importlib
import re
import sys
import types
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from skimage import data

from ced.store.outputs import Store
from ced.store.session import Session

ROOT = Path(__file__).parents[3]


class Block(NamedTuple):
    """A piece of code of the page, and the file that its first line says it belongs in."""

    file: str
    code: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


class Page:
    """The page, and what its pieces of code declare for the length of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text = (ROOT / "docs" / "extending.md").read_text()
        self._patch = monkeypatch

    def blocks(self, section: str) -> list[Block]:
        """The pieces of code below the heading that begins so."""
        (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", self.text, re.M | re.S)
        return [Block(*found) for found in re.findall(r"```python\n# ([\w/.]+)[^\n]*\n(.*?)```", text, re.S)]

    def is_there(self, file: str) -> bool:
        """Whether ced has a file of that name."""
        return (ROOT / file).exists()

    def new_file(self, block: Block) -> types.ModuleType:
        """The module that a piece of code is."""
        assert not self.is_there(block.file), "the page's files are of nobody else"
        module = types.ModuleType(block.module)
        self._patch.setitem(sys.modules, block.module, module)
        exec(block.code, vars(module))
        return module

    def added_to(self, block: Block) -> dict[str, Any]:
        """The names of a module once a piece of code stands at its end; the module itself stays as it is."""
        names = dict(vars(importlib.import_module(block.module)))
        exec(block.code, names)
        return names

    def add_line(self, entries: Any, block: Block) -> None:
        """Put a line of the page into the mapping that a registry was made of."""
        line = eval(f"{{{block.code}}}", dict(vars(importlib.import_module(block.module))))
        self._patch.setattr(entries, "_entries", dict(entries._entries))
        self._patch.setattr(entries, "_modules", entries._modules | line)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(monkeypatch)


@pytest.fixture(autouse=True)
def reproducible(one_thread_and_one_seed: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(data.chelsea()[60:132, 100:204]).save(folder / "cat.png")
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "store"))
