"""The model's folder, one version per publication, and the alias."""

import ast
import shutil
import sys
from importlib.metadata import version as installed
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

import ced
from ced.errors import FormatError
from ced.tracking import client, registry
from ced.tracking.runs import PUBLISH, ROLE, Experiment, Run


@pytest.fixture
def run(tracking_uri: str) -> Run:
    return Experiment.open(tracking_uri, "ced").run({PUBLISH: "p", ROLE: "pipeline"}, "name")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, restorer_folder: Path) -> Path:
    path = tmp_path_factory.mktemp("model") / "model"
    registry.save(path, restorer_folder, tmp_path_factory.mktemp("scratch"))
    return path


def test_a_saved_model_holds_the_restorer_the_script_and_part_of_ced(saved: Path, restorer_folder: Path) -> None:
    files = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert {name for name in files if name.startswith("artifacts/")} == {
        f"artifacts/restorer/{name}"
        for name in ("restorer.json", "classes.json", "classifier.safetensors", "autoencoder.safetensors")
    }
    weights = "autoencoder.safetensors"
    assert (saved / "artifacts/restorer" / weights).read_bytes() == (restorer_folder / weights).read_bytes()
    assert "serving_model.py" in files and "code/ced/restoration/restorer.py" in files
    assert not [name for name in files if "pycache" in name or name.endswith(".pkl")]
    assert {Path(name).parts[2] for name in files if name.startswith("code/")} == set(registry.SHIPPED)


def test_what_is_shipped_imports_nothing_that_is_not(saved: Path) -> None:
    allowed = {"numpy", "pandas", "PIL", "safetensors", "torch", "mlflow"} | set(sys.stdlib_module_names)
    shipped = {path.relative_to(saved / "code").with_suffix("") for path in (saved / "code").rglob("*.py")}
    modules = {".".join(path.parts).removesuffix(".__init__") for path in shipped}
    tables = {"ced.core.examples"}  # for the stages; no restorer imports it
    for path in [*(saved / "code").rglob("*.py"), saved / "serving_model.py"]:
        own = ".".join(path.relative_to(saved).with_suffix("").parts[1:])
        if own in tables:
            continue
        for name in imported(path):
            top = name.partition(".")[0]
            assert top in allowed or (name in modules and name not in tables), f"{own} imports {name}"


