"""Real services for the tests that need them."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from ced.cluster import connection
from ced.config import Config, EvaluateConfig, NetworkConfig, PrepareConfig, TrainConfig
from ced.data import edges, label, prepare
from ced.evaluation import evaluate
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.pipeline import restorers
from ced.pipeline.publish import PipelineOutputs
from ced.report import stage
from ced.store.outputs import Making, Output, Store, make, write_bytes
from ced.store.session import Session
from ced.training import train
from ced.training.job import METRICS, WEIGHTS
from ced.training.train import TrainingInputs
from tests.services.nodes import answers, kill_all, node, wait_until

GOOD = 6


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    """A private Ray, shared by the tests of one file."""
    with connection.session(connection.LOCAL):
        connection.ensure()
        yield


@pytest.fixture
def head(free_port: Callable[[], int]) -> Iterator[str]:
    """The address of a cluster whose head has no cores: the work is done by nodes that the test adds."""
    port = free_port()
    process = node([f"--port={port}", "--head", "--include-dashboard=false", "--num-cpus=0"])
    try:
        wait_until(lambda: answers(f"127.0.0.1:{port}"), process)
        yield f"127.0.0.1:{port}"
    finally:
        kill_all(process)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real photographs of several kinds: colour, gray, palette, transparent, odd sizes and names."""
    folder = tmp_path_factory.mktemp("photographs")
    cat, cup, man = (Image.fromarray(picture) for picture in (data.chelsea(), data.coffee(), data.camera()))
    cat.save(folder / "cat.png")
    cup.save(folder / "a cup of coffee.JPEG", quality=90)
    man.save(folder / "camera.png")
    cat.quantize(64).save(folder / "palette.gif")
    (folder / "below").mkdir()
    cup.convert("RGBA").crop((0, 0, 201, 149)).save(folder / "below" / "ünï\ncode.webp")
    cat.crop((10, 10, 110, 107)).save(folder / "below" / "small.bmp")
    return folder


@pytest.fixture(scope="session")
def damaged(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs, and beside them what is none: one file for each reason to set it aside."""
    folder = tmp_path_factory.mktemp("damaged")
    for path in photographs.rglob("*"):
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    jpeg = (photographs / "a cup of coffee.JPEG").read_bytes()
    for tenth in range(1, 10):
        (folder / f"cut-{tenth}.jpg").write_bytes(jpeg[: len(jpeg) * tenth // 10])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("these are words")
    Image.new("1", (30_000, 30_000)).save(folder / "bomb.png")
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    return folder


# What MLflow's tests publish: one tiny pipeline, and restorers whose order in quality is known.

OFFSETS = {"good": 0.0, "twin": 0.0, "bad": 0.04}  # added to every pixel; "twin" has other weights, the same output


@pytest.fixture(scope="session")
def pipeline_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two small training photographs, a test photograph with detail; networks of a few hundred weights."""
    root = tmp_path_factory.mktemp("pipeline")
    for name in ("images", "detailed", "smooth"):
        (root / name).mkdir()
    cup, cat = Image.fromarray(data.coffee()), Image.fromarray(data.chelsea())
    cup.crop((0, 0, 120, 120)).save(root / "images" / "one.png")
    cup.crop((160, 100, 320, 260)).save(root / "images" / "two.png")
    cat.crop((100, 50, 196, 130)).save(root / "detailed" / "cat.png")
    cat.crop((100, 50, 108, 58)).resize((96, 80), Image.Resampling.BICUBIC).save(root / "smooth" / "cat.png")
    train = TrainConfig(steps=4, batch_size=2, warmup_steps=1, report_every=1, checkpoint_every=4)
    return Config(
        images=(str(root / "images"),),
        test_images=str(root / "detailed"),
        prepare=PrepareConfig(mode="crops", size=32, crops=2, photographs_per_part=2),
        network=NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1, stages=1),
        classifier=train,
        autoencoder=train,
        evaluate=EvaluateConfig(methods=("jpeg", "ced-gt"), pictures=1),
    )


@pytest.fixture(scope="session")
def made(pipeline_config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, PipelineOutputs]:
    """The pipeline up to the report: as trained, and with other restorers (OFFSETS) on either test photograph."""
    config, store = pipeline_config, Store(tmp_path_factory.mktemp("made"))
    smooth = dataclasses.replace(config, test_images=str(Path(config.test_images).with_name("smooth")))
    torch.set_num_threads(1)
    with connection.session(connection.LOCAL):
        prepared = prepare.run(config.prepare, config.images, Session(store))
        classes = edges.run(config.classes, prepared, Session(store))
        labelled = label.run(prepared, classes, Session(store))
        classifier = train.run("classifier", config, TrainingInputs(labelled, classes), Session(store), "cpu")
        trained = train.run("ced-gt", config, TrainingInputs(labelled, classes, classifier), Session(store), "cpu")

        def complete(config: Config, autoencoder: Output) -> PipelineOutputs:
            restorer = {"ced-gt": restorers.run("ced-gt", autoencoder, classifier, classes, Session(store))}
            evaluated = evaluate.run(config.evaluate, config.test_images, restorer, Session(store))
            models = {"classifier": classifier, "ced-gt": autoencoder}
            reported = stage.run(config, evaluated, models, Session(store))
            return PipelineOutputs(prepared, classes, labelled, models, restorer, evaluated, reported)

        others = {name: _offset(trained, name, store) for name in OFFSETS}
        found = {name: complete(config, autoencoder) for name, autoencoder in others.items()}
        return {"trained": complete(config, trained), "bad, smooth": complete(smooth, others["bad"]), **found}


def _offset(trained: Output, name: str, store: Store) -> Output:
    """A training's output with other weights in it: those that add an offset to every pixel and no more."""

    def produce(making: Making) -> None:
        network = weights.decode((trained.path / WEIGHTS).read_bytes())
        assert isinstance(network, AutoEncoder)
        torch.nn.init.zeros_(network.decoder.last.weight)
        torch.nn.init.constant_(network.decoder.last.bias, OFFSETS[name])
        if name == "twin":
            torch.nn.init.zeros_(network.decoder.first.convolution.weight)
        write_bytes(making.folder / WEIGHTS, weights.encode(network))
        write_bytes(making.folder / METRICS, (trained.path / METRICS).read_bytes())
        making.counts.update(trained.manifest.counts)

    return make(store, f"train-{name}", trained.manifest.config, trained.manifest.inputs, produce)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[str]:
    """The address of a real `mlflow server` with SQLite."""
    root, port = tmp_path_factory.mktemp("server"), free_port()
    options = ["--backend-store-uri", f"sqlite:///{root}/mlflow.db", "--artifacts-destination", str(root / "artifacts")]
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with serving(["mlflow", "server", *options, *listen], f"http://127.0.0.1:{port}/health", root):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def serving(command: list[str], health: str, folder: Path, **environment: str) -> Iterator[None]:
    """A server in a process group of its own, from the moment it answers to the end of the block."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", **environment}
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env=given, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5):
                break
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def start_server() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """`serving`, for tests that start servers of their own."""
    return serving
