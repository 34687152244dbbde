"""What a session says where nothing is said: one worker a core, and nothing is tracked."""

import dataclasses
import pickle
from pathlib import Path

import pytest

from ced.store.outputs import Store
from ced.store.session import Session


def test_a_session_needs_a_store_alone_and_travels(tmp_path: Path) -> None:
    session = Session(Store(tmp_path))
    assert (session.workers, session.tracking_uri, session.pipeline) == (0, "", "")
    assert pickle.loads(pickle.dumps(session)) == session
    with pytest.raises(dataclasses.FrozenInstanceError):
        session.workers = 2  # type: ignore[misc]
