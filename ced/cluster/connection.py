"""The connection to Ray: a private instance by default, a cluster where an address is given."""

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

from ced import environment
from ced.cluster.instance import LOST, Instance
from ced.errors import LostError, ServiceError, first_line
from ced.timeouts import ANSWER_TIMEOUT, NoAnswer, call_in_time

LOCAL = "local"
_PRIVATE_TIMEOUT = 60.0  # seconds to connect to an instance that has said where it is, on a very busy machine
_INTERRUPTS, _AGAIN = 2, 3.0  # of what waits for a lost instance; seconds between them
_LEAVING = 3.0  # seconds to disconnect; an instance that was lost is not waited for

_current: dict[str, str] = {"address": LOCAL}
_held: dict[str, Instance] = {}  # the private instance, under LOCAL, while there is one


@contextlib.contextmanager
def session(address: str) -> Iterator[None]:
    """Use Ray at `address` inside the block: "local" starts a private instance at the first need.

    Raises ServiceError where a given address does not answer, LostError where the private instance is lost; standard
    error has its line then already.
    """
    _current["address"] = address
    try:
        if address != LOCAL:
            _connect_in_time(address)
        yield
    except BaseException as error:
        gone = lost()
        if disconnect() or gone:  # it may have ended after the error that its end was the reason for
            raise LostError(LOST) from error
        raise
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
    """Connect where not connected yet. Raises ServiceError where Ray does not start."""
    import sys

    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return
    if private():
        _start()
    else:
        _connect_in_time(_current["address"])


def private() -> bool:
    """Whether the instance is one of this process's own, which will not grow."""
    return _current["address"] == LOCAL


def lost() -> bool:
    """Whether there was a private instance, and it has ended by itself."""
    return LOCAL in _held and _held[LOCAL].lost()


def disconnect() -> bool:
    """Leave the cluster; a private instance ends. Returns whether that one had ended by itself."""
    import sys

    ray = sys.modules.get("ray")  # never imported: nothing to leave
    instance = _held.pop(LOCAL, None)
    if ray is not None and ray.is_initialized():
        gone = instance is not None and instance.lost(0)  # then Ray may end this process at any moment
        with contextlib.suppress(NoAnswer):
            call_in_time(ray.shutdown, 0 if gone else _LEAVING)
    if instance is None:
        return False
    gone = instance.lost(0)
    instance.stop()
    if ray is not None:
        _forget_token()
    return gone


def _start() -> None:
    """Start a private instance and connect to it."""
    if importlib.util.find_spec("ray") is None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")
    instance = _held[LOCAL] = Instance()
    door = instance.wait()
    threading.Thread(target=_watch, args=(instance,), daemon=True).start()
    from ray._private import ray_constants

    with environment.inside_private_ray(door.token):
        _forget_token()
        former, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False  # 127.0.0.1 stays itself
        try:
            call_in_time(lambda: _connect(door.address), _PRIVATE_TIMEOUT, _keep_handlers)
        except NoAnswer:
            raise ServiceError("Ray was started on this machine, but does not answer") from None
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = former


def _forget_token() -> None:
    """Have Ray read the environment again: it keeps the mode and the token that it found first."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _watch(instance: Instance) -> None:
    """Interrupt what waits for an instance that was lost, and again, since libraries swallow interrupts. What does not
    listen, since it waits in Ray's own code, would be ended by Ray after a minute, in silence; it is ended here."""
    instance.announce_end()
    main = threading.main_thread().ident
    for _ in range(_INTERRUPTS):
        for number in (signal.SIGINT, signal.SIGTERM):
            if _held.get(LOCAL) is instance and main is not None and callable(signal.getsignal(number)):
                signal.pthread_kill(main, number)
                break
        time.sleep(_AGAIN)
    if _held.get(LOCAL) is instance:
        instance.stop()
        os._exit(LostError.exit_code)


def _connect(address: str) -> None:
    environment.quiet()
    import ray

    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def _keep_handlers() -> None:
    """Ray answers SIGTERM with its own stack traces: who handled it before does so again."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _connect_in_time(address: str) -> None:
    """Connect: a driver whose token the cluster refuses waits for ever."""
    check_reachable(address)
    try:
        call_in_time(lambda: _connect(address), ANSWER_TIMEOUT, _keep_handlers)
    except NoAnswer:
        raise ServiceError(f"Ray at {address} does not let us in; is RAY_AUTH_TOKEN the cluster's?") from None
    except (Exception, SystemExit) as error:
        raise ServiceError(
            f"no Ray cluster at {address} ({first_line(error)}); check --ray-address or leave it out"
        ) from error
