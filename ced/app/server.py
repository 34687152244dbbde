"""The server of the page: it listens on one address, and answers nobody but the page itself."""

import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
import uvicorn
from streamlit.web import bootstrap

from ced.core.images import MAX_BYTES
from ced.errors import ServiceError

PAGE = Path(__file__).with_name("page.py")
PORT, PORTS = 8501, 100  # where it listens if not told otherwise: the first of so many that is free

# What is not as it is by default, or must not be changed by a file of Streamlit's settings.
_SETTINGS = {
    "browser.gatherUsageStats": False,  # nothing is sent to anybody
    "client.allowedOrigins": [],  # no page of somebody else's around this one
    "client.showErrorDetails": "none",  # tracebacks are for the terminal
    "client.showErrorLinks": False,  # to search engines
    "client.toolbarMode": "minimal",  # no button that puts the page on a server
    "global.developmentMode": False,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "theme.paddingTop": "2rem",
    "server.maxUploadSize": MAX_BYTES >> 20,
    "server.maxMessageSize": MAX_BYTES >> 20,
}

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens on a port of `host`: on this one, or where it is None, on the first that is free.

    Raises ServiceError.
    """
    for number in range(PORT, PORT + PORTS) if port is None else (port,):
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, number), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ServiceError(
                    f"{host}:{number}: {error.strerror or error}; choose another --host or --port"
                ) from error
            if port is not None:
                raise ServiceError(f"{host}:{port} is in use; choose another --port, or leave it out") from error
    raise ServiceError(f"{host}: ports {PORT} to {PORT + PORTS - 1} are all in use; choose another --port")


def serve(listening: socket.socket, host: str) -> None:
    """Serve the page until this process is told to stop; then KeyboardInterrupt."""
    bootstrap.load_config_options({**_SETTINGS, "server.address": host, "server.port": listening.getsockname()[1]})
    page = Guard(st.App(PAGE), {"localhost", host.lower()})
    config = uvicorn.Config(
        page, log_level="warning", access_log=False, ws_max_size=MAX_BYTES, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[listening])
    raise KeyboardInterrupt  # which uvicorn raises by itself only where Ctrl-C was not ignored before


class Guard:
    """Lets in the page and its own requests alone, and lets the page ask nobody else.

    A name in the header Host that is not of this server is another site's, whose address was changed to this one (DNS
    rebinding). What another site's page asks for, in a frame or with a form, a script or an image, says so in Origin
    and Sec-Fetch-Site; a link from there may be followed.
    """

    def __init__(self, application: Application, names: Iterable[str]):
        self.application, self.names = application, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.application(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not self.admits(headers):
            return await _refuse(scope, send)
        policy = _policy(headers["host"])

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *policy]}
            await send(message)

        await self.application(scope, receive, send_with_policy)

    def admits(self, headers: dict[str, str]) -> bool:
        """Whether a request with these headers, their names in small letters, is the page's own."""
        host = headers.get("host", "")
        if not self._is_ours(host) or headers.get("origin", f"http://{host}") != f"http://{host}":
            return False
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return True
        return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name or "")
        except ValueError:
            return name in self.names
        return True  # nobody can change what a number stands for


def _policy(host: str) -> list[tuple[bytes, bytes]]:
    """What the browser must keep to: nothing comes from or goes to elsewhere, and no page has this one inside."""
    rules = (
        "default-src 'self' data: blob:",
        "script-src 'self' blob: 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        f"connect-src 'self' data: blob: ws://{host}",
        "frame-ancestors 'none'",
    )
    return [(b"content-security-policy", "; ".join(rules).encode("latin-1")), (b"referrer-policy", b"no-referrer")]


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: status 403
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"This page answers on this machine, to itself alone.\n"})
