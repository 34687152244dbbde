"""Waiting for an answer, but not for ever."""

import threading
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 12.0  # seconds until an address counts as one where nobody answers

_Answer = TypeVar("_Answer")


class Silence(Exception):
    """Nothing came back in time."""


def answer_of(ask: Callable[[], _Answer], seconds: float = PATIENCE) -> _Answer:
    """What `ask` returns or raises, asked in a thread of its own: name servers, databases and clusters that never
    answer have no time limit. Raises Silence after `seconds`; the thread is then left behind."""
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
        raise Silence
    return answers[0]