def imported(path: Path) -> set[str]:
    """What a file imports when it runs: not what it names for type checkers alone."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = Path(ced.__file__).parent.parent / node.module.replace(".", "/")
            names |= {f"{node.module}.{alias.name}" if folder.is_dir() else node.module for alias in node.names}
    return names - {"ced.__version__"}


def test_requirements_are_exact_and_without_builds(saved: Path) -> None:
    lines = (saved / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in lines] == list(registry.REQUIREMENTS)
    for line in lines:
        name, _, version = line.partition("==")
        assert installed(name).partition("+")[0] == version


def test_the_signature_is_bytes_in_and_bytes_out(saved: Path) -> None:
    described = yaml.safe_load((saved / "MLmodel").read_text())
    column = '[{"type": "binary", "name": "image", "required": true}]'
    assert described["signature"]["inputs"] == described["signature"]["outputs"] == column
    assert described["flavors"]["python_function"]["config"] == registry.SERVING
    assert (saved / "serving_input_example.json").exists()


@pytest.mark.parametrize("name", ["autoencoder.safetensors", "classes.json"])
def test_a_model_that_was_altered_is_not_served(saved: Path, tmp_path: Path, name: str) -> None:
    import mlflow

    path = Path(shutil.copytree(saved, tmp_path / "model")) / "artifacts" / "restorer" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match=f"{path}: altered since it was made"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))


def test_a_publication_has_one_version(run: Run, restorer_folder: Path, tmp_path: Path) -> None:
    first = registry.register(run, "p", "ced", restorer_folder, tmp_path)
    again = registry.register(run, "p", "ced", restorer_folder, tmp_path)
    assert first == again and first.number == "1"
    assert first.tags == {PUBLISH: "p", "ced.restorer": client.digest(restorer_folder)}
    (model,) = run.client.search_logged_models([run.experiment])
    assert model.status == "READY" and model.source_run_id == run.id
    assert [one.model_id for one in run.client.get_run(run.id).outputs.model_outputs] == [model.model_id]
    second = registry.register(run, "another", "ced", restorer_folder, tmp_path)
    assert second.number == "2"


@pytest.mark.parametrize("name", ["ced", "ced-fast"])
def test_a_second_restorer_of_a_publication_has_files_of_its_own(
    name: str, run: Run, restorer_folder: Path, tmp_path: Path, tracking_uri: str
) -> None:
    """Under another registered name, or as another version of the same one."""
    other = Path(shutil.copytree(restorer_folder, tmp_path / "other"))
    (other / "restorer.json").write_text((restorer_folder / "restorer.json").read_text() + "\n")
    folders, registered = {"restorer": restorer_folder, "fast": other}, {"restorer": "ced", "fast": name}
    for _ in range(2):
        versions = {
            logged_as: registry.register(run, "p", registered[logged_as], folder, tmp_path / "scratch", logged_as)
            for logged_as, folder in folders.items()
        }
    assert len({(version.name, version.number) for version in versions.values()}) == 2
    assert len(run.client.search_logged_models([run.experiment])) == 2
    for logged_as, version in versions.items():
        expected = (folders[logged_as] / "restorer.json").read_bytes()
        for uri in (f"models:/{version.name}/{version.number}", f"runs:/{run.id}/{logged_as}"):
            assert (client.resolve(tracking_uri, uri) / "restorer.json").read_bytes() == expected
        registry.promote(run.client, version, f"best-{logged_as}")
        champion = client.load_champion(tracking_uri, version.name, f"best-{logged_as}")
        assert champion is not None and (champion / "restorer.json").read_bytes() == expected


def test_a_publication_of_before_is_found_though_it_does_not_say_which_restorer_it_holds(
    run: Run, restorer_folder: Path, tmp_path: Path
) -> None:
    version = registry.register(run, "p", "ced", restorer_folder, tmp_path)
    run.client.delete_model_version_tag("ced", version.number, "ced.restorer")
    assert registry.register(run, "p", "ced", restorer_folder, tmp_path).number == version.number


def test_a_model_half_uploaded_is_completed(run: Run, restorer_folder: Path, tmp_path: Path) -> None:
    mlflow_client: MlflowClient = run.client
    half = mlflow_client.create_logged_model(run.experiment, "restorer", run.id, {PUBLISH: "p"})
    (tmp_path / "MLmodel").write_text("half of it")
    mlflow_client.log_model_artifact(half.model_id, str(tmp_path / "MLmodel"))
    version = registry.register(run, "p", "ced", restorer_folder, tmp_path)
    (model,) = mlflow_client.search_logged_models([run.experiment])
    assert (model.model_id, model.status) == (half.model_id, "READY")
    text = Path(version.location.removeprefix("file://"), "MLmodel").read_text()
    assert text != "half of it" and "mlflow.pyfunc.loaders.code_model" in text


def test_the_alias_moves(run: Run, restorer_folder: Path, tmp_path: Path) -> None:
    assert registry.champion(run.client, "ced", "champion") is None
    one, two = (registry.register(run, p, "ced", restorer_folder, tmp_path) for p in ("one", "two"))
    assert registry.champion(run.client, "ced", "champion") is None
    for version in (one, two, two):
        registry.promote(run.client, version, "champion")
        assert registry.champion(run.client, "ced", "champion") == version


def test_a_version_is_described(run: Run, restorer_folder: Path, tmp_path: Path) -> None:
    version = registry.register(run, "p", "ced", restorer_folder, tmp_path)
    registry.describe(run.client, version, {"ced.method": "ced-gt", "ced.psnr": "27.5"}, "how good it is")
    stored = run.client.get_model_version("ced", version.number)
    assert stored.tags == version.tags | {"ced.method": "ced-gt", "ced.psnr": "27.5"}
    assert stored.description == "how good it is"


def test_files_that_were_deleted_are_known_to_be_gone(
    run: Run, restorer_folder: Path, tmp_path: Path, tracking_uri: str
) -> None:
    version = registry.register(run, "p", "ced", restorer_folder, tmp_path)
    assert not registry.is_gone(version, tracking_uri)
    fetched = registry.fetch(version, tracking_uri, tmp_path / "fetched")
    assert (fetched / "classes.json").read_bytes() == (restorer_folder / "classes.json").read_bytes()
    assert fetched.is_relative_to(tmp_path / "fetched")
    shutil.rmtree(version.location.removeprefix("file://"))
    assert registry.is_gone(version, tracking_uri)
