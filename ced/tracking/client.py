"""MLflow: where it is, whether it answers, and the restorers in its registry."""

import contextlib
import http.client
import logging
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ced import environment
from ced.config import fingerprint
from ced.errors import ConfigError, FormatError, InputError, ServiceError, first_line
from ced.store.outputs import MANIFEST, sha256
from ced.timeouts import ANSWER_TIMEOUT, NoAnswer, call_in_time
from ced.tracking import sqlite

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = sqlite.ARTIFACTS
RESTORER = "artifacts/restorer"  # the restorer's folder inside a logged model
DIGEST = "ced.restorer"  # tag of a model or version: the digest of the restorer's files
METHOD = "ced.method"  # tag of a version that a pipeline published

_HEALTH_TIMEOUT = 5.0  # seconds of one request to /health
_DATABASES = ("postgresql", "mysql", "mssql")
_MANAGED = ("databricks", "uc")
# What MLflow's own client reads from the environment: its five retries take minutes.
_CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # a ServiceError says what went wrong, once
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # a lock file in the user's folder is not the model's
}


def local_uri(store: Path) -> str:
    """The SQLite registry inside a store."""
    return sqlite.uri(store.resolve() / DATABASE)


def check(tracking_uri: str, write: bool = True) -> None:
    """Find out whether MLflow answers, within 15 seconds and before any work starts; without `write` a file that can
    be read is enough.

    Raises ServiceError where nobody answers, ConfigError for an address that is none.
    """
    scheme = urllib.parse.urlsplit(tracking_uri).scheme.partition("+")[0]
    if scheme in ("http", "https"):
        _in_time(lambda: _ask_health(tracking_uri), tracking_uri)
    elif scheme == "sqlite":
        file = database(tracking_uri)
        if file is None:
            raise ConfigError(f"MLflow address {tracking_uri!r}: write it as sqlite:///FILE")
        sqlite.check(file, write)
    elif scheme in _DATABASES:
        _in_time(lambda: connect(tracking_uri).search_experiments(max_results=1), tracking_uri)
    elif scheme not in _MANAGED and tracking_uri not in _MANAGED:
        raise ConfigError(
            f"MLflow address {without_password(tracking_uri)!r}: write it as http://HOST:PORT or sqlite:///FILE"
        )


def connect(tracking_uri: str) -> "MlflowClient":
    """A client of the tracking server and its registry. MLflow's global address stays as it is. Raises ServiceError
    where a file's database cannot be made or used."""
    configure_mlflow()
    file = database(tracking_uri)
    if file is not None:
        sqlite.prepare(file)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri, tracking_uri)


def installed() -> bool:
    """Whether MLflow can be imported; it is imported to find out."""
    configure_mlflow()
    try:
        import mlflow  # noqa: F401
    except ImportError:
        return False
    return True


def database(tracking_uri: str) -> Path | None:
    """The file of a SQLite address, None for any other."""
    prefix = "sqlite:///"
    path = urllib.parse.unquote(tracking_uri.removeprefix(prefix))
    return Path(path).absolute() if tracking_uri.startswith(prefix) else None


def identity(tracking_uri: str) -> str:
    """The address by which what was published there is known, without a password: of a store that was moved, its first
    one."""
    file = database(tracking_uri)
    return without_password(tracking_uri) if file is None else sqlite.first_address(file)


def without_password(tracking_uri: str) -> str:
    """The address without a user's name and password."""
    parts = urllib.parse.urlsplit(tracking_uri)
    return tracking_uri.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1) if "@" in parts.netloc else tracking_uri


@contextlib.contextmanager
def service_errors(tracking_uri: str) -> Iterator[None]:
    """Whatever MLflow raises inside the block, as a ServiceError of one line."""
    configure_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        if _unanswered(error):
            raise ServiceError(f"{_nobody(without_password(tracking_uri))}; {_CURE}") from error
        line = _line(error).replace(tracking_uri, without_password(tracking_uri))
        raise ServiceError(f"MLflow at {without_password(tracking_uri)}: {line}") from error


def load_champion(tracking_uri: str, name: str, alias: str) -> Path | None:
    """The folder of the restorer that is `name`@`alias`; None where no version of `name` has the alias.

    Raises ServiceError.
    """
    return _folder_of(tracking_uri, f"{name}@{alias}", f"/{RESTORER}")


def resolve(tracking_uri: str, uri: str) -> Path:
    """The folder of the restorer at models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID or runs:/RUN_ID/MODEL.

    Raises InputError where there is no such model, ServiceError.
    """
    return _resolved(tracking_uri, uri, f"/{RESTORER}")


def resolve_model(tracking_uri: str, uri: str) -> Path:
    """The folder of any model at such an address, as MLflow laid it out. Raises InputError, ServiceError."""
    return _resolved(tracking_uri, uri, "")


def _resolved(tracking_uri: str, uri: str, within: str) -> Path:
    kind, _, name = uri.partition(":/")
    if kind == "runs" and re.fullmatch(r"[^/@]+/[^@]+", name.strip("/")):
        kind, name = "models", _logged_model_id(tracking_uri, uri, *name.strip("/").split("/", 1))
    if kind != "models" or not re.fullmatch(r"[^/@]+(@[^/@]+|/\d+)?", name.strip("/")):
        raise InputError(
            f"{uri}: write it as models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN_ID/MODEL, or give a folder"
        )
    folder = _folder_of(tracking_uri, name.strip("/"), within)
    if folder is None:
        raise InputError(f"{uri}: no such model in {without_password(tracking_uri)}; `ced run` makes one")
    return folder


