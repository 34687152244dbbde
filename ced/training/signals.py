"""SIGTERM and Ctrl-C as a wish to leave, granted once the state is safe."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """While entered, notes the first SIGTERM or SIGINT instead of dying of it; a second one acts at once.

    Python delivers signals to the main thread only; entered in another one, this does nothing.
    """

    def __init__(self) -> None:
        self.signal = 0  # the signal that came, or 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) != signal.SIG_IGN:  # what is to be ignored (nohup, say) stays ignored
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def leave(self) -> None:
        """Hand the signal to whoever handled it before; leaves with exit code 128 + signal where nobody did.

        Raises KeyboardInterrupt for a Ctrl-C that nobody handles in another way, otherwise SystemExit.
        """
        former = self._former.get(self.signal)
        self._restore()
        if callable(former):
            signal.raise_signal(self.signal)
        raise SystemExit(128 + self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
