"""Addresses, knocking at them, and finding restorers in a registry."""

import http.server
import json
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ced.errors import CedError, ConfigError, FormatError, InputError, ServiceError
from ced.tracking import client, registry
from ced.tracking.runs import PUBLISH, ROLE, Experiment


@pytest.fixture
def listener() -> Iterator[str]:
    """The address of a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def web_server() -> Iterator[tuple[str, list[str]]]:
    """A server that answers 200 to /health and 404 to the rest, and the requests it got."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_the_local_address_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert client.local_uri(Path("store")) == f"sqlite:///{tmp_path}/store/mlflow.db"
    assert client.database(client.local_uri(Path("store"))) == tmp_path / "store" / "mlflow.db"
    assert client.database("http://localhost:5000") is None


@pytest.mark.parametrize("name", ["a store", "50%", "50%41", "größe#1", "what?a=b"])
def test_a_store_of_any_name_holds_its_own_database(name: str, tmp_path: Path, tracking_uri: str) -> None:
    store = tmp_path / name
    store.mkdir()
    shutil.copyfile(tmp_path / client.DATABASE, store / client.DATABASE)
    uri = client.local_uri(store)
    (tmp_path / "note.txt").write_text("kept")
    Experiment.open(uri, "mine").run({PUBLISH: "p", ROLE: "pipeline"}, "name").log_files([tmp_path / "note.txt"])
    with sqlite3.connect(store / client.DATABASE) as rows:
        assert ("mine",) in rows.execute("select name from experiments").fetchall()
    kept = list((store / client.ARTIFACTS).rglob("note.txt"))
    assert [path.read_text() for path in kept] == ["kept"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://me:secret@host:5000", "http://host:5000"),
        ("postgresql+psycopg2://me:se@cret@host/db", "postgresql+psycopg2://host/db"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////a@b/mlflow.db", "sqlite:////a@b/mlflow.db"),
    ],
)
def test_names_and_passwords_are_not_shown(given: str, shown: str) -> None:
    assert client.without_password(given) == shown


def test_check_finds_nobody_at_a_closed_port(free_port: Callable[[], int]) -> None:
    started = time.monotonic()
    with pytest.raises(ServiceError, match=r"no MLflow server answers at http://127\S+ \(Connection refused\)"):
        client.check(f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - started < 5


def test_check_does_not_wait_for_a_server_that_is_silent(listener: str) -> None:
    started = time.monotonic()
    with pytest.raises(ServiceError, match="timed out"):
        client.check(listener)
    assert time.monotonic() - started < 15


def test_check_gives_up_on_a_server_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_TIMEOUT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not stop.wait(0.1):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        try:
            with pytest.raises(ServiceError, match="within 1 seconds"):
                client.check(f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("uri", ["http://no.such.host.invalid:5000", "http://", "http://127.0.0.1:99999"])
def test_check_refuses_hosts_that_do_not_exist(uri: str) -> None:
    with pytest.raises(ServiceError, match="no MLflow server answers") as caught:
        client.check(uri)
    assert "\n" not in str(caught.value)


def test_check_takes_a_healthy_server_and_keeps_the_password_to_itself(web_server: tuple[str, list[str]]) -> None:
    address, asked = web_server
    client.check(address.replace("//", "//me:secret@") + "/")
    assert asked == ["/health None"]


def test_check_refuses_a_server_that_is_no_mlflow(web_server: tuple[str, list[str]]) -> None:
    with pytest.raises(ServiceError, match="answers 404 to /health"):
        client.check(f"{web_server[0]}/elsewhere")


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "ftp://host/x", ""])
def test_check_refuses_addresses_that_are_none(uri: str) -> None:
    with pytest.raises(ConfigError, match="write it as http"):
        client.check(uri)


def test_check_wants_a_file_for_sqlite(tmp_path: Path) -> None:
    client.check(f"sqlite:///{tmp_path}/new.db")
    assert list(tmp_path.iterdir()) == []  # it only looks
    for path in (tmp_path, tmp_path / "missing" / "a.db"):
        with pytest.raises(ServiceError, match="check the path"):
            client.check(f"sqlite:///{path}")


def test_check_says_in_one_line_that_a_database_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    monkeypatch.setattr(client, "ANSWER_TIMEOUT", 3.0)
    with pytest.raises(ServiceError, match="no MLflow server answers at postgresql://127") as caught:
        client.check(f"postgresql://me:secret@127.0.0.1:{free_port()}/db")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_what_mlflow_raises_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, whatever its name may be" * 100)
    uri = client.local_uri(tmp_path)
    with pytest.raises(ServiceError, match="MLflow at sqlite") as caught:
        client.load_champion(uri, "ced", "champion")
    assert "\n" not in str(caught.value)
    with pytest.raises(CedError, match="mine"), client.service_errors(uri):
        raise InputError("mine")


def test_a_server_that_went_away_is_told_without_the_password(
    caplog: pytest.LogCaptureFixture, free_port: Callable[[], int]
) -> None:
    uri = f"http://me:secret@127.0.0.1:{free_port()}"
    with pytest.raises(ServiceError, match=r"no MLflow server answers at http://127.*; start it") as caught:
        client.load_champion(uri, "ced", "champion")
    assert "secret" not in str(caught.value) and not caplog.records


