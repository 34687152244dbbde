"""One file in a process: what is told of it, and what becomes of it where anything goes wrong."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ced.bulk import work
from ced.bulk.names import Pair
from ced.bulk.work import Job, Unit, Worker
from ced.core.encoding import Writing
from ced.data import sources
from ced.progress import Progress
from ced.restoration import files, restorer
from ced.restoration.family import Family

Write = Callable[..., Path]


@pytest.fixture
def job(model: Path, tmp_path: Path) -> Job:
    return Job(
        out=str(tmp_path / "out"),
        family=Family.load(model),
        restorer="small",
        writing=Writing(),
        seconds=30,
        settings="s",
        run=1,
        overwrite=False,
    )


@pytest.fixture
def unit(tmp_path: Path, photograph: Write) -> Unit:
    photograph(tmp_path / "d" / "a.jpg", side=320)
    return Unit(sources.find((str(tmp_path / "d"),))[0], Pair("a.png", "a.jpg"))


def test_a_large_image_tells_how_far_it_is(
    job: Job, unit: Unit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restorer, "TILE_PIXELS", 130 * 130)
    monkeypatch.setattr(work, "Progress", partial(Progress, every=0))
    caplog.set_level("INFO", "ced")
    with Worker(job) as here, work.tiles_are_told("d/a.jpg"):
        assert here.restore(unit).row.done == "restored"
    lines = [line for line in caplog.messages if line.startswith("d/a.jpg: ")]
    count = len(lines) + 1  # the last one is told by the summary
    assert count > 2 and [line.split(" tiles")[0] for line in lines] == [
        f"d/a.jpg: {number} of {count}" for number in range(1, count)
    ]


def test_what_a_process_that_died_has_finished_is_not_done_again(
    job: Job, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Worker(job) as here:
        first = here.restore(unit)
    monkeypatch.setattr(work, "restore_file", None)
    with Worker(job) as another:
        assert another.restore(unit).row.output_digest == first.row.output_digest
        other = dataclasses.replace(job, run=2)
    with Worker(other) as later:
        assert later.restore(unit).row.reason.endswith("(failed)"), "in another run the name was not free"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "not enough memory to restore it (too large)"),
        (RuntimeError("DefaultCPUAllocator: can't\nmore"), "DefaultCPUAllocator: can't (failed)"),
    ],
)
def test_whatever_goes_wrong_is_a_reason_for_that_file(
    job: Job, unit: Unit, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object) -> files.RestoredFile:
        raise error

    monkeypatch.setattr(work, "restore_file", fail)
    with Worker(job) as here:
        row = here.restore(unit).row
    assert (row.done, row.reason, row.size) == ("set aside", reason, unit.photograph.size)


def test_attempts_are_counted_over_processes(job: Job, unit: Unit) -> None:
    counts = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), Worker(job).attempt(unit) as before:
            counts.append(before)
            raise KeyboardInterrupt
    with Worker(job).attempt(unit) as before:
        counts.append(before)
    with Worker(job).attempt(unit) as before:
        counts.append(before)
    assert counts == [0, 1, 2, 0]
