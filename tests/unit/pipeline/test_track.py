"""What is forgotten when the registry is gone; what is told to a real MLflow: tests/services."""

from pathlib import Path

import pytest

from ced.errors import ServiceError
from ced.pipeline import track
from ced.store.outputs import Making, Store, make
from ced.store.session import Session
from ced.tracking import client


def test_what_was_told_to_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "publish"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (tmp_path / "mlflow.db").write_text("")
    track.forget_lost(folder, client.local_uri(tmp_path))
    track.forget_lost(folder, "http://localhost:5000")
    assert (folder / "manifest.json").exists()
    (tmp_path / "mlflow.db").unlink()
    track.forget_lost(folder, client.local_uri(tmp_path))
    assert not (folder / "manifest.json").exists()


def test_a_server_that_does_not_answer_is_one_line_and_nothing_is_taken_for_told(tmp_path: Path) -> None:
    def produce(making: Making) -> None:
        making.counts["images"] = 1

    store = Store(tmp_path)
    output = make(store, "evaluate", {"dataset": "set"}, {"images": "0123"}, produce)
    with pytest.raises(ServiceError, match=r"no MLflow server answers at http://127\.0\.0\.1:9;") as caught:
        track.run(output, output, {}, Session(store, tracking_uri="http://me:secret@127.0.0.1:9"), "ced")
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert not list(tmp_path.glob("record/*/manifest.json"))
