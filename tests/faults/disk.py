"""Disks and file systems that fail under the commands, one system call at a time.

    python -m tests.faults.disk [SEED] [COUNT]

Each fault is given to one command of a small job: `ced prepare`, `train`, `evaluate` or `restore`. Right is: the
command ends well in spite of it, or in one line with exit code 2; nothing that is finished afterwards is wrong; and the
same command, on a disk that works again, ends with the same bytes as where nothing ever failed.

The faults are the kernel's own: a file system that is too small (ENOSPC) or becomes read-only (EROFS), a limit on the
size of files, and calls that strace makes fail (fsync, rename, mkdir, pwrite64 and others).
"""

import contextlib
import hashlib
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image
from skimage import data

from tests.small import NETWORK

_SETTINGS = (
    *("prepare.size=32", "prepare.crops=2", "prepare.photographs_per_part=1"),
    *(*NETWORK, "autoencoder.steps=8"),
    *("autoencoder.batch_size=2", "autoencoder.checkpoint_every=2", "autoencoder.report_every=2"),
)
_SET = tuple(word for setting in _SETTINGS for word in ("--set", setting))
_CALLS = ("fsync", "rename", "mkdir", "pwrite64", "unlink", "ftruncate", "fdatasync", "link", "flock")
_ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EDQUOT")
_LIMIT = 300  # seconds of one command, many times what it takes
_STEADY = re.compile(  # what two good runs have the same bytes of
    r"^(out/[^/]+\.png|.*part-\d+\.parquet|.*classes\.json|.*\.safetensors|store/evaluate/[^/]+/pictures/.*)$"
)


@dataclass(frozen=True)
class Step:
    """A command, what it reads (made once, shared by all faults), and where it writes, `disk` being the bad one."""

    name: str
    arguments: Callable[[Path, Path], tuple[str, ...]]  # of the folder of inputs and the disk

    def command(self, inputs: Path, disk: Path) -> list[str]:
        return [sys.executable, "-m", "ced", self.name, *self.arguments(inputs, disk)]


