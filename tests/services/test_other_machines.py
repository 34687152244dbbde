"""Machines of other people: proxies, odd variables, no home, no name; what is ced's own works on all of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from tests.small import NETWORK

NOWHERE = "http://127.0.0.1:9"
PROXIES = {
    name: NOWHERE for proxy in ("http", "https", "grpc") for name in (f"{proxy}_proxy", f"{proxy}_PROXY".upper())
}
PROXIES |= {"all_proxy": "socks5://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
OTHERS_RAY = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_AUTH_TOKEN": "theirs",
    "RAY_AUTH_TOKEN_PATH": "/nowhere",
    "RAY_REDIS_ADDRESS": "192.0.2.1:6379",
    "RAY_USE_TLS": "1",
    "RAY_TMPDIR": "/nowhere",
    "GLOO_SOCKET_IFNAME": "eth9",
}
OTHERS_PREFECT = {
    "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://nobody@192.0.2.1/theirs",
    "PREFECT_API_AUTH_STRING": "them:theirs",
    "PREFECT_API_KEY": "theirs",
}
SLURM = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "1", "RANK": "3"}
SLURM |= {"WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "no-such-host", "MASTER_PORT": "1"}
ODD = {"HOME": "/proc/nowhere", "OMP_NUM_THREADS": "4,2", "CUDA_VISIBLE_DEVICES": "GPU-1,7", "LC_ALL": "xx_YY"}
ODD |= {"TMPDIR": "/proc/nowhere"}

SMALL = ("prepare.size=32", *NETWORK)
SMALL += ("classifier.steps=2", "autoencoder.steps=2", "evaluate.methods=jpeg,ced-gt", "evaluate.pictures=1")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name in ("chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).crop((0, 0, 96, 96)).save(folder / f"{name}.png")
    return folder


def ced(
    command: str, images: Path, store: Path, prefix: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """A command on two small photographs, in a current folder that cannot be written."""
    settings = [argument for setting in SMALL for argument in ("--set", setting)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*prefix, sys.executable, "-m", "ced", *command.split(), "--images", str(images), "--store", str(store)]
        + settings,
        capture_output=True,
        text=True,
        timeout=500,
        cwd="/proc",
        env={**os.environ, **paths, **variables},
        stdin=subprocess.DEVNULL,
    )


def test_a_run_minds_nothing_of_all_that_others_have_set(images: Path, tmp_path: Path) -> None:
    done = ced("run", images, tmp_path / "store", **PROXIES, **SLURM, **OTHERS_RAY, **OTHERS_PREFECT, **ODD)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "store" / "prefect" / "prefect.db").exists()


def test_a_machine_without_names_and_with_a_strict_umask(images: Path, tmp_path: Path) -> None:
    """Nothing in /etc/hosts, not even localhost, and a host name that nobody resolves."""
    setup = 'mount --bind /dev/null /etc/hosts && hostname nobody-knows-me && umask 077 && exec "$@"'
    prefix = ("unshare", "--mount", "--uts", "sh", "-c", setup, "sh")
    tried = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, text=True)
    if not tried or tried.returncode:
        pytest.skip(f"needs namespaces: {tried.stderr.strip() if tried else 'unshare is not installed'}")
    done = ced("train ed", images, tmp_path / "store", prefix)
    assert done.returncode == 0, done.stderr[-3000:]
