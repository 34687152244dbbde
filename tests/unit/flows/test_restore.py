"""The flow `restore`: the command's parameters, and its summary as a page. In a deployment: tests/services."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from ced.errors import InputError
from ced.pipeline import restoring
from ced.pipeline.restoring import Restoring
from flows import restore as flow


@pytest.fixture
def artifacts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that were made, without a server."""
    made: list[str] = []
    monkeypatch.setattr(flow, "restore_task", restoring.many)
    monkeypatch.setattr(flow, "create_markdown_artifact", lambda text, **_: made.append(text))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for quality in (20, 95):
        Image.fromarray(data.coffee()[:40, :40]).save(tmp_path / "d" / f"{quality}.jpg", quality=quality)
    return tmp_path / "d"


def test_it_takes_what_the_command_takes() -> None:
    taken = dict(inspect.signature(flow.restore.fn).parameters)
    names = {field.name: field.default for field in fields(Restoring)} | {"sources": ..., "out": ...}
    assert set(taken) == set(names) - {"max_pixels", "max_seconds"}
    assert all(taken[name].default == default for name, default in names.items() if name in taken and default != ...)


def test_its_summary_is_a_page(folder: Path, tmp_path: Path, artifacts: list[str]) -> None:
    run: Callable[..., dict[str, Any]] = flow.restore.fn
    told = run([str(folder)], str(tmp_path / "out"))
    assert (told["restored"], told["left"], told["there"]) == (1, 1, 0)
    assert artifacts[0].startswith("2 files = 0 there already + 1 restored + 1 left as they are + 0 set aside; `")
    assert "- left: `d/95.jpg: " in artifacts[0]
    (folder / "b`ad\n.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="1 of 3 images could not be restored"):
        run([str(folder)], str(tmp_path / "out"))
    assert artifacts[1].startswith("3 files = 2 there already + 0 restored")
    assert "- set aside: `d/b'ad\\n.jpg: the file has no bytes (empty)`" in artifacts[1]
