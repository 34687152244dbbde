"""Restoring one megapixel: ced's networks of each size against AR-CNN's, DnCNN's and Galteri's published shapes.
And, with --images, restoring files: one core, more of them, and Ray.

    python benchmarks/restore.py [--sizes quickstart,small,medium] [--repetitions 5] [--device cpu] [--threads 1]
    python benchmarks/restore.py --images PHOTOGRAPHS [--count 1000] [--side 256] [--quality 20] [--repetitions 3]

Each gets the same 8-bit luminance plane and returns one, through the code that `ced restore` runs. They take turns, so
that whatever else the machine does falls on all of them, and the medians are compared. The weights are random; the time
does not depend on them. Memory is the peak of a process of its own that restores once, less what torch takes by itself.

DnCNN is DnCNN-3's shape (Zhang et al. 2017): 20 convolutions of 3x3, 64 maps, ReLU. Its batch normalization is taken as
merged into the convolutions, and its weights are stored channels last, as all others' are: as its authors publish it,
and with PyTorch's own order in memory, it is slower.

Of files, each photograph's middle of --side pixels is a JPEG first, repeated under new names until there are --count.
Each way restores all of them into a folder of its own, with what comes with ced: `ced restore --workers N` from its
start to its end, and through Ray. Whether the bytes are the same in all folders is printed, too. With onnxruntime (and
onnx, for the export), the peer is what one would write without ced: the same network as ONNX, and a pool of processes.
"""

import argparse
import functools
import hashlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

if "--threads" not in sys.argv:
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ced.bulk.workers import cores
from ced.config import NetworkConfig
from ced.core.images import decode
from ced.data import sources
from ced.models.base import Network, build
from ced.models.blocks import Reach, reaches, to_channels_last
from ced.models.classifier import Classifier, Mapping
from ced.recipes import RECIPES
from ced.restoration.family import FAITHFUL
from ced.restoration.restorer import Restorer

Restore = Callable[[np.ndarray], np.ndarray]
PEER = "onnxruntime and a pool"  # of files
PEERS = ("AR-CNN", "DnCNN", "Galteri-MSE")


class DnCNN(Network):
    """DnCNN-3: 20 convolutions, the result subtracted from the image."""

    def __init__(self) -> None:
        super().__init__(channels=1)
        middle = [layer for _ in range(18) for layer in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True))]
        first = [nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*first, *middle, nn.Conv2d(64, 1, 3, padding=1))

    @property
    def reaches(self) -> tuple[Reach, ...]:
        return reaches(*self.layers)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.layers(x)


class Cost(NamedTuple):
    """Of everything that runs at test time."""

    parameters: int
    multiply_adds: int  # a megapixel


