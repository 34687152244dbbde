"""The one module that reads the environment."""

import contextlib
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Unless the user has said otherwise: no usage reports, no prompts, no progress bars of libraries underneath ours.
# And threads that wait sleep: by default they spin, which on cores that others use too costs a factor of ten
# (docs/log.md).
_DEFAULTS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",  # many S3 servers that are not Amazon's refuse the others
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

# What a private Ray must not take from the user's environment: it is said of other instances.
_OF_OTHER_RAYS = (
    "RAY_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_GCS_SERVER_PORT",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "RAY_NAMESPACE",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING",
    "RAY_REDIS_ADDRESS",
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_USE_TLS",
)
_ONE_MACHINE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # at 0, Ray's programs take 127.0.0.1 for their address
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    _ask_this_machine_directly()


def _ask_this_machine_directly() -> None:
    """What listens on this machine is never asked through a proxy. Of the two spellings programs read one alone, and
    gRPC one of its own before them."""
    both = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name, given in (
        ("no_proxy", both),
        ("NO_PROXY", both),
        ("no_grpc_proxy", os.environ.get("no_grpc_proxy", "")),  # noqa: SIM112 - its name is small
    ):
        hosts = [host for host in map(str.strip, given.split(",")) if host]
        if "*" not in hosts and (hosts or name != "no_grpc_proxy"):
            os.environ[name] = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])


def python(module: str) -> list[str]:
    """The command line that runs a module in a Python of its own, which looks for modules in the current folder only
    where this one does."""
    here = "" in sys.path or os.getcwd() in sys.path
    return [sys.executable, *([] if here else ["-P"]), "-m", module]


def of_private_ray() -> dict[str, str]:
    """The environment of the process that holds a private Ray."""
    quiet()
    own = {name: value for name, value in os.environ.items() if name not in _OF_OTHER_RAYS}
    return own | {"RAY_AUTH_MODE": "token", _ONE_MACHINE: "0"}


def enter_private_ray(folder: str, token: str) -> None:
    """What its processes are told: where their files go, the file that holds the token, and that workers of a training
    talk to each other on this machine alone."""
    os.environ.update(RAY_TMPDIR=folder, RAY_AUTH_TOKEN_PATH=token)
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        os.environ.update(GLOO_SOCKET_IFNAME=loopback, NCCL_SOCKET_IFNAME=loopback)


def scratch_file() -> str:
    """A new name for a file beside those of a private Ray, in a process of its own."""
    return os.path.join(os.environ["RAY_TMPDIR"], uuid.uuid4().hex)


@contextlib.contextmanager
def inside_own_prefect(home: str) -> Iterator[None]:
    """The environment of an embedded Prefect server and its client, inside the block: what is said of other servers,
    their databases and keys is not for it, nor a SOCKS proxy, without which its client does not even start."""
    kept = ("PREFECT_HOME", "PREFECT_LOGGING_", *(name for name in _DEFAULTS if name.startswith("PREFECT_")))
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_") or name.startswith(kept)
    }
    for name in [name for name in own if name.lower().endswith("_proxy") and own[name].startswith("socks")]:
        del own[name]
    with _as({"PREFECT_HOME": home, "PREFECT_UI_ENABLED": "false", **own}):
        yield


def temporary_folders() -> list[str]:
    """Folders for temporary files, best first."""
    return [*filter(None, [os.environ.get("RAY_TMPDIR")]), tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]


def set_default(name: str, value: str) -> None:
    """Set an environment variable for libraries that read nothing else, unless the user has set it."""
    os.environ.setdefault(name, value)


@contextlib.contextmanager
def temporarily(name: str, value: str) -> Iterator[None]:
    """An environment variable for libraries, inside the block."""
    with _as({**os.environ, name: value}):
        yield


@contextlib.contextmanager
def inside_private_ray(token: str) -> Iterator[None]:
    """The environment of a driver that connects to a private Ray, inside the block."""
    with _as({**of_private_ray(), "RAY_AUTH_TOKEN_PATH": token}):
        yield


@contextlib.contextmanager
def _as(wanted: dict[str, str]) -> Iterator[None]:
    """An environment that differs from this one in some variables, which are put back afterwards."""
    former = dict(os.environ)
    changed = [name for name in former.keys() | wanted.keys() if former.get(name) != wanted.get(name)]
    _put(changed, wanted)
    try:
        yield
    finally:
        _put(changed, former)


def _put(names: list[str], values: dict[str, str]) -> None:
    for name in names:
        if name in values:
            os.environ[name] = values[name]
        else:
            os.environ.pop(name, None)
