"""infra/compose.yaml: its schema, and what a schema cannot say. Nothing here starts a container."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

INFRA = Path(__file__).parents[3] / "infra"
FILES = [INFRA / "compose.yaml", INFRA / "compose.gpu.yaml"]
TEXT = FILES[0].read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = {name: service for name, service in SERVICES.items() if "build" in service}

# ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<text>[^}]*))?\}")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY")


def schema_check(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def words(service: dict[str, Any]) -> list[str]:
    """The words of a service's command, those of a shell's script among them."""
    return [word for part in service.get("command", []) for word in shlex.split(part)]


def test_the_files_follow_the_compose_specification() -> None:
    done = schema_check(*FILES)
    assert done.returncode == 0, done.stdout


def test_the_schema_refuses_what_is_not_compose(tmp_path: Path) -> None:
    wrong = json.loads(json.dumps(COMPOSE))
    wrong["services"]["postgres"]["healtcheck"] = wrong["services"]["postgres"].pop("healthcheck")
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    done = schema_check(tmp_path / "compose.yaml")
    assert done.returncode == 1
    assert "healtcheck" in done.stdout


def test_the_gpu_file_changes_services_that_exist() -> None:
    assert set(yaml.safe_load(FILES[1].read_text())["services"]) <= set(SERVICES)


def test_every_service_of_the_issue_is_there() -> None:
    wanted = {"postgres", "prefect-server", "prefect-worker", "mlflow", "ray-head", "ray-worker"}
    assert wanted <= set(SERVICES)


def test_ports_are_published_on_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert {port.rsplit(":", 1)[1] for port in published} == {"4200", "5000", "8265"}
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), port


def test_every_service_is_watched_or_ends_by_itself() -> None:
    unwatched = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert unwatched == {"prefect-deploy"}
    for name, service in SERVICES.items():
        assert service["restart"] == ("no" if name in unwatched else "unless-stopped")
        if name not in unwatched:
            kind, *command = service["healthcheck"]["test"]
            assert (kind, len(command) > 1) in (("CMD", True), ("CMD-SHELL", False))


def test_a_health_check_asks_the_port_that_its_service_listens_on() -> None:
    listens = {"prefect-server": "4200", "mlflow": "5000", "ray-head": "8265"}
    for name, port in listens.items():
        assert f"127.0.0.1:{port}/" in SERVICES[name]["healthcheck"]["test"][-1]
        assert any(published.endswith(f":{port}") for published in SERVICES[name]["ports"])
    for name in ("ray-worker", "prefect-worker"):  # the agent of a Ray node; its port is Ray's default
        assert "127.0.0.1:52365/api/local_raylet_healthz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_services_wait_for_what_they_need() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            watched = "healthcheck" in SERVICES[other]
            expected = "service_healthy" if watched else "service_completed_successfully"
            assert how == {"condition": expected}, f"{name} -> {other}"
    assert set(SERVICES["prefect-worker"]["depends_on"]) == {"prefect-deploy", "mlflow", "ray-head"}
    assert "postgres" in SERVICES["prefect-server"]["depends_on"]
    assert "postgres" in SERVICES["mlflow"]["depends_on"]


def test_addresses_name_services_of_the_file() -> None:
    for name, service in OWN.items():
        for value in environment(service).values():
            for host in re.findall(r"(?:://|@)([a-z][a-z-]+):\d+", value):
                assert host in SERVICES, f"{name}: {value}"
        for host in re.findall(r"--address=([a-z-]+):", " ".join(words(service))):
            assert host in SERVICES


def test_the_store_is_one_volume_at_one_path_wherever_stages_run() -> None:
    places = {
        name: volume.split(":")[1]
        for name, service in SERVICES.items()
        for volume in service.get("volumes", [])
        if volume.startswith("store:")
    }
    assert set(places) == {"ray-head", "ray-worker", "prefect-worker"}
    assert set(places.values()) == {"/store"}
    told = {name: environment(service).get("CED_STORE") for name, service in SERVICES.items()}
    assert {name: path for name, path in told.items() if path} == places


def test_volumes_are_declared_and_used_and_mounted_files_exist() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {name for name in mounted if not name.startswith(".")} == set(COMPOSE["volumes"])
    for name in mounted:
        assert not name.startswith(".") or (INFRA / name).is_file(), name


def test_every_ray_node_and_client_has_the_token() -> None:
    with_ray = {name for name, service in SERVICES.items() if {"ray", "infra/worker.sh"} & set(words(service))}
    assert with_ray == {"ray-head", "ray-worker", "prefect-worker"}
    for name in with_ray:
        given = environment(SERVICES[name])
        assert given["RAY_AUTH_MODE"] == "token"
        assert given["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")


def test_one_image_for_everything_of_ours() -> None:
    assert set(SERVICES) - set(OWN) == {"postgres"}
    assert len({service["image"] for service in OWN.values()}) == 1
    for service in OWN.values():
        context = (INFRA / service["build"]["context"]).resolve()
        assert context == INFRA.parent
        assert (context / service["build"]["dockerfile"]).is_file()


def test_mlflow_lets_in_every_name_it_is_reached_by() -> None:
    (allowed,) = (word for word in words(SERVICES["mlflow"]) if word.startswith("--allowed-hosts="))
    names = allowed.partition("=")[2].split(",")
    uris = {environment(service).get("MLFLOW_TRACKING_URI") for service in OWN.values()} - {None}
    assert {f"http://{name}" for name in names} >= uris | {"http://127.0.0.1:5000", "http://localhost:5000"}


def test_every_variable_is_explained_in_the_example() -> None:
    example = (INFRA / ".env.example").read_text()
    told = set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE))
    assert told == {match["name"] for match in VARIABLE.finditer(TEXT)}
    required = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert required == {match["name"] for match in VARIABLE.finditer(TEXT) if match["kind"] != ":-"}


def test_no_secret_is_written_down() -> None:
    assert not re.search(r"^[A-Z_]+=\S", (INFRA / ".env.example").read_text(), re.MULTILINE)
    for name, service in SERVICES.items():
        for variable, value in environment(service).items():
            if SECRET.search(variable):
                assert VARIABLE.fullmatch(value), f"{name}: {variable}"
            for password in re.findall(r"://\w+:(.*)@", value):
                assert VARIABLE.fullmatch(password), f"{name}: {variable}"
        assert not SECRET.search(" ".join(words(service))), f"{name}: a secret among the arguments is seen by all"


def test_a_missing_secret_is_refused_with_the_cure() -> None:
    secrets = [match for match in VARIABLE.finditer(TEXT) if SECRET.search(match["name"])]
    assert len(secrets) >= 5
    for match in secrets:
        assert match["kind"] == ":?", match[0]  # unset or empty
        assert "infra/.env" in match["text"]


def test_a_filled_in_env_file_stays_out_of_version_control() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "infra/.env"], cwd=INFRA.parent)
    kept = subprocess.run(["git", "check-ignore", "--quiet", "infra/.env.example"], cwd=INFRA.parent)
    assert (ignored.returncode, kept.returncode) == (0, 1)


def test_the_databases_are_those_that_the_servers_ask_for() -> None:
    script = (INFRA / "databases.sql").read_text()
    prefect, mlflow = environment(SERVICES["prefect-server"]), environment(SERVICES["mlflow"])
    user, database = re.findall(r"://(\w+):.*/(\w+)$", mlflow["MLFLOW_BACKEND_STORE_URI"])[0]
    asked = {(prefect["PREFECT_SERVER_DATABASE_USER"], prefect["PREFECT_SERVER_DATABASE_NAME"]), (user, database)}
    assert set(re.findall(r"CREATE DATABASE (\w+) OWNER (\w+);", script)) == {(d, u) for u, d in asked}
    assert set(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD :'password';", script)) == {u for u, _ in asked}
    given = environment(SERVICES["postgres"])
    for variable in re.findall(r"\\getenv password (\w+)", script):
        assert variable in given


def test_the_worker_says_what_it_misses() -> None:
    given = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(["bash", INFRA / "worker.sh"], env=given, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert "RAY_ADDRESS: set it to the address of the Ray head" in done.stderr


def test_compose_itself_agrees(tmp_path: Path) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("Docker's compose plugin is not installed here")
    base = ["docker", "compose", "--file", str(FILES[0]), "--file", str(FILES[1])]
    names = {match["name"] for match in VARIABLE.finditer(TEXT)}
    (tmp_path / "full").write_text("".join(f"{name}=x\n" for name in names))
    done = subprocess.run([*base, "--env-file", str(tmp_path / "full"), "config", "--quiet"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    bare = {name: value for name, value in os.environ.items() if name not in names}
    empty = [*base, "--env-file", str(INFRA / ".env.example"), "config", "--quiet"]
    refused = subprocess.run(empty, env=bare, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "fill in infra/.env" in refused.stderr
