"""Waiting for an answer: it comes, it fails, or it does not come."""

import threading
import time

import pytest

from ced.timeouts import NoAnswer, call_in_time


def test_an_answer_comes_back_even_if_it_is_none() -> None:
    assert call_in_time(lambda: 7) == 7
    assert call_in_time(lambda: None) is None


def test_what_is_raised_is_raised_again() -> None:
    with pytest.raises(ZeroDivisionError):
        call_in_time(lambda: 1 // 0)


def test_who_never_answers_is_left_behind() -> None:
    started, over = time.monotonic(), threading.Event()
    with pytest.raises(NoAnswer):
        call_in_time(over.wait, seconds=0.2)
    assert 0.2 <= time.monotonic() - started < 5
    over.set()
