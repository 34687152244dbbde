"""infra/Dockerfile and .dockerignore: read as their own syntax says, since no container engine builds them here."""

import fnmatch
import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "infra" / "Dockerfile").read_text()
KNOWN = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order, comments left out and continued lines joined."""
    lines = [line for line in TEXT.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in arguments("ENV") for pair in rest.split())


def copies() -> list[str]:
    return [source for rest in arguments("COPY") for source in rest.split()[:-1]]


def let_in(path: str) -> bool:
    """Whether .dockerignore lets `path` into the build: the last pattern that fits it, or a folder above it."""
    parts = path.split("/")
    prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        names = [prefix.rsplit("/", 1)[-1] if "**/" in line else prefix for prefix in prefixes]
        if any(fnmatch.fnmatchcase(name, pattern) and name.count("/") == pattern.count("/") for name in names):
            inside = line.startswith("!")
    return inside


def test_every_instruction_exists_and_the_first_is_from() -> None:
    found = instructions()
    assert {name for name, _ in found} <= KNOWN
    assert all(rest for _, rest in found)
    assert found[0][0] == "FROM"


def test_the_base_is_a_python_that_the_package_allows() -> None:
    (base,) = arguments("FROM")
    version = re.fullmatch(r"python:3\.(\d+)-slim", base)
    assert version is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert int(version[1]) >= int(project["requires-python"].removeprefix(">=3."))


def test_what_is_copied_exists_and_is_let_into_the_build() -> None:
    assert {"ced", "flows", "prefect.yaml", "constraints.txt", "infra/worker.sh"} <= set(copies())
    for source in copies():
        assert (ROOT / source).exists(), source
        assert let_in(source), source
    assert let_in("ced/report/assets/report.html")


def test_nothing_else_is_let_into_the_build() -> None:
    for path in (".git/config", ".env", "infra/.env", "tests/conftest.py", ".ced/mlflow.db", "photos/private.jpg"):
        assert not let_in(path), path
    assert not let_in("ced/__pycache__/config.cpython-311.pyc")


def test_every_package_is_installed_at_its_committed_version() -> None:
    installs = [rest for rest in arguments("RUN") if "pip install" in rest]
    assert len(installs) == 3
    assert [("--constraint constraints.txt" in rest) != ("--no-deps" in rest) for rest in installs] == [True] * 3
    pins = (ROOT / "infra" / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.]+", pin) for pin in pins if not pin.startswith("#"))


def test_torch_is_installed_before_what_could_bring_another() -> None:
    installs = [rest for rest in arguments("RUN") if "pip install" in rest]
    assert installs[0].endswith(" torch")
    assert [rest.rpartition(" ")[2] for rest in installs[1:]] == ["'.[pipeline]'", "."]


def test_everything_runs_as_an_ordinary_user_who_owns_the_volumes() -> None:
    found = instructions()
    (user,) = arguments("USER")
    assert user not in ("root", "0")
    last = max(number for number, (name, _) in enumerate(found) if name in ("RUN", "COPY"))
    assert found.index(("USER", user)) > last
    (made,) = (rest for rest in arguments("RUN") if "useradd" in rest)
    assert f"--uid 1000 {user}" in made  # infra/kubernetes names the number
    folders = re.search(r"install --directory --owner=(\w+) --group=\w+ (.*)$", made)
    assert folders is not None
    assert folders[1] == user
    assert {"/store", "/mlflow"} <= set(folders[2].split())


def test_nothing_reports_home_and_nothing_asks() -> None:
    expected = {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    assert expected.items() <= environment().items()


def test_no_secret_is_baked_in() -> None:
    assert not re.search(r"PASSWORD|TOKEN|SECRET", TEXT)
    assert not re.search(r"://[^/\s]*:[^/\s]*@", TEXT)


def test_the_command_is_in_exec_form() -> None:
    (command,) = arguments("CMD")
    assert json.loads(command)[0] == "ced"


def test_the_scripts_that_health_checks_need_are_installed() -> None:
    (packages,) = (rest for rest in arguments("RUN") if "apt-get install" in rest)
    assert re.search(r"--no-install-recommends wget\b", packages)
    assert "rm -rf /var/lib/apt/lists/*" in packages