def test_no_champion_in_a_store_without_database(tmp_path: Path) -> None:
    uri = client.local_uri(tmp_path)
    assert client.load_champion(uri, "ced", "champion") is None
    with pytest.raises(InputError, match="no such model"):
        client.resolve(uri, "models:/ced@champion")
    assert list(tmp_path.iterdir()) == []


def test_restorers_are_found_by_alias_version_and_id(tracking_uri: str, tmp_path: Path, restorer_folder: Path) -> None:
    assert client.load_champion(tracking_uri, "ced", "champion") is None  # no such model
    experiment = Experiment.open(tracking_uri, "ced")
    run = experiment.run({PUBLISH: "p", ROLE: "pipeline"}, "name")
    version = registry.register(run, "p", "ced", restorer_folder, tmp_path / "scratch")
    assert client.load_champion(tracking_uri, "ced", "champion") is None  # no such alias
    registry.promote(run.client, version, "champion")
    folder = client.load_champion(tracking_uri, "ced", "champion")
    assert folder is not None and folder.is_relative_to(tmp_path / client.ARTIFACTS)
    assert sorted(path.name for path in folder.iterdir()) == [
        "autoencoder.safetensors",
        "classes.json",
        "classifier.safetensors",
        "restorer.json",
    ]
    (model,) = run.client.search_logged_models([experiment.id])
    for uri in ("models:/ced@champion", "models:/ced/1", f"models:/{model.model_id}"):
        assert client.resolve(tracking_uri, uri) == folder
    with pytest.raises(InputError, match="no such model"):
        client.resolve(tracking_uri, "models:/ced/2")
    copy = client.download(folder.as_uri(), tracking_uri, tmp_path / "copy")
    assert (copy / "restorer.json").read_bytes() == (restorer_folder / "restorer.json").read_bytes()
    assert copy.is_relative_to(tmp_path / "copy")
    shutil.rmtree(folder)
    with pytest.raises(ServiceError, match="No such artifact: 'restorer'"):
        client.load_champion(tracking_uri, "ced", "champion")


@pytest.mark.parametrize("age", ["now", "before"])
@pytest.mark.parametrize("name", ["autoencoder.safetensors", "classes.json", "restorer.json"])
def test_a_champion_that_was_altered_is_not_used(
    tracking_uri: str, tmp_path: Path, restorer_folder: Path, name: str, age: str
) -> None:
    folder = Path(shutil.copytree(restorer_folder, tmp_path / "made"))
    if age == "before":  # restorers had digests of their own
        described = json.loads((folder / "restorer.json").read_text())
        del described["sha256"]
        (folder / "restorer.json").write_text(json.dumps(described))
    run = Experiment.open(tracking_uri, "ced").run({PUBLISH: "p", ROLE: "pipeline"}, "name")
    version = registry.register(run, "p", "ced", folder, tmp_path / "scratch")
    registry.describe(run.client, version, {client.METHOD: "ced-gt"})
    registry.promote(run.client, version, "champion")
    champion = client.load_champion(tracking_uri, "ced", "champion")
    assert champion is not None
    data = bytearray((champion / name).read_bytes())
    data[data.index(b"ced-gt") if name == "restorer.json" else len(data) // 2] ^= 1
    (champion / name).write_bytes(data)
    culprit = champion / name if age == "now" else champion
    version = registry.champion(run.client, "ced", "champion")
    assert version is not None
    for use in (
        lambda: client.load_champion(tracking_uri, "ced", "champion"),
        lambda: client.resolve_model(tracking_uri, "models:/ced/1"),
    ):
        with pytest.raises(FormatError, match=rf"{culprit}\S*: (altered since it was|not JSON)") as caught:
            use()
        assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match="(altered since it was|not JSON)"):
        registry.fetch(version, tracking_uri, tmp_path / "fetched")
    registry.register(run, "p", "ced", folder, tmp_path / "scratch")  # as where the publication is made again
    assert client.load_champion(tracking_uri, "ced", "champion") == champion


@pytest.mark.parametrize("uri", ["models:/ced@champion", "models:/ced/7", "models:/m-0123", "models:/ced@best"])
def test_a_model_that_is_not_there_is_named(uri: str, tracking_uri: str) -> None:
    with pytest.raises(InputError, match=f"{uri}: no such model in sqlite"):
        client.resolve(tracking_uri, uri)


def test_a_run_that_is_not_there_is_named(tracking_uri: str) -> None:
    with pytest.raises(InputError, match="runs:/0123/restorer: no such run or model in sqlite"):
        client.resolve(tracking_uri, "runs:/0123/restorer")


@pytest.mark.parametrize(
    "uri", ["runs:/abc", "runs:/abc/", "models:/", "models:/a/b/c", "models:/a@b/1", "models:/a/b", "s3://bucket"]
)
def test_other_addresses_are_refused(uri: str, tracking_uri: str) -> None:
    with pytest.raises(InputError, match="write it as models:/NAME@ALIAS"):
        client.resolve(tracking_uri, uri)
