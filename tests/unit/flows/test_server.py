"""A server that does not start is one line; a real one: tests/services/test_prefect_server.py."""

import http.server
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from ced.errors import OutputError, ServiceError
from flows import server


@pytest.mark.parametrize(("program", "seconds"), [("true", 60.0), ("cat", 0.3)])
def test_a_server_that_ends_or_never_answers_is_told_and_gone_with_the_block(
    monkeypatch: pytest.MonkeyPatch, program: str, seconds: float
) -> None:
    """`cat` lives as long as its standard input is open, as the server does."""
    real = server.subprocess.Popen
    monkeypatch.setattr(server.subprocess, "Popen", lambda command, **options: real([program], **options))
    with server.embedded() as starting:
        assert starting.url == f"http://127.0.0.1:{starting.port}/api"
        with pytest.raises(ServiceError, match="the embedded Prefect server does not start; name another one"):
            starting.wait(seconds)
    assert starting.process.poll() == 0


def test_a_server_that_fails_is_one_line_and_hides_no_mistake_of_the_run() -> None:
    request = httpx.Request("POST", "http://127.0.0.1:1/api/flow_runs/1/set_state")

    def fail() -> None:
        httpx.Response(500, request=request).raise_for_status()

    with (
        pytest.raises(ServiceError, match="Prefect's server fails .*500.*; make room where") as caught,
        server.errors(),
    ):
        fail()
    assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match="part: no room"), server.errors():
        try:
            raise OutputError("part: no room")
        except OutputError:
            fail()
    with pytest.raises(ZeroDivisionError), server.errors():
        print(1 / 0)


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that gives one status to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}/api"
        one.shutdown()


@pytest.mark.parametrize("answering", [200, 401, 403, 503], indirect=True)
def test_a_server_that_answers_is_left_to_prefect(answering: str) -> None:
    server.check(answering)


@pytest.mark.parametrize("answering", [404], indirect=True)
def test_another_server_is_none(answering: str) -> None:
    with pytest.raises(ServiceError, match="what answers is another one"):
        server.check(answering)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense", "http://no-such-host.invalid/api", "http://[/"])
def test_a_server_that_is_gone_is_one_line(url: str) -> None:
    with pytest.raises(ServiceError, match=r"^no Prefect server at .*; start it, or unset PREFECT_API_URL$"):
        server.check(url)


def test_a_server_that_never_says_a_word_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_TIMEOUT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ServiceError, match="no Prefect server at"):
        server.check(f"http://127.0.0.1:{silent.getsockname()[1]}/api")