def download(location: str, tracking_uri: str, folder: Path | None = None) -> Path:
    """An artifact folder as a local one: where it lies, or a copy in `folder`, or one that ends with the process."""
    import atexit
    import shutil
    import tempfile

    from mlflow.artifacts import download_artifacts

    if folder is None and not location.startswith(("/", "file:")):
        folder = Path(tempfile.mkdtemp(prefix="ced-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = str(folder) if folder is not None else None
    return Path(download_artifacts(location, dst_path=target, tracking_uri=tracking_uri, registry_uri=tracking_uri))


def _folder_of(tracking_uri: str, name: str, within: str) -> Path | None:
    """The folder of NAME@ALIAS, NAME/VERSION or MODEL_ID, or one `within` it; None where there is no such model."""
    file = database(tracking_uri)
    if file is not None and not sqlite.is_there(file):
        return None  # nothing was ever published; asking MLflow would create the database
    with service_errors(tracking_uri):
        client = connect(tracking_uri)
        found = or_none(lambda: _located(client, name))
        if found is None:
            return None
        location = found[0] if file is None else sqlite.here(file, found[0])
        folder = download(f"{location}{within}", tracking_uri)
    check_published(folder if within else Path(folder, RESTORER), name, found[1])
    return folder


def check_published(folder: Path, name: str, tags: dict[str, str]) -> None:
    """Hold a restorer's files against the tags of the version that they were published as. Raises FormatError."""
    stated = tags.get(DIGEST) if METHOD in tags else None  # others were registered with what a restorer has not
    if stated is not None and digest(folder) != stated:
        from ced.restoration.family import Family

        Family.load(folder).on("cpu")  # names the file, where the restorer itself has digests
        cure = "remove publish/ in the store and run the command again that published it"
        raise FormatError(f"{folder}: altered since it was published as {name}; {cure}")


def digest(restorer: Path) -> str:
    """A digest of the files of a restorer, without the manifest beside them: it has the time that making them took."""
    paths = {path.relative_to(restorer).as_posix(): path for path in sorted(restorer.rglob("*")) if path.is_file()}
    visible = {name: path for name, path in paths.items() if name != MANIFEST and not name.startswith(".")}
    return fingerprint({name: sha256(path) for name, path in visible.items()})


def _logged_model_id(tracking_uri: str, uri: str, run_id: str, name: str) -> str:
    """The id of the model that a run has logged under a name. Raises InputError."""
    file = database(tracking_uri)
    if file is None or sqlite.is_there(file):
        with service_errors(tracking_uri):
            client = connect(tracking_uri)
            run = or_none(lambda: client.get_run(run_id))
            for logged in run.outputs.model_outputs if run is not None and run.outputs else []:
                if client.get_logged_model(logged.model_id).name == name:
                    return str(logged.model_id)
    raise InputError(f"{uri}: no such run or model in {without_password(tracking_uri)}; `ced run` makes one")


def _located(client: "MlflowClient", name: str) -> tuple[str, dict[str, str]]:
    """Where the files of a model or version are, and its tags."""
    model, at, alias = name.partition("@")
    model, slash, number = model.partition("/")
    if not at and not slash:
        return str(client.get_logged_model(model).artifact_location), {}
    version = client.get_model_version_by_alias(model, alias) if at else client.get_model_version(model, number)
    return str(client.get_model_version_download_uri(model, version.version)), dict(version.tags)


def configure_mlflow() -> None:
    """Set what MLflow reads from the environment when it is imported, and silence its loggers."""
    environment.quiet()
    for name, value in _CLIENT.items():
        environment.set_default(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its migrations on a new database, step by step
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each attempt to connect


def or_none(ask: Callable[[], Any]) -> Any:
    """What MLflow answers; None where it says that there is no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        # A missing alias is an invalid parameter to one store and a missing resource to another.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _ask_health(tracking_uri: str) -> None:
    """Ask a server's /health once. Raises ServiceError."""
    address = without_password(tracking_uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_HEALTH_TIMEOUT):
            return
    except urllib.error.HTTPError as error:
        hint = "; start it with --allowed-hosts" if error.code == 403 else ""
        raise ServiceError(f"{address} answers {error.code} to /health, as no MLflow server does{hint}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ServiceError(f"{_nobody(address)} ({_line(getattr(error, 'reason', error))}); {_CURE}") from error


def _in_time(ask: Callable[[], object], tracking_uri: str) -> None:
    """`ask`, and whatever is wrong as a ServiceError of one line."""
    address = without_password(tracking_uri)
    try:
        call_in_time(ask, ANSWER_TIMEOUT)
    except ServiceError:
        raise
    except NoAnswer:
        raise ServiceError(f"{_nobody(address)} within {ANSWER_TIMEOUT:.0f} seconds; {_CURE}") from None
    except (Exception, SystemExit) as error:
        raise ServiceError(f"{_nobody(address)} ({_line(error)}); {_CURE}") from error


_CURE = "start it, or unset MLFLOW_TRACKING_URI to use the store's own"


def _nobody(address: str) -> str:
    return f"no MLflow server answers at {address}"


def _unanswered(error: BaseException | None) -> bool:
    """Whether a failed connection is what an error comes from."""
    import requests

    kinds = (requests.ConnectionError, requests.Timeout)
    return error is not None and (isinstance(error, kinds) or _unanswered(error.__cause__ or error.__context__))


def _line(error: object) -> str:
    """The first line of an error's text; of a system's error, what the system calls it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return first_line(error, 300)
