"""The commands of docs/deploy.md in their order: a real server, work pool, deployment, worker and run.

On SQLite, and on PostgreSQL (with the databases of infra/databases.sql) where its server is installed. Both runs
share one store: the second has its own server and no work left.
"""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from ced.config import Config
from tests.small import NETWORK

ROOT = Path(__file__).parents[2]
SETTINGS = [
    "prepare.size=32",
    "prepare.crops=2",
    *NETWORK,
    "network.stages=1",
    "classifier.steps=4",
    "autoencoder.steps=4",
    "evaluate.methods=jpeg,ced-gt",
    "evaluate.pictures=1",
]

Serving = Callable[..., AbstractContextManager[None]]
Done = subprocess.CompletedProcess[str]


@dataclass
class Deployment:
    """A server with the project's deployments on it and a worker, and how the steps to it ended."""

    environment: dict[str, str]
    steps: dict[str, Done]
    worker_log: Path

    def run(self, name: str, **parameters: object) -> Done:
        """`prefect deployment run --watch`, to its end."""
        arguments = ["deployment", "run", name, "--watch", "--params", json.dumps(parameters)]
        return prefect(self.environment, *arguments, timeout=540)

    def log(self, run: Done) -> str:
        """The log of the flow run that `run` has started, as Prefect's page shows it."""
        found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", run.stdout)
        assert found is not None, run.stdout
        return prefect(self.environment, "flow-run", "logs", found[0]).stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployment") / "store"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start_server: Serving,
    free_port: Callable[[], int],
) -> Iterator[Deployment]:
    folder, port, health = tmp_path_factory.mktemp(request.param), free_port(), free_port()
    (folder / "worker").mkdir()
    environment = {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": str(health),
    }
    server = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    worker = ["prefect", "worker", "start", "--pool", "ced", "--type", "process", "--with-healthcheck"]
    steps = {}
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgresql(free_port())) if request.param == "postgresql" else {}
        url = environment["PREFECT_API_URL"] + "/health"
        stack.enter_context(start_server(server, url, folder, **environment, **database))
        steps["deploy without a pool"] = prefect(environment, "deploy", "--all")
        steps["work-pool create"] = prefect(environment, "work-pool", "create", "ced", "--type", "process")
        steps["deploy"] = prefect(environment, "deploy", "--all")
        stack.enter_context(start_server(worker, f"http://127.0.0.1:{health}/health", folder / "worker", **environment))
        yield Deployment(environment, steps, folder / "worker" / "server.log")


def test_a_missing_work_pool_is_named(deployment: Deployment) -> None:
    done = deployment.steps["deploy without a pool"]
    assert done.returncode == 1
    assert "work pool 'ced' which does not exist" in " ".join(done.stdout.split())


def test_every_deployment_is_registered_without_a_question(deployment: Deployment) -> None:
    assert deployment.steps["work-pool create"].returncode == 0
    done = deployment.steps["deploy"]
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("pipeline/quickstart", "pipeline/paper", "restore/photographs"):
        assert f"Deployment '{name}' successfully created" in done.stdout


def test_the_worker_runs_the_pipeline_from_any_folder(
    deployment: Deployment, pipeline_config: Config, store: Path, tmp_path: Path
) -> None:
    found = sorted(store.glob("*/*/manifest.json"))
    done = deployment.run(
        "pipeline/quickstart",
        images=list(pipeline_config.images),
        test_images=pipeline_config.test_images,
        store=str(store),
        report=str(tmp_path / "report"),
        settings=SETTINGS,
    )
    assert done.returncode == 0, done.stdout + deployment.worker_log.read_text()[-4000:]
    assert "finished successfully" in done.stdout
    rows = json.loads((tmp_path / "report" / "results.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["jpeg", "ced-gt"]
    stages = {path.parts[-3] for path in store.glob("*/*/manifest.json")}
    assert stages >= {"prepare", "edges", "label", "train-classifier", "train-ced-gt", "evaluate", "report"}
    log = deployment.log(done)
    if found:  # another server's run was here before: it left nothing to do
        assert sorted(store.glob("*/*/manifest.json")) == found
        assert "prepare: already done" in log
    else:
        assert "prepare: done in" in log and "train-ced-gt: done in" in log, log
        assert re.search(r"ced-gt: step 4 of 4.*loss", log), log


def test_the_worker_restores_a_folder(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(data.coffee()[:40, :40]).save(tmp_path / "in" / "a.jpg", quality=20)
    done = deployment.run("restore/photographs", sources=[str(tmp_path / "in")], out=str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + deployment.worker_log.read_text()[-4000:]
    assert (tmp_path / "out" / "a.png").is_file()
    assert f"restored 1 of 1 images to {tmp_path / 'out'}" in deployment.log(done)


def test_a_mistake_fails_the_run_and_the_command(deployment: Deployment, tmp_path: Path) -> None:
    done = deployment.run("pipeline/quickstart", recipe="quickstrat", store=str(tmp_path / "store"))
    assert done.returncode == 1
    assert "did you mean 'quickstart'?" in deployment.worker_log.read_text()
    assert not (tmp_path / "store").exists()


def test_a_parameter_that_the_flow_has_not_is_refused(deployment: Deployment) -> None:
    done = deployment.run("pipeline/quickstart", recipes="quickstart")
    assert done.returncode == 1
    assert "'recipes'" in done.stdout + done.stderr


def prefect(environment: dict[str, str], *arguments: str, timeout: float = 120) -> Done:
    """One command of Prefect's, from the root of the checkout."""
    command = [sys.executable, "-m", "prefect", *arguments]
    given = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )


@contextlib.contextmanager
def postgresql(port: int) -> Iterator[dict[str, str]]:
    """A private PostgreSQL server with the project's databases; what Prefect's server has to know of it."""
    binaries, user = _binaries(), _user()
    folder = Path(tempfile.mkdtemp(prefix="ced-postgresql-"))
    passwords = {name: secrets.token_hex(12) for name in ("PGPASSWORD", "PREFECT_DB_PASSWORD", "MLFLOW_DB_PASSWORD")}
    (folder / "password").write_text(passwords["PGPASSWORD"])
    if user is not None:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)
    data = str(folder / "data")
    make = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    listen = ["-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
    own = {"cwd": "/", "user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([binaries / "initdb", "-D", data, f"--pwfile={folder / 'password'}", *make], check=True, **own)
    server = subprocess.Popen([binaries / "postgres", "-D", data, *listen], **own)
    try:
        client = ["--host=127.0.0.1", f"--port={port}", "--username=postgres"]
        _until(lambda: subprocess.run([binaries / "pg_isready", *client], capture_output=True).returncode == 0)
        sql = [binaries / "psql", *client, "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={ROOT}/infra/databases.sql"]
        subprocess.run(sql, env={**os.environ, **passwords}, check=True, capture_output=True)
        yield {
            "PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg",
            "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
            "PREFECT_SERVER_DATABASE_PORT": str(port),
            "PREFECT_SERVER_DATABASE_NAME": "prefect",
            "PREFECT_SERVER_DATABASE_USER": "prefect",
            "PREFECT_SERVER_DATABASE_PASSWORD": passwords["PREFECT_DB_PASSWORD"],
        }
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder)


def _binaries() -> Path:
    """The folder of PostgreSQL's programs; its server is rarely on the path."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    for folder in found:
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready", "psql")):
            return folder
    pytest.skip("no PostgreSQL server is installed here")


def _user() -> str | None:
    """Whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")


def _until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.2)
