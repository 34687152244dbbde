import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skimage.data
import torch
from PIL import Image

from ced import schema
from ced.config import NetworkConfig, PrepareConfig, TrainConfig
from ced.core import frequency
from ced.core.classes import Classes, fit, wanted_bins
from ced.core.examples import examples
from ced.core.images import luminance
from ced.core.quantiles import Coarse, Fine
from ced.training.job import TrainJob

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
SIZE = 32  # pixels

Report = dict[str, Any]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Python's own handlers, whatever this process was started with (a background job ignores Ctrl-C)."""
    own = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    former = {number: signal.signal(number, handler) for number, handler in own.items()}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def real_examples(colour: str, crops: int) -> list[dict[str, Any]]:
    """Crops of photographs and their flips, compressed at QF 10: the columns of an example, planes as arrays."""
    config = PrepareConfig(mode="crops", size=SIZE, colour=colour, crops=crops)
    rows = []
    for name in PHOTOGRAPHS:
        for e in examples(Image.fromarray(getattr(skimage.data, name)()), name, config, crops):
            rows.append(dict(e._asdict(), source=name, height=SIZE, width=SIZE))
    return rows


def classes_of(q: np.ndarray, count: int) -> Classes:
    values = q.transpose(1, 0, 2, 3).reshape(16, -1)
    coarse = Coarse.of(values)
    return fit(coarse, Fine.of(values, wanted_bins(coarse, count)), count)


def write_parts(root: Path, rows: list[dict[str, Any]], labels: np.ndarray, parts: int) -> None:
    for folder in ("examples", "labelled"):
        (root / folder).mkdir(parents=True)
    for part, chosen in enumerate(np.array_split(np.arange(len(rows)), parts)):
        columns = {name: [rows[i][name] for i in chosen] for name in schema.EXAMPLES.names}
        for name in ("target", "input"):
            columns[name] = [plane.tobytes() for plane in columns[name]]
        name = f"part-{part:05d}.parquet"
        pq.write_table(pa.table(columns, schema=schema.EXAMPLES), root / "examples" / name)
        beside = {name: columns[name] for name in schema.LABELS.names[:-1]}
        beside["labels"] = [labels[i].tobytes() for i in chosen]
        pq.write_table(pa.table(beside, schema=schema.LABELS), root / "labelled" / name)


def make_data(root: Path, colour: str = "y", crops: int = 4, classes: int = 7) -> Path:
    """root/examples, root/labelled and root/classes.json, of real photographs."""
    rows = real_examples(colour, crops)
    luma = [row["target"][0] if colour == "y" else luminance(row["target"].transpose(1, 2, 0)) for row in rows]
    q = frequency.coefficients(np.stack(luma))
    table = classes_of(q, classes)
    write_parts(root, rows, table.label(q), parts=3)
    (root / "labelled" / "manifest.json").write_text(json.dumps({"examples": len(rows)}))
    (root / "classes.json").write_text(table.to_json())
    return root


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/ and labelled/ with 32 examples of 4 photographs in 3 parts, and classes.json."""
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def colour_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("colour"), colour="rgb", crops=2)


@pytest.fixture
def job_of(data: Path, tmp_path: Path) -> Callable[..., TrainJob]:
    """A job of 12 steps on a tiny network; keywords change the settings of the training, or of the job."""

    def make(model: str = "ed", out: str = "out", **changes: Any) -> TrainJob:
        settings: dict[str, Any] = {"steps": 12, "batch_size": 4, "warmup_steps": 2, "report_every": 5}
        settings |= {"checkpoint_every": 4, "validation_fraction": 0.25, "learning_rate": 2e-3}
        fields = {
            "model": model,
            "examples": str(data / "examples"),
            "labelled": str(data / "labelled"),
            "classes": str(data / "classes.json"),
            "classifier": "",
            "out": str(tmp_path / out),
            "network": NetworkConfig(width=8, width_half=6, width_full=4, blocks=1, stage_blocks=1),
            "channels": 1,
            "start": "",
        }
        fields |= {name: changes.pop(name) for name in list(changes) if name in fields}
        return TrainJob(**fields, train=TrainConfig(**(settings | changes)))

    return make


@pytest.fixture
def reports() -> Callable[[TrainJob], list[Report]]:
    """The lines of a finished job's metrics, but for what differs each time: the clock."""

    def read(job: TrainJob) -> list[Report]:
        lines = [json.loads(line) for line in Path(job.out, "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k not in ("time", "images_per_second")} for line in lines]

    return read


@pytest.fixture
def python_path() -> dict[str, str]:
    """The environment of a Python of its own that imports what this one does, on one thread."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
def start(tmp_path: Path, python_path: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start `python -m ced.training` on a job in a process of its own, or in two under torchrun; in the foreground it
    knows Ctrl-C, whatever this process was started with."""

    def run(job: TrainJob, workers: int = 1, foreground: bool = False) -> subprocess.Popen[str]:
        path = tmp_path / "job.json"
        path.write_text(job.to_json())
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={workers}", "--standalone"] if workers > 1 else []
        return subprocess.Popen(
            [sys.executable, *launcher, "-m", "ced.training", "--job", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=python_path,
            preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) if foreground else None,
        )

    return run
