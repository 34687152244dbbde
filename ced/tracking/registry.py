"""The model registry: one version per publication, and the alias that names the champion."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ced
from ced.tracking import client as mlflow_tracking
from ced.tracking.runs import PUBLISH, Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

# What a deployed model runs.
SHIPPED = ("__init__.py", "config.py", "errors.py", "networks.py", "registry.py", "restoration", "core", "models")
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "safetensors", "torch")
# What a server may change with SERVING_MODEL_CONFIG: the most images, bytes and pixels it takes, and where it runs.
SERVING = {"max_images": 16, "max_bytes": 50_000_000, "max_pixels": 50_000_000, "device": "cpu"}
_SCRIPT = Path(__file__).with_name("serving_model.py")
_MODEL = "restorer"  # the name of the logged model


@dataclass(frozen=True)
class Version:
    """A registered version: its number, tags and where its files lie."""

    name: str
    number: str
    tags: dict[str, str]
    location: str


def register(run: Run, publication: str, name: str, restorer: Path, scratch: Path) -> Version:
    """The version of a publication: found by its tag, else the folder `restorer` logged and registered."""
    from mlflow.exceptions import MlflowException

    found = run.client.search_model_versions(f"name = '{name}' and tags.`{PUBLISH}` = '{publication}'")
    if found:
        return _version(run.client, min(found, key=lambda one: int(one.version)))
    model = _logged(run, publication, restorer, scratch)
    try:
        run.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    made = run.client.create_model_version(
        name, model.artifact_location, run.id, tags={PUBLISH: publication}, model_id=model.model_id
    )
    return _version(run.client, made)


def describe(client: "MlflowClient", version: Version, tags: dict[str, str], description: str = "") -> None:
    """Set tags of a version, and what its page says."""
    for key, value in tags.items():
        client.set_model_version_tag(version.name, version.number, key, value)
    if description:
        client.update_model_version(version.name, version.number, description)


def champion(client: "MlflowClient", name: str, alias: str) -> Version | None:
    """The version that has the alias, None where none has."""
    found = mlflow_tracking.or_none(lambda: client.get_model_version_by_alias(name, alias))
    return None if found is None else _version(client, found)


def promote(client: "MlflowClient", version: Version, alias: str) -> None:
    """Give the alias to a version; it leaves the one that had it."""
    client.set_registered_model_alias(version.name, alias, version.number)


def is_gone(version: Version, tracking_uri: str) -> bool:
    """Whether the place of a version's files answers and holds none: somebody deleted them."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(version.location, tracking_uri=tracking_uri, registry_uri=tracking_uri)
    return not repository.list_artifacts()


def fetch(version: Version, tracking_uri: str, folder: Path) -> Path:
    """A version's restorer, copied below `folder`."""
    return mlflow_tracking.download(f"{version.location}/{mlflow_tracking.RESTORER}", tracking_uri, folder)


def save(path: Path, restorer: Path, scratch: Path, **model: Any) -> None:
    """Write the folder of a pyfunc model: the restorer, the script that runs it, and the part of `ced` it needs.

    `model` goes into MLflow's description of it (run_id, model_id, artifact_path).
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with _staged(restorer, scratch) as staged:
        mlflow.pyfunc.save_model(
            str(path),
            python_model=str(_SCRIPT),
            artifacts={"restorer": str(staged / "restorer")},
            code_paths=[str(staged / "ced")],
            model_config=SERVING,
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={installed(name).partition('+')[0]}" for name in REQUIREMENTS],
            mlflow_model=Model(**model),
        )
    for cache in list(path.rglob("__pycache__")):
        shutil.rmtree(cache)


def _logged(run: Run, publication: str, restorer: Path, scratch: Path) -> Any:
    """The logged model of a publication, complete; one that was being uploaded is uploaded again."""
    from mlflow.entities import LoggedModelOutput

    client = run.client
    found = client.search_logged_models([run.experiment], f"tags.`{PUBLISH}` = '{publication}'")
    tags = {PUBLISH: publication}
    model = found[0] if found else client.create_logged_model(run.experiment, _MODEL, run.id, tags)
    if model.status != "READY":
        path = scratch / "model"
        shutil.rmtree(path, ignore_errors=True)
        save(path, restorer, scratch, artifact_path=model.artifact_location, run_id=run.id, model_id=model.model_id)
        client.log_model_artifacts(model.model_id, str(path))
        client.finalize_logged_model(model.model_id, "READY")
        shutil.rmtree(path)
    outputs = client.get_run(run.id).outputs
    if outputs is None or model.model_id not in [one.model_id for one in outputs.model_outputs]:
        client.log_outputs(run.id, [LoggedModelOutput(model.model_id, step=0)])
    return model


@contextmanager
def _staged(restorer: Path, scratch: Path) -> Iterator[Path]:
    """`restorer` and `ced` as folders of these names, each with what a deployed model needs of it alone."""
    from ced.restoration.family import files_of

    staged = scratch / "staged"
    shutil.rmtree(staged, ignore_errors=True)
    for name, path in files_of(restorer).items():
        (staged / "restorer" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, staged / "restorer" / name)
    package = Path(ced.__file__).parent
    (staged / "ced").mkdir()
    for name in SHIPPED:
        source, target = package / name, staged / "ced" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    yield staged
    shutil.rmtree(staged)


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    column = Schema([ColSpec(DataType.binary, "image")])
    return ModelSignature(inputs=column, outputs=column)


def _example() -> Any:
    """A request that can be sent as it is: MLflow keeps it as serving_input_example.json."""
    import numpy as np
    import pandas as pd

    from ced.core import jpeg

    ramp = np.add.outer(np.arange(0, 128, 8), np.arange(0, 128, 8)).astype(np.uint8)
    return pd.DataFrame({"image": [jpeg.encode(ramp, 10)]})


def _version(client: "MlflowClient", found: Any) -> Version:
    location = client.get_model_version_download_uri(found.name, found.version)
    return Version(found.name, str(found.version), dict(found.tags), location)
