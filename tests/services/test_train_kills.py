"""Training on two hosts of which one dies."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data as photographs

from ced import schema
from ced.config import NetworkConfig, PrepareConfig, TrainConfig
from ced.core.examples import examples
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.trainer import train

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1)
TRAIN = TrainConfig(
    steps=400, batch_size=4, learning_rate=1e-4, report_every=100, checkpoint_every=10, validation_fraction=0.4
)
INTERFACE = "eth0"  # inside each host
PORT = 6399  # of the cluster's head
RAY = str(Path(sys.executable).with_name("ray"))
ENVIRONMENT = os.environ | {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GLOO_SOCKET_IFNAME": INTERFACE,
    # A node that is silent for three seconds is lost; the workers start with fewer two seconds later.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "2",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
}

DRIVER = """
import sys, time
from pathlib import Path
import ray
from ced.cluster import connection
from ced.training import ray_train
from ced.config import ClusterConfig
from ced.training.job import TrainJob

address, path, nodes = sys.argv[1], sys.argv[2], int(sys.argv[3])
with connection.session(address):
    connection.ensure()
    while sum(node["Alive"] for node in ray.nodes()) < nodes:
        time.sleep(0.1)
    job = TrainJob.from_json(Path(path).read_text())
    ray_train.fit(job, ClusterConfig(train_workers=nodes, train_workers_least=1, threads_per_worker=1))
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of two photographs in one part: ED reads no labels."""
    folder = tmp_path_factory.mktemp("examples")
    rows = []
    for name in ("coffee", "chelsea"):
        image = Image.fromarray(getattr(photographs, name)())
        for e in examples(image, name, PrepareConfig(mode="crops", size=32), 4):
            planes = {"target": e.target.tobytes(), "input": e.input.tobytes()}
            rows.append(e._asdict() | planes | {"source": name, "height": 32, "width": 32})
    columns = {name: [row[name] for row in rows] for name in schema.EXAMPLES.names}
    pq.write_table(pa.table(columns, schema=schema.EXAMPLES), folder / "part-00000.parquet")
    return folder


def job(stored: Path, out: Path, **settings: int) -> TrainJob:
    train = dataclasses.replace(TRAIN, **settings)
    return TrainJob("ed", str(stored), str(stored), "", "", str(out), NETWORK, train, 1)


def cannot() -> str:
    """Why this machine cannot be two hosts, "" where it can."""
    if shutil.which("ip") is None:
        return "the program ip is not installed"
    name = f"ced{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode == 0:
        made = subprocess.run(["ip", "netns", "exec", name, "true"], capture_output=True, text=True)
        subprocess.run(["ip", "netns", "delete", name], check=True)
    return made.stderr.strip()


class Host:
    """A network namespace with an address of its own, and what runs in it."""

    def __init__(self, number: int) -> None:
        self.name, self.address = f"ced{os.getpid()}-{number}", f"10.211.7.{number}"
        self.processes: list[subprocess.Popen[bytes]] = []
        run("ip", "netns", "add", self.name)

    def plug(self, cable: str) -> None:
        run("ip", "link", "set", cable, "netns", self.name, "name", INTERFACE)
        run("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", INTERFACE)
        for device in (INTERFACE, "lo"):
            run("ip", "-n", self.name, "link", "set", device, "up")

    def start(self, *line: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        with open(log or os.devnull, "wb") as out:
            line = ("ip", "netns", "exec", self.name, *line)
            process = subprocess.Popen(line, env=ENVIRONMENT, stdout=out, stderr=out, start_new_session=True)
        self.processes.append(process)
        return process

    def ray(self, *arguments: str) -> None:
        own = (f"--node-ip-address={self.address}", "--num-cpus=1", f"--object-store-memory={100 << 20}")
        self.start(RAY, "start", *own, "--block", *arguments)

    def listens(self, port: int) -> bool:
        line = ["ip", "netns", "exec", self.name, "ss", "-ltnH", f"sport = :{port}"]
        return bool(subprocess.run(line, capture_output=True, check=True).stdout)

    def pids(self) -> list[int]:
        """Everything that runs in this namespace."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def workers(self) -> list[int]:
        """The workers of Ray Train here."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if b"RayTrainWorker" in Path("/proc", str(pid), "cmdline").read_bytes():
                    found.append(pid)
        return found

    def die(self) -> None:
        """kill -9 of everything in it."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()


def run(*line: str) -> None:
    subprocess.run(line, check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts on one cable."""
    reason = cannot()
    if reason:
        pytest.skip(f"needs network namespaces: {reason}")
    two = Host(1), Host(2)
    cables = [f"ced{os.getpid()}{side}" for side in "ab"]
    run("ip", "link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
    try:
        for host, cable in zip(two, cables, strict=True):
            host.plug(cable)
        yield two
    finally:
        for host in two:
            host.die()
            run("ip", "netns", "delete", host.name)


def wait_until(happened: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def step(out: Path) -> int:
    """The step of the checkpoint; 0 where there is none."""
    path = out / "checkpoint.pt"
    return int(torch.load(path, weights_only=True)["state"]["step"]) if path.exists() else 0


def losses(out: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines}


def test_a_host_dies_and_the_run_goes_on_alone_to_the_losses_of_an_undisturbed_one(
    hosts: tuple[Host, Host], stored: Path, tmp_path: Path
) -> None:
    """A worker on each host; kill -9 of all that runs on the second one, raylet and worker.

    Two workers add up a batch's gradient in another order than one, so that the last bits of float32 differ, and the
    difference grows from step to step: undisturbed, two are off by 3e-5 after 600 such steps. 2e-4 leaves room.
    """
    first, second = hosts
    wanted, log = job(stored, tmp_path / "out"), tmp_path / "driver.log"
    out, address = Path(wanted.out), f"{first.address}:{PORT}"
    first.ray("--head", f"--port={PORT}", "--include-dashboard=false")
    wait_until(lambda: first.listens(PORT), first.processes[0], log)
    second.ray(f"--address={address}")
    (tmp_path / "job.json").write_text(wanted.to_json())
    driver = first.start(sys.executable, "-c", DRIVER, address, str(tmp_path / "job.json"), "2", log=log)
    wait_until(lambda: step(out) and second.workers() and first.workers(), driver, log)

    second.die()
    died_at = step(out)
    wait_until(lambda: beyond(died_at, out), driver, log)
    assert died_at < TRAIN.steps // 2, "it died too late to show anything"
    assert driver.wait(120) == 0, log.read_text()

    undisturbed = trained_alone(wanted, tmp_path / "undisturbed")
    assert losses(out).keys() == losses(undisturbed).keys()
    assert list(losses(out).values()) == pytest.approx(list(losses(undisturbed).values()), rel=2e-4)
    weights, expected = (load_file(folder / "model.safetensors") for folder in (out, undisturbed))
    assert any(not torch.equal(weights[name], expected[name]) for name in expected), "two workers have never trained"


def beyond(start: int, out: Path) -> bool:
    """Whether the training has come a good way beyond the checkpoint of step `start`; before it, it never goes back."""
    reached = step(out)
    assert reached >= start, "it did not go on from the last checkpoint"
    return reached > start + 30


def trained_alone(job: TrainJob, out: Path) -> Path:
    """The same training by the plain loop, which nothing disturbs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(dataclasses.replace(job, out=str(out)), PlainContext("cpu"))
    finally:
        torch.set_num_threads(threads)
    return out
