"""The environment: read in one place, with defaults that keep libraries quiet and a user's word above them."""

import ast
import os
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
