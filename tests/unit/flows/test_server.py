"""A server that does not start is one line; a real one: tests/services/test_prefect_server.py."""

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
