"""The environment: read in one place, with defaults that keep libraries quiet and a user's word above them."""

import ast
import os
import sys
from pathlib import Path

import pytest

from ced import environment

SOURCE = Path(__file__).parents[2]


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CED_STORE", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    assert environment.load() == environment.Environment(Path(".ced"), "local", "", "")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CED_STORE", "/data/ced")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api")
    expected = environment.Environment(Path("/data/ced"), "head:6379", "http://mlflow:5000", "http://prefect:4200/api")
    assert environment.load() == expected


def test_empty_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert environment.load().ray_address == "local"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    environment.quiet()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_no_other_module_reads_the_environment() -> None:
    """`os.environ` and `os.getenv` occur in ced/environment.py alone."""
    readers = []
    for path in [*SOURCE.glob("ced/**/*.py"), *SOURCE.glob("flows/**/*.py")]:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if names & {"environ", "getenv", "environb"}:
            readers.append(path.relative_to(SOURCE).as_posix())
    assert readers == ["ced/environment.py"]


def test_a_temporary_setting_goes_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CED_TEST", "former")
    with environment.temporarily("CED_TEST", "inside"):
        assert os.environ["CED_TEST"] == "inside"
    assert os.environ["CED_TEST"] == "former"
    monkeypatch.delenv("CED_TEST")
    with pytest.raises(RuntimeError), environment.temporarily("CED_TEST", "inside"):
        raise RuntimeError
    assert "CED_TEST" not in os.environ


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (None, None, "127.0.0.1,localhost,::1"),
        (None, ".corp, 10.0.0.1", ".corp,10.0.0.1,127.0.0.1,localhost,::1"),
        ("localhost,a", "b", "localhost,a,127.0.0.1,::1"),
        ("*", None, "*"),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, lower: str | None, upper: str | None, expected: str
) -> None:
    for name, value in (("no_proxy", lower), ("NO_PROXY", upper), ("no_grpc_proxy", lower)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    for _ in range(2):
        environment.quiet()
    assert os.environ.get("NO_PROXY", "*") == os.environ["no_proxy"] == expected
    assert os.environ.get("no_grpc_proxy", expected) == expected  # noqa: SIM112 - its name is small


def test_a_private_ray_takes_nothing_that_is_said_of_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "theirs")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    before = dict(os.environ)
    own = environment.of_private_ray()
    assert not {"RAY_ADDRESS", "RAY_AUTH_TOKEN"} & own.keys()
    assert (own["RAY_AUTH_MODE"], own["AWS_PROFILE"]) == ("token", "mine")
    with environment.inside_private_ray(str(tmp_path / "token")):
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "token")
        assert "RAY_AUTH_TOKEN" not in os.environ
    assert {**before, **os.environ} == dict(os.environ)
    assert os.environ["RAY_AUTH_TOKEN"] == "theirs" and "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_an_embedded_prefect_is_told_nothing_of_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its database would be made in theirs, and a SOCKS proxy ends its client before it has asked anything."""
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    for name, value in {
        "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://them/db",
        "PREFECT_API_KEY": "theirs",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "ALL_PROXY": "socks5://proxy:1080",
        "HTTPS_PROXY": "http://proxy:3128",
    }.items():
        monkeypatch.setenv(name, value)
    with environment.inside_own_prefect("/store/prefect"):
        assert not {"PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_API_KEY", "ALL_PROXY"} & os.environ.keys()
        assert os.environ["PREFECT_HOME"] == "/store/prefect"
        assert (os.environ["PREFECT_LOGGING_LEVEL"], os.environ["HTTPS_PROXY"]) == ("DEBUG", "http://proxy:3128")
    assert os.environ["PREFECT_API_KEY"] == "theirs" and "PREFECT_HOME" not in os.environ


def test_a_module_is_looked_for_in_the_current_folder_only_where_this_process_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file called ray.py or token.py in the folder that one happens to be in is not what is meant."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path not in ("", str(SOURCE))])
    assert environment.python("flows.server") == [sys.executable, "-P", "-m", "flows.server"]
    monkeypatch.setattr("sys.path", ["", *sys.path])
    assert environment.python("flows.server") == [sys.executable, "-m", "flows.server"]
