"""A Prefect server of a run's own: on this machine alone, and gone when the run is gone, also by `kill -9`.

Prefect's own ephemeral server outlives a run that is killed, takes a port others may want, and gives up after 20
seconds, which the first migration of its database can take.
"""

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

from ced import environment
from ced.errors import CedError, LostError, ServiceError, first_line
from ced.timeouts import ANSWER_TIMEOUT, NoAnswer, call_in_time

ENDED = "the run's Prefect server was ended, by somebody or for want of memory; the same command goes on where it was"
START_TIMEOUT = 180.0  # seconds for the first start: it makes the database


class Server:
    """A server process that is starting. It ends when its standard input does, so with its parent."""

    def __init__(self) -> None:
        self._stopped = False
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
            self.process = subprocess.Popen(
                [*environment.python("flows.server"), str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for the run; the server ends after it
            )

    @property
    def url(self) -> str:
        """What PREFECT_API_URL takes."""
        return f"http://127.0.0.1:{self.port}/api"

    def wait(self, timeout: float = START_TIMEOUT) -> None:
        """Until it answers; from then on this process ends where it does. Raises ServiceError where it ends before, or
        takes too long."""
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ServiceError("the embedded Prefect server does not start; name another one in PREFECT_API_URL")
            time.sleep(0.1)
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._stopped = True
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=30)

    def _watch(self) -> None:
        """Where it ends by itself, say so and leave: Prefect's client would ask it again and again, for minutes each
        time. Ray and its workers end with this process."""
        self.process.wait()
        if not self._stopped:
            os.write(2, f"ced: error: {ENDED}\n".encode())
            os._exit(LostError.exit_code)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def embedded() -> Iterator[Server]:
    """A server that starts at once and is stopped at the end; `wait` for it before it is used."""
    server = Server()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """A server that fails inside the block (its disk is full, say) as a ServiceError of one line; where a mistake of
    the run's own was what it could not be told, as that one."""
    try:
        yield
    except Exception as error:
        from httpx import HTTPError

        if not isinstance(error, HTTPError):  # Prefect's own for an answer of failure is one
            raise
        above: BaseException | None = error
        while above is not None:
            if isinstance(above, CedError):
                raise above from None
            above = above.__cause__ or above.__context__
        cure = "make room where its database is, or look at its log; the same command goes on"
        raise ServiceError(f"Prefect's server fails ({first_line(error, 100)}); {cure}") from error


def check(url: str) -> None:
    """Find out whether a Prefect server answers at `url`. Raises ServiceError."""
    cure = "start it, or unset PREFECT_API_URL"

    def ask() -> None:
        request = urllib.request.Request(f"{url.rstrip('/')}/health", headers={"User-Agent": "ced"})
        urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT).close()

    try:
        call_in_time(ask)
    except NoAnswer:
        raise ServiceError(f"no Prefect server at {url} (no answer); {cure}") from None
    except urllib.error.HTTPError as error:  # one that asks who we are hears it from Prefect
        if error.code == http.HTTPStatus.NOT_FOUND and not _is_cloud(url):
            raise ServiceError(f"no Prefect server at {url} (what answers is another one); {cure}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if not isinstance(reason, ssl.SSLCertVerificationError):  # whom to trust is a setting of Prefect's
            text = getattr(reason, "strerror", None) or first_line(reason)
            raise ServiceError(f"no Prefect server at {url} ({text}); {cure}") from error


def _is_cloud(url: str) -> bool:
    return (urllib.parse.urlsplit(url).hostname or "").endswith("prefect.cloud")


def leave_signals_to_the_command() -> None:
    """Prefect takes SIGTERM over while a flow runs, and raises it again wherever the flow is, also while it leaves."""
    from prefect import flow_engine

    flow_engine.capture_sigterm = contextlib.nullcontext  # type: ignore[assignment,attr-defined]


def serve(descriptor: int) -> None:
    """Serve Prefect's interface on a listening socket, until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app(ephemeral=True), log_level="critical", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
