import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from ced.errors import ConfigError
from ced.training.context import Interrupt, PlainContext, prefetched
from ced.training.job import TrainJob
from ced.training.trainer import train


def test_one_process_is_rank_0_of_1() -> None:
    context = PlainContext("cpu")
    assert (context.rank, context.world, context.device) == (0, 1, torch.device("cpu"))


def test_one_process_leaves_the_network_as_it_is() -> None:
    module = nn.Linear(1, 1)
    assert PlainContext(torch.device("cpu")).prepare(module) is module


def test_reports_are_passed_on_by_rank_0_alone() -> None:
    told: list[dict[str, float]] = []
    for rank in (0, 1):
        PlainContext("cpu", rank, world=2, on_report=told.append).report({"step": rank})
    assert told == [{"step": 0}]
    PlainContext("cpu").report({"step": 1})


def test_outside_torchrun_the_process_is_alone() -> None:
    with PlainContext.launched() as context:
        assert (context.rank, context.world) == (0, 1)
        assert context.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["banana", "cuda:77"])
def test_a_device_that_is_not_there_is_told_in_a_line(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' cannot be used here .*; use cpu, cuda or cuda:N") as raised:
        PlainContext(name)
    assert "\n" not in str(raised.value)


def test_under_torchrun_the_workers_find_each_other(job_of: Callable[..., TrainJob], start: Callable) -> None:
    """Two workers, with 3 and 2 examples, agree with one that has all; the sums differ in their last bits only."""
    together = job_of(out="together", batch_size=5)
    process = start(together, workers=2)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    several = [json.loads(line) for line in out.splitlines()]

    alone: list[dict[str, float]] = []
    train(job_of(out="alone", batch_size=5), PlainContext("cpu", on_report=alone.append))

    assert [report["step"] for report in several] == [report["step"] for report in alone] == [5, 10, 12]
    for mine, theirs in zip(several, alone, strict=True):
        for name in ("loss", "gradient_norm", "validation_psnr"):
            assert abs(mine[name] - theirs[name]) <= 1e-4 * abs(theirs[name]), name


def counting(made: list[int], until: int = 1000) -> Iterator[int]:
    for number in range(until):
        made.append(number)
        yield number


def test_every_item_comes_in_order() -> None:
    with prefetched(counting([], 100), 3) as items:
        assert list(items) == list(range(100))


@pytest.mark.parametrize("depth", [1, 4])
def test_no_more_than_depth_are_made_prefetched(depth: int) -> None:
    made: list[int] = []
    with prefetched(counting(made), depth) as items:
        for expected in range(3):
            assert next(items) == expected
            time.sleep(0.05)
            assert len(made) <= expected + 1 + depth + 1  # those in the queue, and one that waits for a place
    assert len(made) >= depth  # made before they were asked for


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise KeyError("the second")

    with prefetched(failing(), 5) as items:
        time.sleep(0.05)
        assert next(items) == 1
        with pytest.raises(KeyError, match="the second"):
            next(items)


def test_the_thread_ends_with_the_block_and_closes_what_it_read() -> None:
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), prefetched(endless(), 1) as items:
        next(items)
        raise ZeroDivisionError
    assert threading.active_count() == before
    assert closed and closed[0] != threading.current_thread().name


@pytest.fixture
def handlers_stay_as_they_were(default_signals: None) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("handlers_stay_as_they_were")
def test_a_signal_is_noted_and_the_work_goes_on(number: int) -> None:
    with Interrupt() as interrupt:
        assert interrupt.signal == 0
        os.kill(os.getpid(), number)
        assert interrupt.signal == number


@pytest.mark.usefixtures("handlers_stay_as_they_were")
def test_ctrl_c_leaves_as_ctrl_c() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt.leave()


@pytest.mark.usefixtures("handlers_stay_as_they_were")
def test_sigterm_leaves_with_its_exit_code() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(SystemExit) as left:
            interrupt.leave()
    assert left.value.code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("handlers_stay_as_they_were")
def test_a_second_ctrl_c_acts_at_once() -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("handlers_stay_as_they_were")
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


@pytest.mark.usefixtures("handlers_stay_as_they_were")
def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.signal == 0
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.usefixtures("handlers_stay_as_they_were")
def test_another_thread_cannot_listen_and_does_not_try() -> None:
    outcome: list[int] = []

    def work() -> None:
        with Interrupt() as interrupt:
            outcome.append(interrupt.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == [0]
