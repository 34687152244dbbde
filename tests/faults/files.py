"""The standing test "Files": damaged image files through `ced restore`, and through the model that is served.

    python -m tests.faults.files [SEED] [COUNT]

Each is restored, or refused in one line, within MEMORY bytes and SECONDS; anything else is "lost" and named.
The command restores folders of BATCH files; the model is asked in a process of its own. What it prints is a row of
counts for each way.
"""

import collections
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ced.config import NetworkConfig
from ced.core.classes import Classes
from ced.core.images import REASONS
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.restoration import restorer
from tests.faults.damage import damaged

MEMORY = 2 << 30  # bytes of the command and of its decoder, each
SECONDS = 30.0  # without an answer
_START = 300.0  # seconds until the first one: programs are imported
BATCH = 500
_LIMITS = {"pixels": 2_000_000, "seconds": 10.0}  # of decoding: what is larger is refused, so that the test ends
_LEFT_OUT = re.compile(r"^(\S+): .+ \(([a-z ]+)\); left out$")
_EXPECTED = re.compile(
    r"^(restore: \d+ of \d+ images.*|restored \d+ of \d+ images to .*|ced: error: \d+ of \d+ images could not be .*)$"
)
_NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)
_SERVED = """
import json, sys
from pathlib import Path
import pandas as pd
import torch
from mlflow.pyfunc import PythonModelContext
from ced.tracking.registry import SERVING
from ced.tracking.serving_model import Refused, Restoration
torch.set_num_threads(1)
folder, model, pixels, seconds = sys.argv[1:]
served = Restoration()
settings = {**SERVING, "max_pixels": int(pixels), "max_seconds": float(seconds)}
served.load_context(PythonModelContext({"restorer": model}, settings))
for path in sorted(Path(folder).iterdir()):
    try:
        answer = served.predict(None, pd.DataFrame({"image": [path.read_bytes()]}))["image"][0]
        told = "" if answer.startswith(bytes([137]) + b"PNG") else "no PNG"
    except Refused as error:
        told = error.reason
    print(json.dumps([path.name, told]), flush=True)
"""


@dataclass
class Outcome:
    """What became of the files that went one way."""

    way: str
    files: int = 0
    restored: int = 0
    refused: collections.Counter[str] = field(default_factory=collections.Counter)
    lost: list[str] = field(default_factory=list)  # names, each with what happened
    peak: int = 0  # bytes
    slowest: float = 0.0  # seconds between two answers

    def row(self) -> str:
        """A row of a table."""
        why = ", ".join(f"{number:,} {reason}" for reason, number in self.refused.most_common())
        return (
            f"| {self.way} | {self.files:,} | {self.restored:,} | {sum(self.refused.values()):,} ({why}) | "
            f"{len(self.lost)} | {self.peak / 2**20:,.0f} MiB | {self.slowest:.1f} s |"
        )


HEAD = "| Files through | files | restored | refused | lost | peak | slowest |\n"
HEAD += "| --- | --: | --: | --- | --: | --: | --: |"


def run(count: int, seed: int, scratch: Path, batch: int = BATCH) -> tuple[Outcome, Outcome]:
    """`count` files of a seed through the command and through the served model."""
    model = _model(scratch / "model")
    command, served = Outcome("`ced restore`"), Outcome("the served model")
    for start in range(0, count, batch):
        folder = scratch / f"files-{start}"
        folder.mkdir()
        for number in range(start, min(start + batch, count)):
            name, stream = damaged(seed, number)
            (folder / name).write_bytes(stream)
        _through_command(command, folder, scratch / "restored", model)
        _through_model(served, folder, model)
        shutil.rmtree(scratch / "restored", ignore_errors=True)
        if not command.lost and not served.lost:
            shutil.rmtree(folder)
        if batch < count:
            print(command.row(), served.row(), *command.lost[-3:], *served.lost[-3:], sep="\n", flush=True)
    return command, served


def _model(folder: Path) -> Path:
    """A small CED with random weights."""
    torch.manual_seed(0)
    table = np.linspace(-3, 3, 7, dtype=np.float32) * np.arange(1, 17, dtype=np.float32)[:, None]
    classes = Classes(table[:, :-1] + 0.5, table, np.full((16, 7), 10, np.int64)).to_json()
    networks = AutoEncoder(_NETWORK, 1, conditioned=True), Classifier(_NETWORK, 1, 7)
    folder.mkdir(parents=True)
    for name, content in restorer.files("ced-gt", *map(weights.encode, networks), classes).items():
        (folder / name).write_bytes(content)
    return folder


