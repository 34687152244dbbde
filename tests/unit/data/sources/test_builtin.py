"""The photographs of the quickstart are there."""

from pathlib import Path

import pytest

from ced.data import sources
from ced.errors import InputError


def test_the_builtin_photographs_are_there_and_apart() -> None:
    train, test = (sources.find((name,)) for name in ("builtin:train", "builtin:test"))
    assert (len(train), len(test)) == (12, 2)
    assert not {p.name for p in train} & {p.name for p in test}
    assert all(Path(p.path).is_file() for p in train + test)
    with pytest.raises(InputError, match="unknown; use builtin:train or builtin:test"):
        sources.find(("builtin:other",))
