"""What all stages of a run share: the store, Ray and MLflow, checked before any work starts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ced import environment
from ced.cluster import connection
from ced.store.outputs import Store, write_text
from ced.store.session import Session
from ced.tracking import client


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
    """Find out whether anybody listens where services are named, before anything is started. Raises ServiceError."""
    client.check(_tracking_uri(store))
    connection.check_reachable(ray_address or environment.load().ray_address)


def open_store(store: str | None = None) -> Store:
    """The store that is named, else the environment's, found writable. Raises OutputError."""
    root = Path(store or environment.load().store).resolve()
    note = "Outputs of ced, by stage and fingerprint. A folder with a manifest.json is finished.\n"
    write_text(root / "README", note)
    return Store(root)


def _tracking_uri(store: Store) -> str:
    return environment.load().mlflow_uri or client.local_uri(store.root)
