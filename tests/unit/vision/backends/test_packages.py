"""Missing and broken packages as one line with the cure."""

import json
from pathlib import Path

import pytest

from ced.errors import InputError
from ced.vision.backends.packages import needed


def test_what_is_there_is_given() -> None:
    assert needed("json", "json", "a.onnx") is json


def test_what_is_missing_is_named_with_the_cure() -> None:
    with pytest.raises(InputError) as caught:
        needed("no_such_module", "no-such-package", "a.onnx")
    assert str(caught.value) == ("a.onnx needs no-such-package, which is not installed; pip install 'ced[vision]'")


def test_what_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('built for another torch\\nand more')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="which does not load here \\(built for another torch\\); install it anew$"):
        needed("broken_module", "broken", "a.onnx", "install it anew")
