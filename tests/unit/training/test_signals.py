import os
import signal
import threading
from collections.abc import Iterator

import pytest

from ced.training.signals import Interrupt


@pytest.fixture(autouse=True)
def handlers_stay_as_they_were(default_signals: None) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_work_goes_on(number: int) -> None:
    with Interrupt() as interrupt:
        assert interrupt.signal == 0
        os.kill(os.getpid(), number)
        assert interrupt.signal == number


def test_ctrl_c_leaves_as_ctrl_c() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt.leave()


def test_sigterm_leaves_with_its_exit_code() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(SystemExit) as left:
            interrupt.leave()
    assert left.value.code == 128 + signal.SIGTERM


def test_a_second_ctrl_c_acts_at_once() -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_handler_that_was_there_hears_of_the_signal() -> None:
    heard: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGTERM)
            assert heard == []
            with pytest.raises(SystemExit):
                interrupt.leave()
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, former)


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.signal == 0
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_thread_cannot_listen_and_does_not_try() -> None:
    outcome: list[int] = []

    def work() -> None:
        with Interrupt() as interrupt:
            outcome.append(interrupt.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == [0]
