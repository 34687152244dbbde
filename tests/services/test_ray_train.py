"""The plain loop under Ray Train: the same outcome, workers that are lost, mistakes told as what they are."""

import contextlib
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ced.config import ClassesConfig, ClusterConfig, Config, NetworkConfig, PrepareConfig, TrainConfig
from ced.data import edges, label, prepare
from ced.errors import ConfigError, TrainingError
from ced.pipeline import restorers
from ced.recipes import configure
from ced.restoration.restorer import Restorer
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.training import ray_train, train, trainer
from ced.training.context import PlainContext
from ced.training.job import METRICS, WEIGHTS, TrainJob, read_reports
from ced.training.train import TrainingInputs

pytestmark = pytest.mark.usefixtures("ray_session")

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)
TRAIN = TrainConfig(
    steps=20, batch_size=4, report_every=5, checkpoint_every=5, validation_fraction=0.2, shuffle_window=9
)
CONFIG = Config(network=NETWORK, classifier=TRAIN, autoencoder=TRAIN)
ONE = ClusterConfig(train_workers=1, threads_per_worker=1)
TWO = ClusterConfig(train_workers=2, threads_per_worker=1)


@pytest.fixture(scope="module")
def data(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingInputs:
    store = Store(tmp_path_factory.mktemp("data"))
    config = PrepareConfig(mode="crops", size=32, crops=4, photographs_per_part=3)
    prepared = prepare.run(config, (str(photographs),), Session(store))
    classes = edges.run(ClassesConfig(), prepared, Session(store))
    return TrainingInputs(label.run(prepared, classes, Session(store)), classes)


def job(data: TrainingInputs, out: Path, model: str = "ed", **settings: object) -> TrainJob:
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
    lines = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
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


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As many as a worker here has: the order of sums depends on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def plain(data: TrainingInputs, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """ED trained by the plain loop in this process."""
    with one_thread():
        return train.run("ed", CONFIG, data, Session(Store(tmp_path_factory.mktemp("plain"))), device="cpu")


def test_one_worker_gives_the_bytes_of_the_plain_loop(data: TrainingInputs, plain: Output, tmp_path: Path) -> None:
    """Streamed by Ray Data, several windows an epoch, where the plain loop holds all examples in memory."""
    config = dataclasses.replace(CONFIG, cluster=dataclasses.replace(ONE, data="stream"))
    output = train.run("ed", config, data, Session(Store(tmp_path)))
    assert output.manifest.parts[WEIGHTS] == plain.manifest.parts[WEIGHTS]
    assert {name for name in output.manifest.parts if "/" not in name} == {WEIGHTS, METRICS}
    assert output.manifest.fingerprint == plain.manifest.fingerprint, "how it was run is no part of what it is"
    assert [line["step"] for line in read_reports(output.path)] == [5, 10, 15, 20]


def test_two_workers_give_the_losses_of_one(data: TrainingInputs, plain: Output, tmp_path: Path) -> None:
    """Each worker takes half of the batch; sums of float32 in another order differ in the last bits, and Adam's
    first steps divide by tiny second moments, so that the difference grows: one part in a thousand."""
    ray_train.fit(job(data, tmp_path), dataclasses.replace(TWO, data="stream"))
    ours, theirs = losses(tmp_path), losses(plain.path)
    assert ours.keys() == theirs.keys()
    assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=1e-3)


def test_a_killed_worker_is_replaced_and_the_result_is_the_same(
    data: TrainingInputs, plain: Output, tmp_path: Path
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
    wanted = job(data, tmp_path, steps=400, report_every=100)
    ray_train.fit(wanted, ONE)
    killer.join(10)
    assert killed, "no worker was found to kill"
    undisturbed = tmp_path / "undisturbed"
    with one_thread():
        trainer.train(dataclasses.replace(wanted, out=str(undisturbed)), PlainContext("cpu"))
    assert losses(tmp_path) == losses(undisturbed)
    ours, theirs = (load_file(folder / WEIGHTS) for folder in (tmp_path, undisturbed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


DRIVER = """
import sys
from pathlib import Path
from ced.cluster import connection
from ced.training import ray_train
from ced.config import ClusterConfig
from ced.training.job import TrainJob

with connection.session(connection.LOCAL):  # a private Ray of its own
    job = TrainJob.from_json(Path(sys.argv[1]).read_text())
    ray_train.fit(job, ClusterConfig(train_workers=1, threads_per_worker=1))
"""


def test_a_driver_that_is_asked_to_leave_has_its_workers_save_first(data: TrainingInputs, tmp_path: Path) -> None:
    """SIGTERM; Ctrl-C takes the same way (`test_interrupt.py`)."""
    out = tmp_path / "out"
    endless = job(data, out, steps=1_000_000, report_every=20, checkpoint_every=1_000_000)
    (tmp_path / "job.json").write_text(endless.to_json())
    line = [sys.executable, "-c", DRIVER, str(tmp_path / "job.json")]
    with open(tmp_path / "log", "wb") as log:
        driver = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)
    try:
        while not (out / METRICS).exists():
            assert driver.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(60) == 128 + signal.SIGTERM, (tmp_path / "log").read_text()
    finally:
        driver.kill()
    assert torch.load(out / "checkpoint.pt", weights_only=True)["state"]["step"] >= 20
    assert not (out / ".stop").exists() and not (out / WEIGHTS).exists()


def test_a_mistake_is_told_as_what_it_is_and_at_once(data: TrainingInputs, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size = 1: use at least 1 for each of the 2 workers"):
        ray_train.fit(job(data, tmp_path, batch_size=1), TWO)


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        (
            ClusterConfig(train_workers=4096),
            "want cores: 4096 for 4096 of them, .*; lower cluster.train_workers",
        ),
        (ClusterConfig(train_workers=4096, train_workers_least=2048), "cores: 2048 for 2048 of them"),
        (
            ClusterConfig(gpus_per_worker=4096),
            "4096 for 1 of them, where Ray has 0; lower cluster.gpus_per_worker",
        ),
    ],
)
def test_workers_that_there_is_no_room_for_are_not_waited_for(
    data: TrainingInputs, tmp_path: Path, cluster: ClusterConfig, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        ray_train.fit(job(data, tmp_path), cluster)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(data: TrainingInputs, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finite number at step \\d+; lower autoencoder.learning_rate"):
        ray_train.fit(job(data, tmp_path, learning_rate=1e30, warmup_steps=6, steps=40, checkpoint_every=1), ONE)
    assert not (tmp_path / WEIGHTS).exists()


def test_colour_from_photographs_to_a_restored_jpeg(photographs: Path, tmp_path: Path) -> None:
    """The recipe for RGB, made tiny: a restorer that takes a colour JPEG and answers in colour, near the JPEG."""
    tiny = ["prepare.size=32", "prepare.crops=4", "network.width=8", "network.width_half=4", "network.width_full=4"]
    steps = ["classifier.steps=3", "autoencoder.steps=60", "autoencoder.learning_rate=0.01", "autoencoder.clip_norm=1"]
    config, store = configure("small-rgb", [str(photographs)], None, [*tiny, *steps]), Store(tmp_path)
    prepared = prepare.run(config.prepare, config.images, Session(store))
    classes = edges.run(config.classes, prepared, Session(store))
    examples = TrainingInputs(label.run(prepared, classes, Session(store)), classes)
    classifier = train.run("classifier", config, examples, Session(store), device="cpu")
    trained = train.run("ced-gt", config, examples, Session(store), device="cpu")
    restorer = Restorer.load(restorers.run("ced-gt", trained, classifier, classes, Session(store)).path)
    stream = io.BytesIO()
    Image.open(photographs / "a cup of coffee.JPEG").crop((0, 0, 61, 43)).save(stream, "JPEG", quality=10)
    jpeg = Image.open(stream)
    restored = np.asarray(restorer.restore_image(jpeg))
    assert restorer.channels == 3 and restored.shape == (43, 61, 3) and restored.dtype == np.uint8
    assert 0 < np.abs(restored.astype(int) - np.asarray(jpeg)).max() < 40
    assert not np.array_equal(restored[:, :, 0], restored[:, :, 2])
