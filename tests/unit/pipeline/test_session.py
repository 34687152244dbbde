"""What a run finds out before any work starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ced.errors import OutputError, ServiceError
from ced.pipeline.session import check, open_store, session
from ced.store.outputs import Store
from ced.tracking import client


def test_the_store_that_is_named_is_opened_with_its_own_tracking(tmp_path: Path) -> None:
    with session(str(tmp_path / "store"), workers=3) as running:
        assert running.store == Store(tmp_path / "store") and running.workers == 3
        assert running.tracking_uri == client.local_uri(tmp_path / "store") and running.pipeline == ""
    assert (tmp_path / "store" / "README").read_text().startswith("Outputs of ced")
    assert not (tmp_path / "store" / client.DATABASE).exists(), "looking makes no database"


def test_what_is_not_named_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    monkeypatch.setenv("CED_STORE", str(tmp_path / "elsewhere"))
    assert open_store() == Store(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceError, match="no MLflow server answers"), session():
        raise AssertionError("nothing may start")


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        open_store(str(tmp_path / "file" / "store"))


def test_a_ray_address_where_nobody_listens_is_found_out_at_once(tmp_path: Path, free_port: Callable[[], int]) -> None:
    store = open_store(str(tmp_path))
    check(store)
    with pytest.raises(ServiceError, match="no Ray cluster at 127"):
        check(store, f"127.0.0.1:{free_port()}")


def test_a_disk_without_room_for_the_databases_is_found_out_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path))
    monkeypatch.setattr("ced.pipeline.session._ROOM", 1 << 60)
    with pytest.raises(OutputError, match=r"MB free, a run begins with \d+; make room"):
        check(store)


def test_a_database_of_prefect_that_is_none_is_named(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_bytes(b"words" * 1000)
    with pytest.raises(ServiceError, match=r"Prefect at sqlite:\S+prefect.db: file is not a database; move it away"):
        check(store)