def _through_command(outcome: Outcome, folder: Path, out: Path, model: Path) -> None:
    limits = ["--max-pixels", str(_LIMITS["pixels"]), "--max-seconds", str(_LIMITS["seconds"])]
    words = [sys.executable, "-m", "ced", "restore", str(folder), "-o", str(out), "--model", str(model), *limits]
    names = sorted(path.name for path in folder.iterdir())
    answered: dict[str, str] = {}
    for line in _watched(words, outcome):
        if (told := _LEFT_OUT.match(line)) and told[2] in REASONS:
            answered[told[1].rpartition("/")[2]] = told[2]
        elif not _EXPECTED.match(line) and line.partition(": ")[0].rpartition("/")[2] not in names:  # a warning
            outcome.lost.append(f"{folder.name}: printed {line[:200]!r}")
    for name in names:
        restored = (out / name).with_suffix(".png").is_file()
        if restored == (name in answered):
            outcome.lost.append(f"{folder.name}/{name}: {'two answers' if restored else 'no answer'}")
    outcome.files += len(names)
    outcome.restored += len(names) - len(answered)
    outcome.refused.update(answered.values())


def _through_model(outcome: Outcome, folder: Path, model: Path) -> None:
    limits = [str(limit) for limit in _LIMITS.values()]
    words = [sys.executable, "-W", "ignore", "-c", _SERVED, str(folder), str(model), *limits]
    names = {path.name for path in folder.iterdir()}
    for line in _watched(words, outcome):
        if not line.startswith("["):
            outcome.lost.append(f"{folder.name}: printed {line[:200]!r}")
            continue
        name, message = json.loads(line)
        names.discard(name)
        outcome.files += 1
        reason = re.search(r"^image cannot be restored: .+ \(([a-z ]+)\)$", message)
        if not message:
            outcome.restored += 1
        elif reason and reason[1] in REASONS:
            outcome.refused[reason[1]] += 1
        else:
            outcome.lost.append(f"{folder.name}/{name}: {message[:200]!r}")
    outcome.lost += [f"{folder.name}/{name}: no answer" for name in names]


def _watched(words: list[str], outcome: Outcome) -> Iterator[str]:
    """Run a program, and give the lines that it printed. It is ended where it takes too much memory, or for too long
    says and writes nothing."""
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(words, stdout=printed, stderr=printed, stdin=subprocess.DEVNULL)
        last, before = time.monotonic(), 0
        while process.poll() is None:
            time.sleep(0.05)
            outcome.peak = max([outcome.peak, *_peaks(process.pid)])
            size = printed.seek(0, 2) + _written(words)
            waited, most = time.monotonic() - last, SECONDS if before else _START
            if before:
                outcome.slowest = max(outcome.slowest, waited)
            if size != before:
                last, before = time.monotonic(), size
            if outcome.peak > MEMORY or waited > most:
                process.kill()
                why = "memory" if outcome.peak > MEMORY else "time"
                outcome.lost.append(f"{words[-1]}: ended for {why}")
        if process.returncode not in (0, 2):
            outcome.lost.append(f"{words[-1]}: exit status {process.returncode}")
        printed.seek(0)
        lines = printed.read().decode(errors="replace").splitlines()
    yield from (line for line in lines if line.strip())


def _written(words: list[str]) -> int:
    """The files that the command has written."""
    if "-o" not in words:
        return 0
    out = Path(words[words.index("-o") + 1])
    return sum(1 for _ in out.iterdir()) if out.is_dir() else 0


def _peaks(pid: int) -> list[int]:
    """The most memory that a process and its children have held, in bytes."""
    found = []
    try:
        children = [
            child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
        ]
        for each in (str(pid), *children):
            status = Path(f"/proc/{each}/status").read_text()
            found += [int(peak) * 1024 for peak in re.findall(r"VmHWM:\s+(\d+) kB", status)]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def main(seed: int = 0, count: int = 10_000) -> int:
    """Print the rows, and a line for both. Returns how many files were lost."""
    with tempfile.TemporaryDirectory(prefix="ced-faults-") as temporary:
        outcomes = run(count, seed, Path(temporary))
    print(HEAD, *(outcome.row() for outcome in outcomes), sep="\n")
    for outcome in outcomes:
        print(*(f"lost: {name}" for name in outcome.lost), sep="\n", end="\n" if outcome.lost else "")
    lost = sum(len(outcome.lost) for outcome in outcomes)
    ways = "; ".join(
        f"{outcome.way}: {outcome.restored:,} restored, {sum(outcome.refused.values()):,} refused in a line, at most "
        f"{outcome.peak / 2**20:,.0f} MiB and {outcome.slowest:.0f} s"
        for outcome in outcomes
    )
    print(f"files: {count:,} each way; {ways}; {lost} lost")
    return lost


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
