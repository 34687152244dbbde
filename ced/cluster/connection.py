"""The connection to Ray: a private instance by default, a cluster where an address is given."""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator

from ced import environment
from ced.errors import ServiceError, first_line
from ced.timeouts import ANSWER_TIMEOUT, NoAnswer, call_in_time

LOCAL = "local"

_current = {"address": LOCAL}


@contextlib.contextmanager
def session(address: str) -> Iterator[None]:
    """Use Ray at `address` inside the block: "local" starts a private instance at the first need.

    Raises ServiceError where a given address does not answer.
    """
    _current["address"] = address
    try:
        if address != LOCAL:
            _connect_in_time(address)
        yield
    finally:
        _current["address"] = LOCAL
        disconnect()


def check_reachable(address: str) -> None:
    """Open the port once: an address where nobody listens fails at once. Raises ServiceError."""
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit() or not host:
        raise ServiceError(f"Ray address {address!r}: write it as HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServiceError(f"no Ray cluster at {address} ({reason}); check --ray-address or leave it out") from error


def ensure() -> None:
    """Connect where not connected yet."""
    import ray

    if not ray.is_initialized():
        _connect(_current["address"])


def private() -> bool:
    """Whether the instance is one of this process's own, which will not grow."""
    return _current["address"] == LOCAL


def disconnect() -> None:
    """Leave the cluster; a private instance ends."""
    import sys

    ray = sys.modules.get("ray")  # never imported: nothing to leave
    if ray is not None and ray.is_initialized():
        ray.shutdown()


def _connect(address: str) -> None:
    environment.quiet()
    private = address == LOCAL
    if private:
        environment.set_default("RAY_AUTH_MODE", "disabled")
    import ray

    dashboard = {"include_dashboard": False} if private else {}
    with _handlers_kept():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **dashboard)


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray answers SIGTERM with its own stack traces: who handled it before does so again."""
    former = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, former)


def _connect_in_time(address: str) -> None:
    """Connect: a driver whose token the cluster refuses waits for ever."""
    check_reachable(address)
    try:
        call_in_time(lambda: _connect(address), ANSWER_TIMEOUT)
    except NoAnswer:
        raise ServiceError(f"Ray at {address} does not let us in; is RAY_AUTH_TOKEN the cluster's?") from None
    except (Exception, SystemExit) as error:
        raise ServiceError(
            f"no Ray cluster at {address} ({first_line(error)}); check --ray-address or leave it out"
        ) from error
