"""The model registry: a version for each restorer of a publication, and the alias that names the champion."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ced
from ced.tracking import client
from ced.tracking.runs import PUBLISH, Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

# What a deployed model runs.
SHIPPED = (
    "__init__.py",
    "config.py",
    "decoding.py",
    "errors.py",
    "isolation.py",
    "networks.py",
    "registry.py",
    "sections.py",
    "restoration",
    "core",
    "models",
)
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "safetensors", "torch")
# What a server may change with SERVING_MODEL_CONFIG: the most images, bytes and pixels it takes, the seconds that
# decoding one may take, and where it runs.
SERVING = {"max_images": 16, "max_bytes": 50_000_000, "max_pixels": 50_000_000, "max_seconds": 10.0, "device": "cpu"}
_SCRIPT = Path(__file__).with_name("serving_model.py")


@dataclass(frozen=True)
class ModelVersion:
    """A registered version: its number, tags and where its files lie."""

    name: str
    number: str
    tags: dict[str, str]
    location: str


def register(
    run: Run, publication: str, name: str, restorer: Path, scratch: Path, logged_as: str = "restorer"
) -> ModelVersion:
    """The version of `name` that holds the folder `restorer`: the publication's where it has one, else logged and
    registered now. Files of the former beside a database of the store are written again: they may be damaged.

    One publication may register several restorers, as versions of one name or of several. Each is logged under a name
    of its own, so that `runs:/RUN_ID/NAME` finds it.
    """
    from mlflow.exceptions import MlflowException

    tags = {PUBLISH: publication, client.DIGEST: client.digest(restorer)}
    versions = run.client.search_model_versions(f"name = '{name}' and tags.`{PUBLISH}` = '{publication}'")
    versions = [version for version in versions if _holds(version, tags)]
    if versions:
        if client.database(run.client.tracking_uri) is not None:
            _logged(run, tags, restorer, scratch, logged_as, again=True)
        return _version(run.client, min(versions, key=lambda version: int(version.version)))
    model = _logged(run, tags, restorer, scratch, logged_as)
    try:
        run.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    created = run.client.create_model_version(name, model.artifact_location, run.id, tags=tags, model_id=model.model_id)
    return _version(run.client, created)


def describe(mlflow_client: "MlflowClient", version: ModelVersion, tags: dict[str, str], description: str = "") -> None:
    """Set tags of a version, and what its page says."""
    for key, value in tags.items():
        mlflow_client.set_model_version_tag(version.name, version.number, key, value)
    if description:
        mlflow_client.update_model_version(version.name, version.number, description)


def champion(mlflow_client: "MlflowClient", name: str, alias: str) -> ModelVersion | None:
    """The version that has the alias, None where none has."""
    version = client.or_none(lambda: mlflow_client.get_model_version_by_alias(name, alias))
    return None if version is None else _version(mlflow_client, version)


def promote(mlflow_client: "MlflowClient", version: ModelVersion, alias: str) -> None:
    """Give the alias to a version; it leaves the one that had it."""
    mlflow_client.set_registered_model_alias(version.name, alias, version.number)


def is_gone(version: ModelVersion, tracking_uri: str) -> bool:
    """Whether the place of a version's files answers and holds none: somebody deleted them."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(version.location, tracking_uri=tracking_uri, registry_uri=tracking_uri)
    return not repository.list_artifacts()


def fetch(version: ModelVersion, tracking_uri: str, folder: Path) -> Path:
    """A version's restorer, copied below `folder`. Raises FormatError where it was altered since it was published."""
    copy = client.download(f"{version.location}/{client.RESTORER}", tracking_uri, folder)
    client.check_published(copy, f"{version.name}/{version.number}", version.tags)
    return copy


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


def _logged(run: Run, tags: dict[str, str], restorer: Path, scratch: Path, name: str, again: bool = False) -> Any:
    """The logged model with these tags, complete; one that was being uploaded is uploaded again, or any one `again`."""
    from mlflow.entities import LoggedModelOutput

    models = run.client.search_logged_models([run.experiment], f"tags.`{PUBLISH}` = '{tags[PUBLISH]}'")
    models = [model for model in models if _holds(model, tags)]
    model = models[0] if models else run.client.create_logged_model(run.experiment, name, run.id, tags)
    if again or model.status != "READY":
        path = scratch / "model"
        shutil.rmtree(path, ignore_errors=True)
        save(path, restorer, scratch, artifact_path=model.artifact_location, run_id=run.id, model_id=model.model_id)
        run.client.log_model_artifacts(model.model_id, str(path))
        run.client.finalize_logged_model(model.model_id, "READY")
        shutil.rmtree(path)
    outputs = run.client.get_run(run.id).outputs
    if outputs is None or model.model_id not in [output.model_id for output in outputs.model_outputs]:
        run.client.log_outputs(run.id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def _holds(entity: Any, tags: dict[str, str]) -> bool:
    """Whether a publication's model or version is that of the restorer: those of ced 0.1.0 do not say, and had one."""
    return bool(entity.tags.get(client.DIGEST, tags[client.DIGEST]) == tags[client.DIGEST])


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


def _version(mlflow_client: "MlflowClient", entity: Any) -> ModelVersion:
    location = mlflow_client.get_model_version_download_uri(entity.name, entity.version)
    return ModelVersion(entity.name, str(entity.version), dict(entity.tags), location)
