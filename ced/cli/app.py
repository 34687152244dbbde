"""`ced app`: a page in the browser that restores photographs on this machine."""

import ipaddress
import logging
from dataclasses import dataclass

from ced.cli.options import option

logger = logging.getLogger("ced")


@dataclass(frozen=True, kw_only=True)
class AppOptions:
    host: str = option("ADDRESS", "where the page is; default: 127.0.0.1, for this machine alone", default="127.0.0.1")
    port: int | None = option("N", "its port; default: the first free one from 8501 on")


def app(options: AppOptions) -> None:
    """Show the page until Ctrl-C. Raises CedError."""
    from ced.app import server

    listening = server.listen(options.host, options.port)
    host = f"[{options.host}]" if ":" in options.host else options.host
    logger.info("http://%s:%d shows the page; Ctrl-C ends it", host, listening.getsockname()[1])
    if not _is_loopback(options.host):
        logger.warning("whoever reaches %s can use it; leave --host out for this machine alone", host)
    try:
        server.serve(listening, options.host)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("ced: the page is closed") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