def main() -> None:
    """Measure and print; or, in a child, restore once and tell the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="quickstart,small,medium", help="recipes whose networks are timed")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--images", metavar="DIR", help="restore files made of these photographs instead")
    parser.add_argument("--count", type=int, default=1000, help="of files (1000)")
    parser.add_argument("--quality", type=int, default=20, help="factor of the files (20)")
    parser.add_argument("--side", type=int, default=1000, help="of the square image, pixels (1000)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (1)")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--pool", nargs=3, metavar=("FILES", "OUT", "MODEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pool:
        _restore_by_pool(*map(Path, arguments.pool))
        return
    if arguments.images:
        compare_files(arguments)
        return
    torch.set_num_threads(arguments.threads)
    plane = np.random.default_rng(0).integers(0, 256, (1, arguments.side, arguments.side), np.uint8)
    if arguments.memory_of:
        print(json.dumps(_peak(arguments.memory_of, arguments.device, plane)))
        return
    names = [*filter(None, arguments.peers.split(","))]
    names += [f"{recipe} {method}" for recipe in arguments.sizes.split(",") for method in ("ED", "CED-GT")]
    seconds = measure({name: _restorer(name, arguments.device) for name in names}, plane, arguments.repetitions)
    memory = {name: _memory(name, arguments) for name in names} if arguments.device == "cpu" else {}
    print(
        f"{plane.size / 1e6:g} megapixels, {arguments.device}, {arguments.threads} threads, torch {torch.__version__}"
    )
    report(names, seconds, memory, plane.size / 1e6)


def compare_files(arguments: argparse.Namespace) -> None:
    """Files a second of each way, in turns; the medians are printed."""
    with tempfile.TemporaryDirectory(prefix="ced-benchmark-") as scratch:
        source, out = _files(arguments, Path(scratch, "files")), Path(scratch, "restored")
        ours = [sys.executable, "-m", "ced", "restore", str(source), "-o", str(out), "--faithful"]
        ways = {f"{count} core{'s' * (count > 1)}": [*ours, "--workers", str(count)] for count in {1, cores()}}
        ways["Ray"] = [*ours, "--ray-address", "local"]
        if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
            ways[PEER] = [sys.executable, __file__, "--pool", str(source), str(out), _exported(Path(scratch))]
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.repetitions):
            digests = {}
            for name, line in ways.items():
                started = time.perf_counter()
                subprocess.run(line, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - started)
                found = [path.read_bytes() for path in sorted(out.glob("*.png"))]
                assert len(found) == arguments.count
                if name != PEER:
                    digests[name] = hashlib.sha256(b"".join(found)).hexdigest()
                shutil.rmtree(out)
            print("the same bytes by all ways" if len(set(digests.values())) == 1 else f"other bytes: {digests}")
    first = median(seconds["1 core"])
    print(
        f"{arguments.count:,} files of {arguments.side}x{arguments.side} pixels at quality factor {arguments.quality}"
    )
    print("| way | files a second | against 1 core |\n| --- | ---: | ---: |")
    for name, taken in seconds.items():
        print(f"| {name} | {arguments.count / median(taken):.2f} | {first / median(taken):.2f} |")


def _files(arguments: argparse.Namespace, folder: Path) -> Path:
    folder.mkdir()
    listed = sources.find((arguments.images,))
    for number in range(arguments.count):
        image = decode(sources.read(listed[number % len(listed)]))
        side = min(arguments.side, *image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image.crop((left, top, left + side, top + side)).save(folder / f"{number:06d}.jpg", quality=arguments.quality)
    return folder


def _exported(folder: Path) -> str:
    """The network of `ced restore --faithful` as ONNX, for images of any size."""
    path, sides = folder / "faithful.onnx", {2: "height", 3: "width"}
    torch.onnx.export(
        Restorer.load(FAITHFUL).autoencoder, (torch.zeros(1, 3, 64, 64),), str(path), dynamo=False,
        input_names=["x"], output_names=["y"], dynamic_axes={"x": sides, "y": sides},
    )  # fmt: skip
    return str(path)


def _restore_by_pool(source: Path, out: Path, model: Path) -> None:
    """What one would write without ced: a process for each core, one thread each."""
    out.mkdir()
    with multiprocessing.get_context("spawn").Pool(cores(), _open_session, (model,)) as pool:
        for _ in pool.imap_unordered(functools.partial(_restore_by_session, out), sorted(source.iterdir())):
            pass


def _open_session(model: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    globals()["_session"] = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _restore_by_session(out: Path, path: Path) -> None:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255
    height, width = pixels.shape[2:]
    padded = np.pad(pixels, [(0, 0), (0, 0), (0, -height % 4), (0, -width % 4)], "edge")
    restored = globals()["_session"].run(None, {"x": padded})[0][0, :, :height, :width].transpose(1, 2, 0)
    Image.fromarray((restored * 255).round().clip(0, 255).astype(np.uint8)).save(out / f"{path.stem}.png")


def measure(restorers: dict[str, Restore], plane: np.ndarray, repetitions: int) -> dict[str, list[float]]:
    """Seconds of each, taking turns; the first turn is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in restorers}
    for turn in range(repetitions + 1):
        for name, restore in restorers.items():
            started = time.perf_counter()
            restore(plane)  # its result is on the CPU: a GPU has finished
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def report(names: list[str], seconds: dict[str, list[float]], memory: dict[str, float], megapixels: float) -> None:
    """The table, in Markdown."""
    peers = [name for name in ("DnCNN", "AR-CNN") if name in names]
    compared = "".join(f"{peer} / it | " for peer in peers)
    print(f"| network | parameters | G multiply-adds a megapixel | s a megapixel | {compared}memory, MB |")
    print("| --- |" + " ---: |" * (4 + len(peers)))
    middles = {name: median(seconds[name]) / megapixels for name in names}
    for name in names:
        cost = _cost(name)
        ratios = "".join(f"{middles[peer] / middles[name]:.1f} | " for peer in peers)
        spread = f"{min(seconds[name]) / megapixels:.3f} to {max(seconds[name]) / megapixels:.3f}"
        peak = f"{memory[name]:,.0f}" if name in memory else ""
        print(f"| {name} | {cost.parameters:,} | {cost.multiply_adds / 1e9:.1f} | {middles[name]:.3f} ({spread}) | "
              f"{ratios}{peak} |")  # fmt: skip


def _parts(name: str) -> list[Network]:
    """What runs at test time: the network that restores, and C before it where it has one."""
    if name == "DnCNN":
        return [DnCNN()]
    if name in PEERS:
        return [build({"AR-CNN": "arcnn"}.get(name, "galteri-mse"), NetworkConfig(), 1, 7)]
    recipe, method = name.split()
    config = RECIPES[recipe]()
    wanted = [method.lower()] + ["classifier"] * (method != "ED")
    return [build(model, config.network, 1, config.classes.count) for model in wanted]


def _cost(name: str) -> Cost:
    with torch.device("meta"):
        sizes = [part.size() for part in _parts(name)]
    return Cost(sum(one.parameters for one in sizes), sum(one.multiply_adds_per_megapixel for one in sizes))


def _restorer(name: str, device: str) -> Restore:
    parts = [part.to(device).eval() for part in _parts(name)]
    for part in parts:
        to_channels_last(part)
    if name == "DnCNN":
        network = parts[0]

        @torch.inference_mode()
        def restore(plane: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(plane).to(device).unsqueeze(0).float().div_(255)
            restored = network(x)[0].mul_(255).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()
            return restored  # type: ignore[no-any-return]

        return restore
    if len(parts) == 1:
        return Restorer(name, parts[0]).restore_planes
    autoencoder, classifier = parts
    assert isinstance(classifier, Classifier)
    table = np.sort(np.random.default_rng(0).normal(size=(16, classifier.classes)).astype(np.float32))
    mapping = Mapping(table, np.ones(16, np.float32)).to(device)
    return Restorer(name, autoencoder, classifier, mapping).restore_planes


def _memory(name: str, arguments: argparse.Namespace) -> float:
    options = ["--memory-of", name, "--side", str(arguments.side), "--threads", str(arguments.threads)]
    line = [sys.executable, __file__, "--device", "cpu", *options]
    return float(json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout))


def _peak(name: str, device: str, plane: np.ndarray) -> float:
    """MB."""
    restore = _restorer(name, device)
    restore(plane[:, :16, :16])
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _resident("VmRSS")
    restore(plane)
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    """MB, as Linux counts this process alone: getrusage's peak is that of the parent before it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1e3 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
