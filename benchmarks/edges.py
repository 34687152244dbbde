"""Exact edges of equal-count classes: ced's mergeable summary against numpy.quantile and DuckDB, time and memory.

    python benchmarks/edges.py --images PHOTOGRAPHS [--count 1000 --count 10000 --count 50000]

All get the same coefficients: those of `ced prepare --recipe paper` on the photographs, repeated until there are
`--count` of them, flips included, written once as 16 columns of float32 (for DuckDB as Parquet, which it reads best).
Each runs in a process of its own, which reads them, finds the 6 edges of each of the 16 channels, and tells its
seconds and its peak memory. ced uses as many processes as there are cores, and finds the class means as well; DuckDB as
many threads. The edges have to be the same to the last bit, or the benchmark fails.

The stage itself is spared most of this: where a flip is its image's mirror, it counts the image's coefficients twice.
Here ced is given every single one.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced.core import classes
from ced.core.frequency import CHANNELS, MIRROR, by_channel, coefficients
from ced.core.images import decode, luminance
from ced.core.quantiles import Coarse, Fine
from ced.data import sources

CORES = len(os.sched_getaffinity(0))
SIZE, EVENLY = 96, np.arange(1, 7) / 7
CHUNK = 1 << 17  # values of a channel read at a time by ced


def main() -> None:
    """Measure and print; or, in a child, run one peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", metavar="DIR", help="photographs, repeated until there are enough")
    parser.add_argument("--count", type=int, action="append", help="photographs; repeatable (1000, 10000, 50000)")
    parser.add_argument("--scratch", metavar="DIR", help="where the coefficients are written (148 kB a photograph)")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(PEERS[arguments.peer](Path(arguments.scratch))))
        return
    for count in arguments.count or [1000, 10_000, 50_000]:
        with tempfile.TemporaryDirectory(dir=arguments.scratch, prefix="ced-benchmark-") as scratch:
            write(arguments.images, count, Path(scratch))
            compare(count, scratch)


def write(images: str, count: int, folder: Path) -> None:
    """The coefficients of `count` photographs and their flips, as raw columns and as Parquet."""
    planes = np.stack([_plane(photograph) for photograph in sources.find((images,))[:count]])
    columns = [open(folder / f"{channel:02d}.f32", "wb") for channel in range(CHANNELS)]  # noqa: SIM115
    schema = pa.schema([(f"c{channel}", pa.float32()) for channel in range(CHANNELS)])
    with pq.ParquetWriter(folder / "all.parquet", schema, compression="none", use_dictionary=False) as parquet:
        for start in range(0, count, len(planes)):
            q = by_channel(coefficients(planes[: count - start]))
            both = (q, q * MIRROR[:, None].astype(np.float32))  # as the stage's order has it, up to places
            for version in both:
                for column, row in zip(columns, version, strict=True):
                    row.tofile(column)
                parquet.write_table(pa.table(list(version), schema))
    for column in columns:
        column.close()
    os.sync()  # or the first to be timed shares the machine with the writing


def _plane(photograph: sources.Photograph) -> np.ndarray:
    image = decode(sources.read(photograph))
    return luminance(np.asarray(image.resize((SIZE, SIZE), 3)))


def compare(count: int, folder: str) -> None:
    """Every peer in a process of its own."""
    answers = {}
    for name in PEERS:
        line = [sys.executable, __file__, "--peer", name, "--scratch", folder]
        answers[name] = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    edges = answers["numpy.quantile"].pop("edges")
    print(f"\n{count:,} photographs and their flips, {count * 2 * SIZE * SIZE:,} coefficients, {CORES} cores")
    for name, answer in answers.items():
        if answer.pop("edges", edges) != edges:
            sys.exit(f"{name} found other edges than numpy.quantile")
        slower = answer["seconds"] / answers["ced"]["seconds"]
        print(f"  {name:16s} {answer['seconds']:7.2f} s = {slower:5.2f} x ced, peak memory {answer['memory']:6,.0f} MB")


def _ours(folder: Path) -> dict[str, object]:
    started = time.perf_counter()
    with ProcessPoolExecutor(CORES) as pool:
        pieces = [(folder, worker) for worker in range(CORES)]
        coarse = Coarse.empty(CHANNELS)
        for summary in pool.map(_coarse, pieces):
            coarse.merge_bytes(summary)
        bins = classes.wanted_bins(coarse, 7)
        fine = Fine.empty(bins)
        for summary in pool.map(partial(_fine, bins), pieces):
            fine.merge_bytes(summary)
        fitted = classes.fit(coarse, fine, 7)
    seconds = time.perf_counter() - started
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"edges": fitted.edges.tolist(), "seconds": seconds, "memory": (_memory() * 1e3 + CORES * workers) / 1e3}


def _coarse(piece: tuple[Path, int]) -> bytes:
    summary = Coarse.empty(CHANNELS)
    for values in _chunks(*piece):
        summary.update(values)
    return summary.to_bytes()


def _fine(bins: np.ndarray, piece: tuple[Path, int]) -> bytes:
    summary = Fine.empty(bins)
    for values in _chunks(*piece):
        summary.update(values)
    return summary.to_bytes()


def _chunks(folder: Path, worker: int) -> Iterator[np.ndarray]:
    """Every CORES-th chunk of all columns, in one array that is filled anew."""
    values = np.empty((CHANNELS, CHUNK), np.float32)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(folder / f"{c:02d}.f32", "rb", buffering=0)) for c in range(CHANNELS)]
        size = os.fstat(files[0].fileno()).st_size // 4
        for start in range(worker * CHUNK, size, CORES * CHUNK):
            count = min(CHUNK, size - start)
            for file, row in zip(files, values, strict=True):
                file.seek(4 * start)
                file.readinto(row[:count])
            yield values[:, :count]


def _numpy(folder: Path) -> dict[str, object]:
    started = time.perf_counter()
    columns = (np.fromfile(folder / f"{channel:02d}.f32", np.float32) for channel in range(CHANNELS))
    edges = [np.quantile(q, EVENLY, method="inverted_cdf").tolist() for q in columns]
    return {"edges": edges, "seconds": time.perf_counter() - started, "memory": _memory()}


def _duckdb(folder: Path) -> dict[str, object]:
    import duckdb

    started = time.perf_counter()
    wanted = ", ".join(f"quantile_disc(c{c}, {EVENLY.tolist()})" for c in range(CHANNELS))
    with duckdb.connect(config={"threads": CORES}) as connection:
        row = connection.execute(f"select {wanted} from '{folder}/all.parquet'").fetchone()
    assert row is not None
    edges = [[float(np.float32(edge)) for edge in channel] for channel in row]
    return {"edges": edges, "seconds": time.perf_counter() - started, "memory": _memory()}


def _memory() -> float:
    """Peak of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


PEERS = {
    "ced": _ours,
    "numpy.quantile": _numpy,
    "DuckDB": _duckdb,
}

if __name__ == "__main__":
    main()
