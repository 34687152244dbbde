"""What all stages of a run share: the store, Ray and MLflow, checked before any work starts."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from ced import environment
from ced.cluster import connection
from ced.errors import OutputError
from ced.store.outputs import Store, write_text
from ced.store.session import Session
from ced.tracking import client, sqlite

_ROOM = 16_000_000  # bytes: Prefect's and MLflow's databases, and as much again


@contextlib.contextmanager
def session(store: str | None = None, ray_address: str | None = None, workers: int = 0) -> Iterator[Session]:
    """The store and services of a run; what is not given comes from the environment.

    Raises OutputError where the store cannot be written, ServiceError where Ray or MLflow does not answer.
    """
    environment.quiet()
    from_environment = environment.load()
    opened = open_store(store)
    tracking_uri = _tracking_uri(opened)
    client.check(tracking_uri)
    with connection.session(ray_address or from_environment.ray_address):
        yield Session(opened, workers, tracking_uri)


def check(store: Store, ray_address: str | None = None) -> None:
    """Find out whether anybody listens where services are named, and whether there is room for a run's databases,
    before anything is started. Raises ServiceError and OutputError."""
    free = shutil.disk_usage(store.root).free
    if free < _ROOM:
        room = f"{free / 1e6:.0f} MB free, a run begins with {_ROOM / 1e6:.0f}"
        raise OutputError(f"{store.root}: {room}; make room or name another store")
    client.check(_tracking_uri(store))
    if not environment.load().prefect_api:
        sqlite.check_other(store.root / "prefect" / "prefect.db", "Prefect")
    connection.check_reachable(ray_address or environment.load().ray_address)


def open_store(store: str | None = None) -> Store:
    """The store that is named, else the environment's, found writable. Raises OutputError."""
    root = Path(store or environment.load().store).resolve()
    note = "Outputs of ced, by stage and fingerprint. A folder with a manifest.json is finished.\n"
    write_text(root / "README", note)
    return Store(root)


def _tracking_uri(store: Store) -> str:
    return environment.load().mlflow_uri or client.local_uri(store.root)
