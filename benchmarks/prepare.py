"""How fast prepare is, as ratios within one run: against its floor, a user's own script, and itself on fewer workers.

    python benchmarks/prepare.py --images PHOTOGRAPHS [--count 10000]

The photographs are repeated under new names (symbolic links) until there are `--count` of them. In one go, with all
cores and the same links:

  floor    decode + resize + JPEG of the image and its flip, in a bare process pool; nothing is written
  script   what a user would write: a pool, Pillow and scipy.fft.dctn an image, all coefficients kept, numpy.quantile
  ced      `ced prepare --recipe paper`: photographs to labelled Parquet

`ced` is timed twice: as a command, Ray's start counted, and inside a Ray that is there and has run a few photographs
before. Each round measures all of them, and the medians of the rounds are compared.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as Ray gives its tasks: the processes are what runs in parallel

import numpy as np
from PIL import Image
from scipy.fft import dctn

from ced.cluster import connection
from ced.core import jpeg
from ced.core.frequency import laplacian
from ced.core.images import luminance
from ced.data import edges, label, prepare, sources
from ced.pipeline.session import session
from ced.recipes import configure
from ced.store.outputs import Store
from ced.store.session import Session

SIZE, QUALITY = 96, 10
CORES = len(os.sched_getaffinity(0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR", help="photographs, repeated until there are enough")
    parser.add_argument("--count", type=int, default=10_000, help="photographs (default 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (default 3)")
    parser.add_argument("--scratch", metavar="DIR", help="where outputs go and are removed again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch, prefix="ced-benchmark-") as scratch:
        source = repeated(arguments.images, arguments.count, Path(scratch, "photographs"))
        compare(source, arguments.count, arguments.rounds, Path(scratch))


def repeated(images: str, count: int, folder: Path) -> Path:
    """A folder of `count` links to the photographs of `images`."""
    paths = [Path(photograph.path) for photograph in sources.find((images,))]
    for number in range(count):
        path, below = paths[number % len(paths)], folder / f"{number // len(paths):04d}"
        below.mkdir(parents=True, exist_ok=True)
        (below / path.name).symlink_to(path)
    return folder


def compare(source: Path, count: int, rounds: int, scratch: Path) -> None:
    """Everything, `rounds` times, and the ratios of the medians."""
    paths = sorted(str(path) for path in source.glob("*/*"))
    ways: dict[str, Callable[[Path], float]] = {
        "floor": lambda _: floor(paths),
        "script": lambda _: script(paths),
        "ced, Ray's start counted": lambda store: command(source, store),
        "ced": lambda store: inside(source, store, CORES),
        "ced, 1 worker": lambda store: inside(source, store, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=scratch) as store:
                seconds[name].append(way(Path(store)))
            print(f"round {number + 1}: {name}: {count / seconds[name][-1]:.0f} images a second", flush=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\n{count:,} photographs, {CORES} cores, median of {rounds}")
    for name, value in median.items():
        print(f"  {name:26s} {count / value:7.0f} images a second, {median['floor'] / value:.3f} of the floor")
    print(f"  {CORES} workers against 1: {median['ced, 1 worker'] / median['ced']:.2f} times")


def floor(paths: list[str]) -> float:
    """Seconds of decode + resize + JPEG in a pool whose processes have started."""
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(_floor, paths[:64]))
        started = time.perf_counter()
        for _ in pool.map(_floor, paths, chunksize=64):
            pass
        return time.perf_counter() - started


def _floor(path: str) -> None:
    with Image.open(path) as image:
        square = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    plane = luminance(np.asarray(square))
    jpeg.encode(plane, QUALITY)
    jpeg.encode(np.ascontiguousarray(plane[:, ::-1]), QUALITY)


def script(paths: list[str]) -> float:
    """Seconds of the obvious script, from paths to edges and labels in memory."""
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(_script, paths[:64]))
        started = time.perf_counter()
        coefficients = np.concatenate(list(pool.map(_script, paths, chunksize=64)), axis=1)
        edges_of = np.stack([np.quantile(q, np.arange(1, 7) / 7, method="inverted_cdf") for q in coefficients])
        for q, edge in zip(coefficients, edges_of, strict=True):
            np.searchsorted(edge, q, side="left").astype(np.uint8)
        return time.perf_counter() - started


def _script(path: str) -> np.ndarray:
    with Image.open(path) as image:
        square = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    plane = luminance(np.asarray(square))
    both = []
    for version in (plane, plane[:, ::-1]):
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(version)).save(stream, "JPEG", quality=QUALITY)
        np.asarray(Image.open(stream))
        patches = laplacian(version).reshape(SIZE // 4, 4, SIZE // 4, 4).astype(np.float32)
        both.append(dctn(patches, axes=(1, 3), norm="ortho").transpose(1, 3, 0, 2).reshape(16, -1))
    return np.concatenate(both, axis=1)


def command(source: Path, store: Path) -> float:
    """Seconds of the command, from its start to its end."""
    line = [sys.executable, "-m", "ced", "prepare", "--recipe", "paper", "--images", str(source), "--store", str(store)]
    started = time.perf_counter()
    subprocess.run(line, check=True, capture_output=True)
    return time.perf_counter() - started


def inside(source: Path, store: Path, workers: int) -> float:
    """Seconds of the three stages on a Ray that is there and whose workers have begun to work."""
    with _ray(store / "warm", source / "0000", workers):
        started = time.perf_counter()
        _stages(str(source), store / "timed", workers)
        return time.perf_counter() - started


@contextmanager
def _ray(store: Path, few: Path, workers: int) -> Iterator[None]:
    with session(str(store)):
        connection.ensure()
        _stages(str(few), store, workers)
        yield


def _stages(source: str, root: Path, workers: int) -> None:
    config = configure("paper", [source])
    store = Store(root)
    prepared = prepare.run(config.prepare, config.images, Session(store, workers))
    classes = edges.run(config.classes, prepared, Session(store, workers))
    label.run(prepared, classes, Session(store, workers))


if __name__ == "__main__":
    main()
