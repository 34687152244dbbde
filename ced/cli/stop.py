"""Ctrl-C and SIGTERM: a command leaves in order, once, and within seconds, wherever the signal finds it."""

import contextlib
import os
import queue
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn, Self

LINE = "ced: stopped; the same command goes on where this one ended"
GRACE = 7.0  # seconds to leave in order


class Stop:
    """While entered in the main thread, the first SIGTERM or Ctrl-C raises KeyboardInterrupt, and those after it
    nothing, since the command is leaving already. What has not left after `GRACE` is left behind.

    Signals that are ignored stay so (nohup, say). Whoever takes over the signals meanwhile, as training does to save
    first, hands them back here.
    """

    def __init__(self) -> None:
        self.signal = 0  # the signal that came first, or 0
        self._came: queue.SimpleQueue[int] = queue.SimpleQueue()  # may be filled by a handler
        self._former: dict[int, Any] = {}
        self._left = threading.Event()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            threading.Thread(target=self._watch, daemon=True).start()
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
        self._left.set()
        self._came.put(0)

    @property
    def code(self) -> int:
        """The exit code of a command that was stopped."""
        return 128 + (self.signal or signal.SIGINT)

    def leave(self, code: int) -> NoReturn:
        """End the process without what threads, libraries and Python have left to do at exit: it can hang or crash in
        the middle of what was stopped. Private services end with this process by themselves."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.signal:
            self.signal = number
            self._came.put(number)
            raise KeyboardInterrupt

    def _watch(self) -> None:
        if self._came.get() and not self._left.wait(GRACE):
            os.write(2, f"{LINE}\n".encode())  # past Python's stream, which whoever hangs may hold
            os._exit(self.code)
