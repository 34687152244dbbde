"""Progress of long work: a line every few seconds, with an estimate of the time left."""

import logging
import time

logger = logging.getLogger("ced")

EVERY = 5.0  # seconds


def enable() -> None:
    """Let what is logged through `ced` be seen: without a level of its own it has the root's, and says no progress."""
    logger.setLevel(logging.INFO)


class Progress:
    """Counts units of work that are done, and logs it through the logger `ced`."""

    def __init__(self, what: str, total: int, unit: str, every: float = EVERY):
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = self.before = 0
        self._measuring = False
        self.started = self._logged = time.monotonic()

    def skip(self, units: int) -> None:
        """`units` were done by an earlier run: they count as done, but not towards the rate."""
        self.done += units
        self.before += units

    def advance(self, units: int = 1) -> None:
        """`units` more are done. The first have the start of the workers in them: the rate is of those after them."""
        self.done += units
        now = time.monotonic()
        if not self._measuring:
            self._measuring, self.started, self.before = True, now, self.done
        if now - self._logged >= self.every and self.done < self.total:
            self._logged = now
            logger.info(self.line(now - self.started))

    def line(self, seconds: float) -> str:
        """How far it is, and how fast it was in the `seconds` since the first were done."""
        far = f"{self.what}: {self.done} of {self.total} {self.unit}"
        rate = (self.done - self.before) / seconds if seconds > 0 else 0.0
        return f"{far} ({rate:.1f} a second, {clock((self.total - self.done) / rate)} left)" if rate > 0 else far


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
