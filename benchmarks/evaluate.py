"""Evaluation against the methods it evaluates: how much of the time is spent outside them, and images a second of jpeg.

    python benchmarks/evaluate.py --images LIVE1 [--recipe small] [--quality 10 --quality 20]

The restorers are of the recipe's size with random weights: their speed is that of trained ones. Each row is a whole
evaluation without its report: reading and decoding the images, JPEG, the methods, all measures, spectra, Parquet, and
pooling at the end. "outside" is what is left of that time with one worker when the methods' own seconds are taken
away; jpeg as a method takes none. With all cores, some of them idle while the last images are restored, and that
counts too. Ray's start and that of its workers are left out by a first small job.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from ced.cluster import connection
from ced.cluster.parts import Row, run_tasks
from ced.config import Config, EvaluateConfig
from ced.core.classes import Classes
from ced.data import sources
from ced.evaluation import evaluate
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.recipes import RECIPES
from ced.restoration import restorer
from ced.store.outputs import Store
from ced.store.session import Session

CORES = len(os.sched_getaffinity(0))
ALL = ("jpeg", "ed", "ced-est", "ced-gt")
CLASSES = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR", help="test images")
    parser.add_argument("--recipe", default="small", choices=RECIPES, help="whose networks (small)")
    parser.add_argument("--quality", type=int, action="append", help="JPEG quality factor; repeatable (10 and 20)")
    arguments = parser.parse_args()
    qualities = tuple(arguments.quality or (10, 20))
    config = RECIPES[arguments.recipe]()
    count = len(sources.find((arguments.images,)))
    with tempfile.TemporaryDirectory(prefix="ced-benchmark-") as scratch, connection.session(connection.LOCAL):
        folders = {method: write(method, config, Path(scratch, method)) for method in ALL if method != "jpeg"}
        list(run_tasks(_nothing, [{"number": number} for number in range(4 * CORES)]))
        print(f"{count} images, quality {qualities}, networks of {arguments.recipe}, {CORES} cores\n")
        for methods in (("jpeg",), ALL):
            texts = tuple(f"{method}={folders[method]}" if method in folders else method for method in methods)
            wanted = EvaluateConfig(methods=texts, qualities=qualities, pictures=0)
            for workers in (1, CORES):
                _row(wanted, arguments.images, Path(scratch, f"{len(methods)}-{workers}"), count, workers)


def write(method: str, config: Config, folder: Path) -> Path:
    """A restorer with random weights."""
    torch.manual_seed(0)
    autoencoder = weights.encode(AutoEncoder(config.network, 1, conditioned=method != "ed"))
    classifier, table = b"", ""
    if method != "ed":
        classifier = weights.encode(Classifier(config.network, 1, CLASSES))
        table = _classes()
    folder.mkdir(parents=True)
    for name, content in restorer.files(method, autoencoder, classifier, table).items():
        (folder / name).write_bytes(content)
    return folder


def _classes() -> str:
    import numpy as np

    from ced.core import classes
    from ced.core.quantiles import Coarse, Fine

    q = np.random.default_rng(0).normal(0, 20, (16, 4096)).astype(np.float32)
    coarse = Coarse.of(q)
    table: Classes = classes.fit(coarse, Fine.of(q, classes.wanted_bins(coarse, CLASSES)), CLASSES)
    return table.to_json()


def _row(config: EvaluateConfig, images: str, scratch: Path, count: int, workers: int) -> None:
    started = time.perf_counter()
    output = evaluate.run(config, images, {}, Session(Store(scratch), workers))
    seconds = time.perf_counter() - started
    inside = sum(row["seconds"] for row in evaluate.per_image(output))
    restored = count * len(config.qualities)
    share = 1 - inside / (seconds * workers)
    each = (seconds * workers - inside) / restored / len(config.names)
    print(
        f"{', '.join(config.names)}, {workers} at a time: {seconds:.1f} s, {restored / seconds:.1f} images a second, "
        f"outside the methods {share:.1%}, {each * 1e3:.0f} ms of a core for each image and method"
    )


def _nothing(row: Row) -> Row:
    import torch  # noqa: F401

    import ced.evaluation.evaluate  # noqa: F401 - what a worker imports once

    time.sleep(0.2)
    return row


if __name__ == "__main__":
    main()
