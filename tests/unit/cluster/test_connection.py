"""Addresses of Ray are looked at before anything is started, and answered for within seconds."""

import socket
import threading
import time

import pytest

from ced.cluster import connection
from ced.errors import ServiceError


@pytest.mark.parametrize("address", ["nonsense", "host:", ":10001", "host:port", "ray://", "http://127.0.0.1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ServiceError, match="write it as HOST:PORT|no Ray cluster at"), connection.session(address):
        pytest.fail("entered")


def test_a_port_where_nobody_listens_is_told_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(ServiceError, match="no Ray cluster at 127.0.0.1:9 .*Connection refused"):
        with connection.session("127.0.0.1:9"):
            pytest.fail("entered")
    assert time.monotonic() - started < 5


def test_a_port_where_something_else_listens_is_told_in_time() -> None:
    """A server that takes connections and never says a word, as a cluster with another token does."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept_all, args=(server,), daemon=True).start()
    started = time.monotonic()
    address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ServiceError, match=address), connection.session(address):
        pytest.fail("entered")
    assert time.monotonic() - started < 15
    server.close()


def _accept_all(server: socket.socket) -> None:
    held = []
    try:
        while True:
            held.append(server.accept())
    except OSError:
        return


def test_a_session_that_needs_no_ray_starts_none() -> None:
    import ray

    with connection.session(connection.LOCAL):
        assert not ray.is_initialized()


def test_a_first_look_finds_who_listens_and_starts_nothing() -> None:
    import ray

    connection.check_reachable(connection.LOCAL)
    connection.check_reachable("auto")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection.check_reachable(f"127.0.0.1:{server.getsockname()[1]}")
    with pytest.raises(ServiceError, match="no Ray cluster at 127.0.0.1:9"):
        connection.check_reachable("127.0.0.1:9")
    assert not ray.is_initialized()
