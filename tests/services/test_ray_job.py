"""`ray job submit` of the pipeline to a real cluster: its head, its job server, its workers."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")
PATH = os.pathsep.join([str(RAY.parent), os.environ.get("PATH", "")])  # an activated environment
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PATH": PATH}
# All that a head listens on and that has a fixed port by itself: another Ray on the machine, of another test say, may
# have it already. A head whose agent does not get its port runs, but accepts no job.
PORTS = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port")
SETTINGS = (
    ("prepare.size=32", "prepare.crops=2", "network.width=8", "network.width_half=4", "network.width_full=4")
    + ("network.blocks=1", "network.stages=1", "classifier.steps=4", "autoencoder.steps=4")
    + ("evaluate.methods=jpeg,ced-gt", "evaluate.pictures=1")
)


def ray(*arguments: str, timeout: int = 420) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(RAY), *arguments], capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, cwd=ROOT
    )


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[str]:
    """A head of our own, which ends with its process: `ray stop` would end every Ray on the machine."""
    ports = {name: free_port() for name in PORTS}
    log = tmp_path_factory.mktemp("head") / "log"
    # A job is sent to the cluster that its head's folder names as the latest: in Ray's own, another test's. The path is
    # short, as its sockets' must be.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder, log.open("wb") as output:
        options = [f"--{name}={value}" for name, value in {**ports, "temp-dir": folder}.items()]
        command = [str(RAY), "start", "--head", "--block", "--node-ip-address=127.0.0.1", *options, "--num-cpus=2"]
        head = subprocess.Popen(command, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{ports['dashboard-port']}"
            wait_until(lambda: accepts(address) and all(map(listened, ports.values())), head, log)
            yield address
            assert head.poll() is None, f"the head has ended: {log.read_text()[-4000:]}"
        finally:
            head.terminate()
            head.wait(60)


def wait_until(ready: Callable[[], bool], head: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while not ready():
        assert head.poll() is None, f"the head has ended: {log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"the head is not ready: {log.read_text()[-4000:]}"
        time.sleep(0.5)


def accepts(address: str) -> bool:
    """Whether a job is accepted: the server answers some time before the agent that starts jobs is there."""
    body = json.dumps({"entrypoint": "true"}).encode()
    request = urllib.request.Request(f"{address}/api/jobs/", data=body, headers={"Content-Type": "application/json"})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30):
        return True
    return False


def listened(port: int) -> bool:
    """Whether the part of the head with this port has come up: one that cannot ends the whole head, later than a first
    job is accepted."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_the_pipeline_runs_as_a_job_of_the_cluster(job_server: str, tmp_path: Path) -> None:
    settings = [argument for setting in SETTINGS for argument in ("--set", setting)]
    entry = ["python", "-m", "ced", "run", "quickstart", "--store", str(tmp_path / "store"), *settings]
    done = ray("job", "submit", "--address", job_server, "--working-dir", ".", "--", *entry)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "CED-GT" in done.stdout
    assert "succeeded" in done.stdout
    assert len(list(tmp_path.glob("store/publish/*/publish.json"))) == 1


def test_a_job_that_fails_says_why_and_fails_the_command(job_server: str, tmp_path: Path) -> None:
    entry = ["python", "-m", "ced", "run", "quikstart", "--store", str(tmp_path)]
    done = ray("job", "submit", "--address", job_server, "--working-dir", ".", "--", *entry)
    assert done.returncode != 0
    assert "did you mean 'quickstart'?" in done.stdout + done.stderr
