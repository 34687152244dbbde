"""Who gets an answer of the page's server."""

import socket

import pytest

from ced.errors import ServiceError

pytest.importorskip("streamlit", reason="the extra app is not installed: pip install 'ced[app]'")

from ced.app import server

HERE = {"host": "127.0.0.1:8501"}
GUARD = server.Guard(None, {"localhost", "darkroom"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        {"host": "localhost:8501"},
        {"host": "darkroom"},
        {"host": "[::1]:8501"},
        {"host": "192.168.1.4:8501"},
        {**HERE, "origin": "http://127.0.0.1:8501", "sec-fetch-site": "same-origin"},
        {**HERE, "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_the_page_and_a_link_to_it_are_let_in(headers: dict[str, str]) -> None:
    assert GUARD.admits(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "evil.example:8501"},
        {"host": "127.0.0.1.evil.example:8501"},
        {"host": "[::1"},
        {**HERE, "origin": "http://evil.example"},
        {**HERE, "origin": "http://127.0.0.1:8888"},  # another page of this machine
        {**HERE, "origin": "null"},
        {**HERE, "origin": "http://[::1"},
        {"host": "evil.example:8501", "origin": "http://evil.example:8501"},
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {**HERE, "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_pages_of_others_are_not(headers: dict[str, str]) -> None:
    assert not GUARD.admits(headers)


def test_a_port_is_the_one_that_was_asked_for_or_the_next_that_is_free() -> None:
    with server.listen("127.0.0.1", None) as first, server.listen("127.0.0.1", None) as second:
        ports = [listening.getsockname()[1] for listening in (first, second)]
        assert server.PORT <= ports[0] < ports[1]
        with pytest.raises(ServiceError, match=f"127.0.0.1:{ports[0]} is in use; choose another --port"):
            server.listen("127.0.0.1", ports[0])
    with pytest.raises(ServiceError, match=r"192\.0\.2\.1:8501: .*; choose another --host or --port"):
        server.listen("192.0.2.1", None)
    with pytest.raises(ServiceError, match="choose another --host"):
        server.listen("no.such.host.invalid", 0)
    with server.listen("::1", 0) if socket.has_ipv6 else server.listen("127.0.0.1", 0) as listening:
        assert listening.getsockname()[1] > 0
