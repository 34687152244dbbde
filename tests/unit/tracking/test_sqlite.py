"""MLflow's SQLite file: made whole or not at all, upgraded beside itself, kept true of a store that was moved."""

import contextlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ced.errors import ServiceError
from ced.tracking import client, sqlite
from ced.tracking.runs import PUBLISH, ROLE, Experiment

MAKE = "import sys; from pathlib import Path; from ced.tracking import client, sqlite; client.configure_mlflow()\n"
MAKE += "print('begun', flush=True); sqlite.prepare(Path(sys.argv[1]))"
OLD = "cbc13b556ace"  # a revision of the schema of MLflow 3.0


def making(file: Path, **options: object) -> subprocess.Popen[str]:
    """A process that makes the file; it has said that it begins."""
    child = subprocess.Popen([sys.executable, "-c", MAKE, str(file)], stdout=subprocess.PIPE, text=True, **options)
    assert child.stdout is not None and child.stdout.readline() == "begun\n"
    return child


def experiments(file: Path) -> list[str]:
    found = client.connect(sqlite.uri(file)).search_experiments()
    return sorted(experiment.name for experiment in found)


def rows(file: Path, statement: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return [str(row[0]) for row in database.execute(statement)]


def test_a_kill_while_it_is_made_leaves_nothing_behind(tmp_path: Path) -> None:
    file, seconds = tmp_path / "mlflow.db", random.Random(0)
    for _ in range(4):
        child = making(file)
        time.sleep(seconds.uniform(0.3, 2.5))
        child.kill()
        child.wait()
        if file.exists():
            break
    assert experiments(file) == ["Default"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def test_two_that_make_it_at_once_make_it_once(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    children = [making(file), making(file)]
    assert [child.wait() for child in children] == [0, 0]
    assert experiments(file) == ["Default"]


def test_a_disk_without_room_is_one_line_and_the_next_attempt_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    child = making(file, preexec_fn=little_room, stderr=subprocess.PIPE)
    _, errors = child.communicate()
    assert child.returncode and "ServiceError: MLflow at sqlite" in errors.splitlines()[-1]
    assert "cannot be made" in errors.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == [".mlflow.db.lock"]
    assert experiments(file) == ["Default"]


def test_what_a_killed_mlflow_left_is_made_anew(tmp_path: Path, tracking_uri: str) -> None:
    """As today's stores have it: `table _alembic_tmp_experiments already exists`."""
    file = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (OLD,))
        database.execute("CREATE TABLE _alembic_tmp_experiments (x)")
        database.execute("DROP TABLE logged_models")
        database.commit()
    assert experiments(file) == ["Default"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of an older MLflow, with a run in it."""
    client.configure_mlflow()
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    file = tmp_path / "old" / "mlflow.db"
    file.parent.mkdir()
    engine = utils.create_sqlalchemy_engine(sqlite.uri(file))
    Base.metadata.create_all(engine)
    config = utils._get_alembic_config(sqlite.uri(file))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
    engine.dispose()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (0, 'kept', 'active')")
        database.execute("INSERT INTO runs (run_uuid, name, experiment_id) VALUES ('1', 'a run', 0)")
        database.commit()
    return file


def test_an_old_one_is_upgraded_and_stays_as_it_was_until_then(old: Path) -> None:
    before = old.read_bytes()
    child = making(old)
    time.sleep(0.4)
    child.kill()
    child.wait()
    if rows(old, "SELECT version_num FROM alembic_version") == [OLD]:
        assert old.read_bytes() == before
    assert experiments(old) == ["kept"]
    assert rows(old, "SELECT name FROM runs") == ["a run"]
    assert sorted(path.name for path in old.parent.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def test_an_old_one_without_runs_keeps_what_it_has(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old)) as database:
        database.execute("DELETE FROM runs")
        database.execute("INSERT INTO experiment_tags (key, value, experiment_id) VALUES ('mine', 'words', 0)")
        database.commit()
    assert experiments(old) == ["kept"]
    assert rows(old, "SELECT value FROM experiment_tags") == ["words"]


def test_an_upgrade_that_fails_leaves_the_old_one(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old)) as database:
        database.execute("DROP TABLE trace_info")
        database.commit()
    before = old.read_bytes()
    with pytest.raises(ServiceError, match="cannot be brought to this MLflow's form") as caught:
        client.connect(sqlite.uri(old))
    assert "\n" not in str(caught.value) and old.read_bytes() == before
    assert sorted(path.name for path in old.parent.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def test_one_of_a_newer_mlflow_is_refused(tmp_path: Path, tracking_uri: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.commit()
    with pytest.raises(ServiceError, match="of a newer MLflow"):
        client.check(tracking_uri)


def test_what_is_no_database_of_mlflow_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(os.urandom(9000))
    with pytest.raises(ServiceError, match="file is not a database; move it away"):
        client.check(sqlite.uri(file))
    file.unlink()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE mine (x)")
    with pytest.raises(ServiceError, match="a database of another program"):
        client.check(sqlite.uri(file))


def test_one_that_is_locked_is_refused_before_any_work(
    tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.1)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceError, match="another process has locked it"):
            client.check(tracking_uri)
        client.check(tracking_uri, write=False)
        database.execute("COMMIT")
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceError, match="another process has locked it"):
            client.check(tracking_uri, write=False)
    client.check(tracking_uri)


def forget_repositories() -> None:
    """MLflow keeps where a run's artifacts are for as long as the process lives, whichever store it is asked of."""
    from mlflow.tracking._tracking_service import client as service

    service.utils._artifact_repos_cache.clear()


@pytest.fixture
def moved(tmp_path: Path, tracking_uri: str) -> Path:
    """A store with a run and a note, copied to another place."""
    store = tmp_path / "a store"
    store.mkdir()
    (tmp_path / "mlflow.db").rename(store / "mlflow.db")
    (tmp_path / "note.txt").write_text("kept")
    Experiment.open(client.local_uri(store), "mine").run({PUBLISH: "p"}, "name").log_files([tmp_path / "note.txt"])
    return Path(shutil.copytree(store, tmp_path / "größe"))


def test_what_a_copy_writes_stays_in_the_copy(tmp_path: Path, moved: Path) -> None:
    def files_in(store: Path) -> dict[str, bytes]:
        return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}

    before = files_in(tmp_path / "a store")
    forget_repositories()
    experiment = Experiment.open(client.local_uri(moved), "mine")
    run = experiment.run({PUBLISH: "p"}, "name")
    (tmp_path / "more.txt").write_text("more")
    run.log_files([tmp_path / "more.txt"])
    experiment.run({PUBLISH: "q", ROLE: "pipeline"}, "other").log_files([tmp_path / "more.txt"])
    assert files_in(tmp_path / "a store") == before
    assert sorted(path.name for path in (moved / client.ARTIFACTS).rglob("*.txt")) == [
        "more.txt",
        "more.txt",
        "note.txt",
    ]
    assert sorted(item.path for item in run.client.list_artifacts(run.id)) == ["more.txt", "note.txt"]


def test_what_was_published_before_is_known_by_its_first_address(tmp_path: Path, moved: Path) -> None:
    first = client.local_uri(tmp_path / "registry")  # where the fixture made it
    assert client.identity(client.local_uri(moved)) == client.identity(client.local_uri(tmp_path / "a store"))
    client.connect(client.local_uri(moved))
    again = moved.rename(tmp_path / "again")
    assert client.identity(client.local_uri(again)) == client.identity(client.local_uri(tmp_path / "a store")) != first
    assert client.identity(client.local_uri(tmp_path / "none")) == client.local_uri(tmp_path / "none")


def test_artifacts_that_somebody_put_elsewhere_stay_there(tmp_path: Path, tracking_uri: str) -> None:
    chosen = tmp_path / "big" / client.ARTIFACTS
    chosen.mkdir(parents=True)
    client.connect(tracking_uri).create_experiment("mine", chosen.as_uri())
    assert sqlite.here(tmp_path / "mlflow.db", f"{chosen.as_uri()}/1/note") == f"{chosen.as_uri()}/1/note"
    client.connect(tracking_uri)
    stored = rows(tmp_path / "mlflow.db", "SELECT artifact_location FROM experiments WHERE name = 'mine'")
    assert stored == [chosen.as_uri()]


def test_a_file_that_cannot_be_written_is_read_where_it_lies(tmp_path: Path, moved: Path) -> None:
    old = f"{(tmp_path / 'a store' / client.ARTIFACTS).as_uri()}/1/note.txt"
    assert sqlite.here(moved / "mlflow.db", old) == f"{(moved / client.ARTIFACTS).as_uri()}/1/note.txt"


def test_a_broken_structure_is_found(tmp_path: Path, tracking_uri: str) -> None:
    file = tmp_path / "mlflow.db"
    assert sqlite.damage(file) == ""
    data = bytearray(file.read_bytes())
    data[8192:40_000] = bytes(40_000 - 8192)
    file.write_bytes(data)
    assert sqlite.damage(file) != "" and "\n" not in sqlite.damage(file)
    file.write_bytes(b"")
    assert sqlite.damage(file) == "empty"
