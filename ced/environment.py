"""The one module that reads the environment."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Unless the user has said otherwise: no usage reports, no prompts, no progress bars of libraries underneath ours.
# And threads that wait sleep: by default they spin, which on cores that others use too costs a factor of ten
# (docs/log.md).
_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # report() blocks one poll of the controller
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "30",  # then with fewer workers, where that is allowed
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class Environment:
    """What the environment says."""

    store: Path  # CED_STORE, default .ced
    ray_address: str  # RAY_ADDRESS, default "local": a private instance
    mlflow_uri: str  # MLFLOW_TRACKING_URI, default "": SQLite in the store
    prefect_api: str  # PREFECT_API_URL, default "": an embedded server


def load() -> Environment:
    """The environment of this process."""
    return Environment(
        store=Path(os.environ.get("CED_STORE") or ".ced"),
        ray_address=os.environ.get("RAY_ADDRESS") or "local",
        mlflow_uri=os.environ.get("MLFLOW_TRACKING_URI") or "",
        prefect_api=os.environ.get("PREFECT_API_URL") or "",
    )


def quiet() -> None:
    """Set what the user has not set; before torch is imported, which reads some of it then."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def set_default(name: str, value: str) -> None:
    """Set an environment variable for libraries that read nothing else, unless the user has set it."""
    os.environ.setdefault(name, value)


@contextlib.contextmanager
def temporarily(name: str, value: str) -> Iterator[None]:
    """An environment variable for libraries, inside the block."""
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if former is None:
            del os.environ[name]
        else:
            os.environ[name] = former
