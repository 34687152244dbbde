"""prefect.yaml, read by Prefect's own loader and held against the real flows."""

import importlib.metadata
import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._config import _load_deploy_configs_and_actions
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.exceptions import ParameterTypeError
from prefect.flows import Flow, load_flow_from_entrypoint
from rich.console import Console

from ced.recipes import configure

ROOT = Path(__file__).parents[3]
FILE = ROOT / "prefect.yaml"
RAW: dict[str, Any] = yaml.safe_load(FILE.read_text())
NAMES = ["quickstart", "paper"]  # of the pipeline
RESTORE = "photographs"


def load(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Deployments and steps as `prefect deploy --all` reads them, and what it says of them."""
    said = io.StringIO()
    deployments, actions = _load_deploy_configs_and_actions(file, console=Console(file=said, width=200))
    return deployments, actions, said.getvalue()


@pytest.fixture(scope="module")
def flow() -> Flow[..., Any]:
    return loaded_flow(*NAMES)


def loaded_flow(*names: str) -> Flow[..., Any]:
    """The flow of all these deployments."""
    (entrypoint,) = {deployment["entrypoint"] for deployment in RAW["deployments"] if deployment["name"] in names}
    path, _, name = entrypoint.partition(":")
    loaded: Flow[..., Any] = load_flow_from_entrypoint(f"{ROOT / path}:{name}")
    return loaded


def test_prefect_reads_every_deployment_and_has_nothing_to_say() -> None:
    deployments, _, said = load(FILE)
    assert [deployment["name"] for deployment in deployments] == [*NAMES, RESTORE]
    assert said == ""


def test_the_loader_does_complain_of_a_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "prefect.yaml").write_text(FILE.read_text().replace("recipe: paper", "- paper"))
    deployments, _, said = load(tmp_path / "prefect.yaml")
    assert deployments == []
    assert "paper: parameters" in said


def test_prefect_ignores_no_key() -> None:
    """Its models drop keys they do not know without a word: what they keep must be all that stands there."""
    kept = PrefectYamlModel.model_validate(RAW).model_dump(exclude_unset=True, by_alias=True)
    assert kept == RAW


def test_runs_go_to_the_process_work_pool() -> None:
    pool = {"name": "ced", "job_variables": {"env": {"PREFECT_LOGGING_EXTRA_LOGGERS": "ced"}}}
    assert [deployment["work_pool"] for deployment in load(FILE)[0]] == [pool, pool, pool]


def test_no_step_and_no_path_ties_it_to_a_machine() -> None:
    _, actions, _ = load(FILE)
    assert actions == {"build": [], "push": [], "pull": None}  # None: Prefect notes the folder it deploys from
    assert not [value for value in _strings(RAW) if value.startswith(("/", "~"))]


def test_the_entrypoint_is_the_flow(flow: Flow[..., Any]) -> None:
    assert flow.name == "pipeline"
    assert loaded_flow(RESTORE).name == "restore"


def test_what_is_restored_has_to_be_said() -> None:
    restore = loaded_flow(RESTORE)
    taken = restore.validate_parameters({"sources": ["s3://bucket/in"], "out": "s3://bucket/out", "faithful": True})
    assert (taken["faithful"], taken["workers"]) == (True, 0)
    for missing in ({"out": "x"}, {"sources": ["x"]}, {"sources": "x", "out": "y"}):
        with pytest.raises(ParameterTypeError):
            restore.validate_parameters(missing)


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_are_the_flow_s(flow: Flow[..., Any], name: str) -> None:
    (deployment,) = (deployment for deployment in load(FILE)[0] if deployment["name"] == name)
    assert deployment["parameters"] == {"recipe": name}
    assert flow.validate_parameters(deployment["parameters"])["recipe"] == name
    with pytest.raises(ParameterTypeError):
        flow.validate_parameters({**deployment["parameters"], "images": 5})
    assert configure(**deployment["parameters"]) == configure(name)


def test_the_version_is_the_one_that_is_installed() -> None:
    assert RAW["prefect-version"] == importlib.metadata.version("prefect")


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []
