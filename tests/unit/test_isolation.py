"""Work in a process of its own: its outcome comes back, its death does not spread."""

import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from ced.core.images import Rejected
from ced.isolation import Crashed, run_isolated


def test_what_is_returned_comes_back() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (3, 400, 500), np.uint8)  # more than a pipe holds
    assert np.array_equal(run_isolated(lambda: planes + 1), planes + 1)
    assert run_isolated(lambda: None) is None


def test_it_is_another_process_and_changes_nothing_here() -> None:
    seen: list[int] = []
    assert run_isolated(lambda: seen.append(1) or os.getpid()) != os.getpid()
    assert seen == []


def test_what_is_raised_comes_back() -> None:
    def work() -> None:
        raise Rejected("truncated", "ends early")

    with pytest.raises(Rejected, match="truncated: ends early"):
        run_isolated(work)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS])
def test_a_signal_that_ends_it_is_named(number: signal.Signals) -> None:
    with pytest.raises(Crashed) as caught:
        run_isolated(lambda: os.kill(os.getpid(), number))
    assert caught.value.how == number.name


def test_a_library_that_exits_is_a_crash_too() -> None:
    with pytest.raises(Crashed, match="exit status 3"):
        run_isolated(lambda: os._exit(3))
    with pytest.raises(Crashed, match="exit status 1"):
        run_isolated(sys.exit)


def test_what_cannot_travel_is_a_crash() -> None:
    with pytest.raises(Crashed, match="exit status 1"):
        run_isolated(lambda: lambda: None)


def test_it_does_not_go_on_with_what_its_parent_was_doing(tmp_path: Path) -> None:
    try:
        with pytest.raises(Crashed):
            run_isolated(sys.exit)
    finally:
        with open(tmp_path / "ends", "a") as file:
            file.write(f"{os.getpid()}\n")
    assert (tmp_path / "ends").read_text().split() == [str(os.getpid())]


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="the system does not tell how much memory is free")
def test_it_cannot_take_more_memory_than_is_free() -> None:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    with pytest.raises(MemoryError):
        run_isolated(lambda: bytearray(free))  # refused at once: not a page of it is touched
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    assert soft == resource.RLIM_INFINITY or soft > free


def test_none_of_its_processes_stays_behind() -> None:
    def children() -> set[str]:
        return {pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}

    before = children()  # of other tests: they are not this one's to wait for
    for _ in range(3):
        with pytest.raises(Crashed):
            run_isolated(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert children() <= before
