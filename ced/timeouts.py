"""Time-outs: waiting for an answer, but not for ever."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

ANSWER_TIMEOUT = 12.0  # seconds until an address counts as one where nobody answers
_POLL = 0.05  # seconds

_Answer = TypeVar("_Answer")


class NoAnswer(Exception):
    """Nothing came back in time."""


def call_in_time(
    ask: Callable[[], _Answer], seconds: float = ANSWER_TIMEOUT, meanwhile: Callable[[], object] = lambda: None
) -> _Answer:
    """What `ask` returns or raises, asked in a thread of its own: name servers, databases and clusters that never
    answer have no time limit. Raises NoAnswer after `seconds`; the thread is then left behind. `meanwhile` is called
    again and again while it is waited for."""
    answers: list[_Answer] = []
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(_POLL)
        meanwhile()
    if errors:
        raise errors[0]
    if not answers:
        raise NoAnswer
    return answers[0]
