"""A short form of `tests/faults/bytes.py`: some files of a small real store, altered in some way."""

import shutil
from pathlib import Path

from ced.recipes import configure
from ced.tracking import client
from tests.faults import bytes as altered


def test_no_altered_file_of_a_store_is_used(tmp_path: Path) -> None:
    client.configure_mlflow()
    config = configure("quickstart", None, None, list(altered.SMALL))
    altered.build(config, tmp_path / "store")
    shutil.copytree(tmp_path / "store", tmp_path / "base")
    found = list(altered.trials(config, tmp_path / "base", tmp_path / "store", seed=0, most=12))
    assert [trial for trial in found if trial.outcome in ("lost", "traceback", "unnamed")] == []
    assert any(trial.outcome == "named" for trial in found)
    assert [trial for trial in found if trial.outcome != "no effect" and not trial.verified] == []