STEPS = (
    Step("prepare", lambda i, d: (*_SET, "--images", f"{i}/photos", "-o", f"{d}/out", "--store", f"{d}/store")),
    Step(
        "train",
        lambda i, d: (
            *("ed", "--without-ray", *_SET, "--data", f"{i}/data"),
            *("-o", f"{d}/out", "--store", f"{d}/store"),
        ),
    ),
    Step(
        "evaluate",
        lambda i, d: (
            *("--images", f"{i}/photos", "--quality", "10", "--methods", f"jpeg,ed={i}/ed/restorer-ed"),
            *("--store", f"{d}/store", "--report", f"{d}/out"),
        ),
    ),
    Step("restore", lambda i, d: (f"{i}/photos", "-o", f"{d}/out", "--model", f"{i}/ed/restorer-ed")),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one command under a fault: "done", "refused", or, where something is lost, what."""

    fault: str
    kind: str
    message: str = ""


def main(seed: int = 0, count: int = 60) -> int:
    """Try `count` faults and print what became of them. Returns how many lost something."""
    if os.geteuid() or not shutil.which("strace"):
        print("disk: skipped, since file systems are mounted by root alone, and calls made to fail by strace")
        return 0
    chance = random.Random(seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="ced-faults-") as name:
        root = Path(name)
        inputs, wanted = _prepared(root)
        for number in range(count):
            step = STEPS[number % len(STEPS)]
            outcome = tried(step, inputs, wanted[step.name], root / f"{number}", chance)
            outcomes.append(outcome)
            print(f"disk {number + 1} of {count}: {step.name}, {outcome.fault}: {outcome.kind} {outcome.message}")
    kinds = Counter(outcome.kind for outcome in outcomes)
    lost = count - kinds["done"] - kinds["refused"]
    print(f"disk: {count} faults, {kinds['done']} without effect, {kinds['refused']} refused in one line, {lost} lost")
    return lost


@dataclass(frozen=True)
class Good:
    """What a command makes where nothing fails: the digests of it, and the kilobytes that it takes."""

    contents: dict[str, str]
    kilobytes: int


def _prepared(root: Path) -> tuple[Path, dict[str, Good]]:
    """The folder with what the commands read, and what each makes of it."""
    inputs, wanted = root / "inputs", {}
    (inputs / "photos").mkdir(parents=True)
    cup, cat = Image.fromarray(data.coffee()), Image.fromarray(data.chelsea())
    cup.crop((0, 0, 120, 120)).save(inputs / "photos" / "one.png")
    cat.crop((100, 50, 196, 130)).save(inputs / "photos" / "two.png")
    for step in STEPS:
        disk = root / f"good-{step.name}"
        disk.mkdir()
        done = _run(step.command(inputs, disk))
        if done.returncode:
            raise RuntimeError(f"{step.name} fails where nothing is wrong: {done.stderr}")
        size = sum(path.stat().st_size for path in disk.rglob("*") if path.is_file())
        wanted[step.name] = Good(contents(disk), size // 1024)
        for result, name in (("prepare", "data"), ("train", "ed")):
            if step.name == result:
                shutil.copytree(disk / "out", inputs / name)
    return inputs, wanted


def tried(step: Step, inputs: Path, good: Good, disk: Path, chance: random.Random) -> Outcome:
    """One command under one fault, and then without it."""
    name, run = _fault(good.kilobytes, chance)
    disk.mkdir()
    with _mounted(disk):
        faulty = run(step.command(inputs, disk), disk)
        _mount("remount,rw,size=100m", disk)
        again = _run(step.command(inputs, disk))
        kind, message = _judged(faulty)
        if kind in ("done", "refused"):
            if again.returncode:
                kind, message = "does not go on", _last(again.stderr)
            elif differing := sorted({key for key, _ in contents(disk).items() ^ good.contents.items()}):
                kind, message = "other bytes", ", ".join(differing[:3])
    return Outcome(name, kind, message)


def contents(disk: Path) -> dict[str, str]:
    """The digests of what a command makes, apart from what tells how long something took or when it was."""
    digests: dict[str, str] = {}
    for path in sorted(path for path in disk.rglob("*") if path.is_file()):
        key = path.relative_to(disk).as_posix()
        if path.name == "manifest.json":
            for name, digest in json.loads(path.read_text())["parts"].items():
                if hashlib.sha256((path.parent / name).read_bytes()).hexdigest() != digest:
                    digests[f"{key}: {name}"] = "is not what its manifest says"
        elif path.name == "results.json" and key.startswith("out/"):
            rows = json.loads(path.read_text())["rows"]
            digests[key] = json.dumps([{k: v for k, v in row.items() if k != "seconds_per_megapixel"} for row in rows])
        elif path.parent.name == "restored.parquet":
            rows = pq.read_table(path).drop_columns(["seconds"]).to_pylist()
            digests[key] = json.dumps(rows)
        elif _STEADY.search(key):
            digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


Run = Callable[[list[str], Path], subprocess.CompletedProcess[str]]


def _fault(kilobytes: int, chance: random.Random) -> tuple[str, Run]:
    """A fault by chance: its name, and what runs a command with it."""
    kind = chance.choice(("full", "call", "call", "call", "read-only", "file size"))
    if kind == "full":
        size = chance.randint(4, kilobytes)
        return f"a disk of {size} kB", partial(_full, size)
    if kind == "read-only":
        seconds = chance.uniform(0.5, 9)
        return f"read-only after {seconds:.1f} s", partial(_read_only, seconds)
    if kind == "file size":
        size = int(2 ** chance.uniform(7, 18))
        return f"files of at most {size} bytes", partial(_limited, size)
    call, error, when = chance.choice(_CALLS), chance.choice(_ERRORS), int(2 ** chance.uniform(0, 5))
    more = chance.choice(("", "+"))
    name = f"{call} {when}{' and later' if more else ''}: {error}"
    return name, partial(_injected, f"{call}:error={error}:when={when}{more}")


def _full(kilobytes: int, command: list[str], disk: Path) -> subprocess.CompletedProcess[str]:
    _mount(f"remount,size={kilobytes}k", disk)
    return _run(command)


def _read_only(seconds: float, command: list[str], disk: Path) -> subprocess.CompletedProcess[str]:
    """The file system becomes read-only as soon after `seconds` as no file on it is open for writing."""
    ended = threading.Event()

    def watch() -> None:
        time.sleep(seconds)
        while not ended.is_set():
            with contextlib.suppress(subprocess.CalledProcessError):
                return _mount("remount,ro", disk)
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    done = _run(command)
    ended.set()
    thread.join()
    return done


def _limited(size: int, command: list[str], disk: Path) -> subprocess.CompletedProcess[str]:
    return _run(command, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))


def _injected(injection: str, command: list[str], disk: Path) -> subprocess.CompletedProcess[str]:
    call = injection.partition(":")[0]
    log = disk.with_name(f"{disk.name}.strace")
    tracing = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", "signal=none"]
    return _run([*tracing, "-e", f"inject={injection}", *command])


def _run(command: list[str], before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        stdin=subprocess.DEVNULL,
        env=environment,
        preexec_fn=before,
    )


def _judged(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    if "Traceback" in done.stderr or done.returncode not in (0, 2):
        return f"exit {done.returncode}", done.stderr[-2000:]
    if done.returncode == 0:
        return "done", ""
    errors = re.findall(r"^ced: error: .*$", done.stderr, re.MULTILINE)
    return ("refused", errors[0]) if len(errors) == 1 else ("not one line", done.stderr[-2000:])


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


@contextlib.contextmanager
def _mounted(disk: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def _mount(options: str, disk: Path) -> None:
    subprocess.run(["mount", "-o", options, str(disk)], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
