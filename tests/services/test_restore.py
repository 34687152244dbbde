"""Folders restored by Ray, and from and to a real S3 server: killed drivers and workers, the same bytes."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from skimage import data

from ced.config import NetworkConfig
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.restoration import restorer
from tests.services.nodes import ENVIRONMENT, at_work, kill_all, node, wait_until

KEY, SECRET = "ced-test-key", "ced-test-secret"
FILES = 60
KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1)
    folder = tmp_path_factory.mktemp("model")
    for name, content in restorer.files("ed", weights.encode(AutoEncoder(network, 1, conditioned=False))).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose folders are buckets: `photographs` has files in it."""
    root = tmp_path_factory.mktemp("s3")
    for number in range(FILES):
        crop = Image.fromarray(data.coffee()).crop((number, number, number + 64, number + 64))
        path = root / "photographs" / "set" / str(number % 3) / f"a b{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop.save(path, quality=20)
    (root / "photographs" / "set" / "bad.jpg").write_bytes(b"nothing")
    (root / "restored").mkdir()
    return root


@pytest.fixture(scope="module")
def server(buckets: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[str]:
    """host:port of a real S3 server with one key."""
    address = f"127.0.0.1:{free_port()}"
    home = tmp_path_factory.mktemp("rclone")
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "rclone is not installed; run `make check` once"
    command = [program, "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", address]
    command += ["--dir-cache-time", "1ms", str(buckets)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "RCLONE_CONFIG": ""}
    with open(home / "log", "w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            _wait(f"http://{address}/")
            yield address
        finally:
            process.terminate()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            try:
                urllib.request.urlopen(url, timeout=5).close()
            except urllib.error.HTTPError:  # it refuses us: it is there
                return
            return
        time.sleep(0.1)


def command(source: object, out: object, model: Path, *more: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "ced", "restore", source, "-o", out, "--model", model, *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        list(map(str, words)), stderr=pipe, text=True, start_new_session=True, env=ENVIRONMENT | KEYS
    )


def outputs(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


@pytest.fixture(scope="module")
def expected(buckets: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one core makes of it."""
    out = tmp_path_factory.mktemp("undisturbed")
    command(buckets / "photographs" / "set", out, model, "--workers", 1).communicate(timeout=580)
    assert len(outputs(out)) == FILES
    return outputs(out)


def reached(out: Path, count: int, process: subprocess.Popen[str]) -> bool:
    while process.poll() is None:
        if len(outputs(out)) >= count:
            return True
        time.sleep(0.01)
    return False


def test_by_ray_with_a_driver_and_a_worker_killed(
    buckets: Path, model: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    source = buckets / "photographs" / "set"
    process = command(source, tmp_path, model, "--ray-address", "local")
    assert reached(tmp_path, 10, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=580)
    time.sleep(3)  # Ray's workers end with it
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert 10 <= len(before) < FILES
    process = command(source, tmp_path, model, "--ray-address", "local")
    assert reached(tmp_path, len(before) + 10, process)
    for pid in at_work(process.pid)[:1]:
        os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=580)
    restored = FILES - len(before)
    assert f"restored {restored} of {FILES + 1} images to {tmp_path}; {len(before)} were there already" in said
    assert outputs(tmp_path) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(pq.read_table(tmp_path / "restored.parquet")) == FILES + 1
    assert sorted(path.name for path in (tmp_path / "restored.parquet").iterdir()) == [".lock", "part-00000.parquet"]


def test_from_and_to_s3(buckets: Path, server: str, model: Path, tmp_path: Path, expected: dict[str, bytes]) -> None:
    source = f"s3://photographs/set?endpoint_override={server}&scheme=http"
    out = f"s3://restored/all?endpoint_override={server}&scheme=http"
    there = buckets / "restored" / "all"
    process = command(source, out, model, "--workers", 2)
    assert reached(there, 15, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=580)
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*.png") if path.stat().st_size}
    _, said = command(source, out, model, "--workers", 2).communicate(timeout=580)
    assert (
        f"restored {FILES - len(before)} of {FILES + 1} images to s3://restored/all; {len(before)} were there" in said
    )
    assert server not in said and KEY not in said
    assert outputs(there) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rows = pq.read_table(io.BytesIO((there / "restored.parquet" / "part-00000.parquet").read_bytes())).to_pylist()
    assert sum(row["done"] == "restored" for row in rows) == FILES and len(rows) == FILES + 1
    one = f"s3://restored/one a.png?endpoint_override={server}&scheme=http"
    first = next((buckets / "photographs" / "set" / "0").iterdir())
    for code, said_of_it in ((0, "restored 1 of 1 images to s3://restored/one a.png"), (2, "there already")):
        process = command(first, one, model)
        assert said_of_it in process.communicate(timeout=580)[1] and process.returncode == code
    assert (buckets / "restored" / "one a.png").read_bytes() == expected[f"0/{first.stem}.png"]


def test_on_a_cluster_from_and_to_s3_with_a_node_killed(
    buckets: Path, server: str, model: Path, expected: dict[str, bytes], head: str
) -> None:
    """A third of the files: two nodes of one core each, of which one goes on alone."""
    query = f"endpoint_override={server}&scheme=http"
    source, out = f"s3://photographs/set/0?{query}", f"s3://restored/far?{query}"
    there = buckets / "restored" / "far"
    nodes = [node([f"--address={head}", "--num-cpus=1"], **KEYS)]
    process = command(source, out, model, "--ray-address", head)
    try:
        wait_until(lambda: at_work(nodes[0].pid), process, 300)
        nodes.append(node([f"--address={head}", "--num-cpus=1"], **KEYS))  # starting at once, they share ports
        wait_until(lambda: len(outputs(there)) >= 4 and at_work(nodes[0].pid), process, 300)
        kill_all(nodes[0])
        before = {path: path.stat() for path in there.rglob("*.png")}
        _, said = process.communicate(timeout=580)
    finally:
        for one in (*nodes, process):
            kill_all(one)
    files = FILES // 3
    assert f"restored {files} of {files} images to s3://restored/far\n" in said and process.returncode == 0, said
    assert len(before) < files
    assert outputs(there) == {name[2:]: data for name, data in expected.items() if name.startswith("0/")}
    again = [path for path, status in before.items() if path.stat().st_mtime_ns != status.st_mtime_ns]
    assert len(again) <= 2, "but what was being written"
    table = pq.read_table(io.BytesIO((there / "restored.parquet" / "part-00000.parquet").read_bytes()))
    assert len(table) == files == len(set(table["source"].to_pylist()))
