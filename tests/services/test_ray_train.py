"""The plain loop under Ray Train: the same outcome, workers that are lost, mistakes told as what they are."""

import contextlib
import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ced.adapters import ray_train
from ced.adapters.storage import Output, Store
from ced.config import ClassesConfig, ClusterConfig, Config, NetworkConfig, PrepareConfig, TrainConfig
from ced.errors import ConfigError, TrainingError
from ced.stages import edges, label, prepare, train
from ced.training.job import TrainJob

pytestmark = pytest.mark.usefixtures("ray_session")

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)
TRAIN = TrainConfig(
    steps=20, batch_size=4, report_every=5, checkpoint_every=5, validation_fraction=0.2, shuffle_window=9
)
CONFIG = Config(network=NETWORK, classifier=TRAIN, autoencoder=TRAIN)
ONE = ClusterConfig(train_workers=1, threads_per_worker=1)
TWO = ClusterConfig(train_workers=2, threads_per_worker=1)


@pytest.fixture(scope="module")
def data(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> train.Data:
    store = Store(tmp_path_factory.mktemp("data"))
    config = PrepareConfig(mode="crops", size=32, crops=4, photographs_per_part=3)
    prepared = prepare.run(config, (str(photographs),), store)
    classes = edges.run(ClassesConfig(), prepared, store)
    return train.Data(label.run(prepared, classes, store), classes)


def job(data: train.Data, out: Path, model: str = "ed", **settings: object) -> TrainJob:
    paths = {"labelled": str(data.labelled.path), "classes": str(data.classes.path / edges.FILE), "classifier": ""}
    paths["examples"] = str(label.examples_of(data.labelled))
    return TrainJob(
        model=model,
        out=str(out),
        network=NETWORK,
        channels=1,
        train=dataclasses.replace(TRAIN, **settings),  # type: ignore[arg-type]
        **paths,
    )


def losses(out: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (out / train.METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines}), "a report is doubled"
    return {line["step"]: line["loss"] for line in lines}


def is_ours(process: Path) -> bool:
    """Whether a process (its folder in /proc) comes from this one: no other run's workers are touched."""
    while process.name not in ("0", "1"):
        if int(process.name) == os.getpid():
            return True
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        process = process.with_name(parent)
    return False


@pytest.fixture(scope="module")
def plain(data: train.Data, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """ED trained by the plain loop in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train.run("ed", CONFIG, data, Store(tmp_path_factory.mktemp("plain")), device="cpu")
    finally:
        torch.set_num_threads(threads)


def test_one_worker_gives_the_bytes_of_the_plain_loop(data: train.Data, plain: Output, tmp_path: Path) -> None:
    """Streamed by Ray Data, several windows an epoch, where the plain loop holds all examples in memory."""
    config = dataclasses.replace(CONFIG, cluster=dataclasses.replace(ONE, data="stream"))
    output = train.run("ed", config, data, Store(tmp_path))
    assert output.manifest.parts[train.WEIGHTS] == plain.manifest.parts[train.WEIGHTS]
    assert {name for name in output.manifest.parts if "/" not in name} == {train.WEIGHTS, train.METRICS}
    assert output.manifest.fingerprint == plain.manifest.fingerprint, "how it was run is no part of what it is"
    assert [line["step"] for line in train.curve(output)] == [5, 10, 15, 20]


def test_two_workers_give_the_losses_of_one(data: train.Data, plain: Output, tmp_path: Path) -> None:
    """Each worker takes half of the batch; sums of float32 in another order differ in the last bits, and Adam's
    first steps divide by tiny second moments, so that the difference grows: one part in a thousand."""
    ray_train.fit(job(data, tmp_path), dataclasses.replace(TWO, data="stream"))
    ours, theirs = losses(tmp_path), losses(plain.path)
    assert ours.keys() == theirs.keys()
    assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=1e-3)


def test_a_killed_worker_is_replaced_and_the_result_is_the_same(
    data: train.Data, plain: Output, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill() -> None:
        """kill -9 of the process that wrote the first checkpoint, as soon as it is there."""
        while not (tmp_path / "checkpoint.pt").exists():
            time.sleep(0.005)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                if b"RayTrainWorker" in entry.read_bytes() and is_ours(entry.parent):
                    killed.append(int(entry.parent.name))
                    os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    ray_train.fit(job(data, tmp_path, steps=400, report_every=100), ONE)
    killer.join(10)
    assert killed, "no worker was found to kill"
    undisturbed = tmp_path / "undisturbed"
    ray_train.fit(job(data, undisturbed, steps=400, report_every=100), ONE)
    assert losses(tmp_path) == losses(undisturbed)
    ours, theirs = (load_file(folder / train.WEIGHTS) for folder in (tmp_path, undisturbed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_mistake_is_told_as_what_it_is_and_at_once(data: train.Data, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size = 1: use at least 1 for each of the 2 workers"):
        ray_train.fit(job(data, tmp_path, batch_size=1), TWO)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(data: train.Data, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finite number at step \\d+; lower autoencoder.learning_rate"):
        ray_train.fit(job(data, tmp_path, learning_rate=1e30, warmup_steps=6, steps=40, checkpoint_every=1), ONE)
    assert not (tmp_path / train.WEIGHTS).exists()
