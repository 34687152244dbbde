"""`ced restore` and the served model for a long time, under mixed load of which one in a hundred is hostile.

    python -m tests.faults.soak [SEED] [SECONDS]

Right is: memory is flat, and threads, open files and children are as many at the end as after the first quarter.
"""

import base64
import contextlib
import io
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from skimage import data

from tests.faults.quickstart import below

_HOSTILE = 100  # one in so many files and requests
_CLIENTS = 4
_FILES = 150  # a second, more than two cores can restore
_WARM = 20.0  # seconds until everything is loaded; they are not looked at
_GROWTH = 1.05  # of the memory, from the second quarter to the last: what a median of samples varies by


class Sample(NamedTuple):
    """Of a process and all below it: megabytes, threads, open files, processes."""

    memory: float
    threads: int
    files: int
    processes: int


def main(seed: int = 0, seconds: int = 3600) -> int:
    """Load both for `seconds`, half of them each, and print what they took. Returns how many of the two grew."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="ced-faults-") as name:
        root = Path(name)
        verdicts = [_restore(root, chance, seconds / 2), _serve(root, chance, seconds / 2)]
    print(f"soak: {'; '.join(text for text, _ in verdicts)}")
    return sum(grew for _, grew in verdicts)


def _restore(root: Path, chance: random.Random, seconds: float) -> tuple[str, bool]:
    """One `ced restore` of a folder with more files than it can do in that time."""
    folder = root / "photos"
    folder.mkdir()
    good, hostile = _files(chance)
    originals = {stream: root / f"{number}" for number, stream in enumerate((*good, *hostile))}
    for stream, path in originals.items():
        path.write_bytes(stream)
    for number in range(int((_WARM + seconds) * _FILES)):
        some = hostile if number % _HOSTILE == _HOSTILE // 2 else good
        os.link(originals[chance.choice(some)], folder / f"{number:07d}.jpg")
    command = [sys.executable, "-m", "ced", "restore", str(folder), "-o", str(root / "restored")]
    with open(root / "restore.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    samples = _watched(process.pid, seconds)
    alive = process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.wait()
    finished = sum(path.is_file() for path in (root / "restored").glob("*"))
    refused = (root / "restore.log").read_text().count("; left out")
    return _verdict("restore", samples, f"{finished:,} files restored, {refused} refused", alive)


def _serve(root: Path, chance: random.Random, seconds: float) -> tuple[str, bool]:
    """`mlflow models serve` of the restorers that come with ced, asked by several clients at once."""
    answers: list[int] = []
    good, hostile = _files(chance)
    with _server(root) as (address, pid):
        ended = threading.Event()

        def ask() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                some = hostile if number % _HOSTILE == 0 else good
                answers.append(_status(address, chance.choice(some)))

        clients = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
        for client in clients:
            client.start()
        samples = _watched(pid, seconds)
        ended.set()
        for client in clients:
            client.join()
        alive = _status(address, good[0]) == 200
    refused = sum(400 <= status < 500 for status in answers)
    other = [status for status in answers if status != 200 and not 400 <= status < 500]
    return _verdict(
        "serve", samples, f"{len(answers):,} requests, {refused} refused, {len(other)} lost", alive and not other
    )


def _files(chance: random.Random) -> tuple[list[bytes], list[bytes]]:
    """Photographs of several sizes and kinds, and hostile ones."""
    good = []
    for photograph in (data.coffee(), data.chelsea(), data.astronaut(), data.camera()):
        for quality in (10, 40, 90):
            side = chance.randint(40, 200)
            stream = io.BytesIO()
            Image.fromarray(photograph).crop((60, 40, 60 + side, 40 + side * 3 // 4)).save(
                stream, "JPEG", quality=quality
            )
            good.append(stream.getvalue())
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"
    return good, [good[0][: len(good[0]) // 2], bomb.getvalue(), chance.randbytes(5000), script, b""]


def _watched(pid: int, seconds: float) -> list[Sample]:
    time.sleep(_WARM)
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            samples.append(_sample(pid))
        time.sleep(min(1.0, seconds / 100))
    return samples


def _sample(pid: int) -> Sample:
    processes = [pid, *below(pid)]
    statuses = [Path(f"/proc/{each}/status").read_text() for each in processes]

    def field(name: str) -> int:
        return sum(int(line.split()[1]) for s in statuses for line in s.splitlines() if line.startswith(f"{name}:"))

    files = sum(len(os.listdir(f"/proc/{each}/fd")) for each in processes)
    return Sample(field("RssAnon") / 1024, field("Threads"), files, len(processes))


def _verdict(name: str, samples: list[Sample], done: str, well: bool) -> tuple[str, bool]:
    """How the second quarter and the last compare, and whether something grew."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    before, after = (Sample(*map(statistics.median, zip(*some, strict=True))) for some in (early, late))
    grew = (
        not well
        or after.memory > before.memory * _GROWTH
        or any(a > b for a, b in zip(after[1:], before[1:], strict=True))
    )
    text = (
        f"{name}: {done}, {before.memory:.0f} then {after.memory:.0f} MB, {after.threads:.0f} threads, "
        f"{after.files:.0f} files, {after.processes:.0f} processes{'' if well else ', it ended or failed'}: "
        f"{'GREW' if grew else 'flat'}"
    )
    return text, grew


@contextlib.contextmanager
def _server(root: Path) -> Iterator[tuple[str, int]]:
    """The served model's address and process, from when it answers."""
    from ced.restoration.family import RELEASED
    from ced.tracking import registry

    registry.save(root / "model", RELEASED, root)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(root / "model"), "--env-manager", "local"]
    with open(root / "server.log", "w") as log:
        process = subprocess.Popen(
            [*command, "-p", str(port)], stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/invocations", process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _status(address: str, image: bytes) -> int:
    body = {"dataframe_split": {"columns": ["image"], "data": [[base64.b64encode(image).decode()]]}}
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.read()
        return error.code
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
