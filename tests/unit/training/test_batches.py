"""How a training is fed leaves no trace in its outcome; which batches there are, and what fits into memory."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ced.config import ClusterConfig
from ced.errors import FormatError
from ced.training import batches
from ced.training import data as stored
from ced.training.batches import Reader, Shard
from ced.training.context import PlainContext
from ced.training.data import Sampler
from ced.training.job import TrainJob
from ced.training.trainer import Trainer, train

MakeJob = Callable[..., TrainJob]
STREAM = ClusterConfig(data="stream")


def streaming(rank: int = 0, world: int = 1) -> PlainContext:
    return PlainContext("cpu", rank, world, cluster=STREAM)


def outcome(job: TrainJob) -> bytes:
    return Path(job.out, "model.safetensors").read_bytes()


@pytest.mark.parametrize("model", ["classifier", "ed", "ced-gt"])
@pytest.mark.parametrize("window", [9, 1000])
def test_streamed_or_on_the_device_the_weights_are_the_same(
    job_of: MakeJob, reports: Callable, model: str, window: int
) -> None:
    jobs = [job_of(model, out=out, shuffle_window=window) for out in ("device", "stream")]
    train(jobs[0], PlainContext("cpu", cluster=ClusterConfig(data="device")))
    train(jobs[1], streaming())
    assert outcome(jobs[0]) == outcome(jobs[1])
    assert reports(jobs[0]) == reports(jobs[1])


@pytest.mark.usefixtures("default_signals")
def test_a_stream_goes_on_where_it_was_left(job_of: MakeJob, reports: Callable) -> None:
    class StopAt5(PlainContext):
        def report(self, metrics: dict[str, float]) -> None:
            if metrics["step"] == 5:
                signal.raise_signal(signal.SIGTERM)

    through, stopped = job_of(out="through", shuffle_window=9), job_of(out="stopped", shuffle_window=9)
    train(through, streaming())
    with pytest.raises(SystemExit):
        train(stopped, StopAt5("cpu", cluster=STREAM))
    train(stopped, streaming())
    assert outcome(stopped) == outcome(through) and reports(stopped) == reports(through)


def test_a_part_that_goes_bad_in_the_midst_is_named(job_of: MakeJob, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    for part in (data / "examples").iterdir():
        (folder / part.name).write_bytes(part.read_bytes())
    job = job_of(examples=str(folder), steps=1000, shuffle_window=9)

    class Spoiling(PlainContext):
        def report(self, metrics: dict[str, float]) -> None:
            (folder / "part-00001.parquet").write_bytes(b"nothing")

    with pytest.raises(FormatError, match=r"part-00001\.parquet: cannot be read as Parquet") as caught:
        train(job, Spoiling("cpu", cluster=STREAM))
    assert "\n" not in str(caught.value)
    assert Path(job.out, "checkpoint.pt").exists()


def test_labels_of_other_classes_are_found_in_a_stream(job_of: MakeJob, data: Path, tmp_path: Path) -> None:
    from ced.core.classes import Classes

    classes = Classes.from_json((data / "classes.json").read_text())
    fewer = Classes(classes.edges[:, :4], classes.representatives[:, :5], classes.counts[:, :5])
    (tmp_path / "fewer.json").write_text(fewer.to_json())
    with pytest.raises(FormatError, match=r"label [56], where classes\.json has 5 classes"):
        train(job_of("classifier", classes=str(tmp_path / "fewer.json"), validation_fraction=0.0), streaming())


@pytest.mark.parametrize("how, free, expected", [("auto", 1 << 40, True), ("auto", 1000, False), ("device", 1, True)])
def test_what_fits_is_held_on_the_device(
    job_of: MakeJob, monkeypatch: pytest.MonkeyPatch, how: str, free: int, expected: bool
) -> None:
    monkeypatch.setattr(batches, "free_memory", lambda device: free)
    context = PlainContext("cpu", cluster=ClusterConfig(data=how))
    assert batches.fits(Trainer(job_of(), context).loader.examples, context) is expected


def test_a_limit_of_the_users_own(job_of: MakeJob) -> None:
    context = PlainContext("cpu", cluster=ClusterConfig(data_memory=1e-9 * 32 * 2 * 1024))
    examples = Trainer(job_of(), context).loader.examples
    assert batches.fits(examples, context)
    context.cluster = ClusterConfig(data_memory=1e-9 * (32 * 2 * 1024 - 1))
    assert not batches.fits(examples, context)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_pieces_are_small_and_in_order(data: Path, monkeypatch: pytest.MonkeyPatch, world: int) -> None:
    examples = stored.find(str(data / "examples"), str(data / "labelled"), ["input"], 1)
    rows = np.arange(32)
    monkeypatch.setattr(batches, "PIECE", 3 * 1024)  # three examples
    found = []
    for rank in range(world):
        shard = Shard(4, rank, world)
        reader = Reader(examples, Sampler(rows, examples.ends, 9, 0), shard, 8, 80)
        pieces = [piece["input"] for position in reader.sampler.windows(8, 80) for piece in reader(position)]
        assert max(map(len, pieces)) <= 3
        found.append(torch.from_numpy(np.concatenate(pieces)))
        assert len(found[-1]) == shard.size * 18
    sampler = Sampler(rows, examples.ends, 9, 0)
    for step in range(2, 20):
        batch = examples.read(sampler.batch(4, step))["input"]
        for rank in range(world):
            size = Shard(4, rank, world).size
            mine = found[rank][(step - 2) * size : (step - 1) * size]
            assert torch.equal(mine, batch[rank::world])


def test_batches_are_cut_across_pieces() -> None:
    def pieces() -> Iterator[dict[str, np.ndarray]]:
        for start, end in ((0, 3), (3, 4), (4, 11), (11, 12)):
            yield {"input": np.arange(start, end, dtype=np.uint8)}

    cut = [batch["input"].tolist() for batch in batches._cut(pieces(), 4)]
    assert cut == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


CPU = torch.device("cpu")


def test_this_machine_has_some_memory_free() -> None:
    assert 1 << 20 < batches.free_memory(CPU) < 1 << 50


def test_what_programs_could_still_get(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:   70 kB\n")
    assert batches._free_of_machine(tmp_path / "meminfo") == 70 * 1024


def test_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert batches._free_of_machine(tmp_path / "nowhere") > 1 << 20


@pytest.mark.parametrize("limit, expected", [("1000", 600), ("max", 1 << 62)])
def test_within_a_containers_limit(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert batches._free_of_group(tmp_path) == expected


def test_the_lesser_of_both_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000")
    (tmp_path / "memory.current").write_text("400")
    monkeypatch.setattr(batches, "_GROUP", tmp_path)
    assert batches.free_memory(CPU) == 600
