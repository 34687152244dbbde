"""Time-outs: waiting for an answer, but not for ever."""

import threading
from collections.abc import Callable
from typing import TypeVar

ANSWER_TIMEOUT = 12.0  # seconds until an address counts as one where nobody answers

_Answer = TypeVar("_Answer")


class NoAnswer(Exception):
    """Nothing came back in time."""


def call_in_time(ask: Callable[[], _Answer], seconds: float = ANSWER_TIMEOUT) -> _Answer:
    """What `ask` returns or raises, asked in a thread of its own: name servers, databases and clusters that never
    answer have no time limit. Raises NoAnswer after `seconds`; the thread is then left behind."""
    answers: list[_Answer] = []
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise NoAnswer
    return answers[0]
