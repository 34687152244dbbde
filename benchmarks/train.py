"""How fast training is, as ratios within one run: the real job against its step alone, and two Ray workers against one.

    python benchmarks/train.py --images PHOTOGRAPHS [--recipe small] [--model ed] [--device cuda] [--ray] [--compile]

In one go, on the same examples, in turns:

  step        the training step again and again on one batch that is on the device already
  device      labelled Parquet -> loader -> step, all examples in the device's memory
  stream      the same, the examples read from their parts while it trains
  job         the loop as it is run, from one report to the next: with validation, a checkpoint, and a picture where
              one is due; what it takes until its first step is measured apart

and the share of the machine's measured rate of matrix products that the step reaches. With --ray also one Ray Train
worker with all cores against as many workers as cores with one thread each, from what the workers report.
"""

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as `ced` sets it

import torch
from torch.utils.flop_counter import FlopCounterMode

from ced.cluster import connection
from ced.config import ClusterConfig, Config
from ced.data import edges, label, prepare
from ced.pipeline.session import session
from ced.recipes import configure
from ced.store.outputs import Store
from ced.store.session import Session
from ced.training import ray_train
from ced.training.context import Interrupt, PlainContext
from ced.training.job import TrainJob
from ced.training.objectives import Batch
from ced.training.trainer import Trainer, autocast

CORES = len(os.sched_getaffinity(0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", default="builtin:train", help="training photographs (default: builtin:train)")
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--model", default="ed", choices=["classifier", "ed", "ced-gt"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=40, help="of each way in each round (default 40)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (default 3)")
    parser.add_argument("--ray", action="store_true", help="also Ray Train, one worker and one a core")
    parser.add_argument("--compile", action="store_true", help="also the step compiled by torch.compile")
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value")
    arguments = parser.parse_args()
    config = configure(arguments.recipe, [arguments.images], None, arguments.set)
    with tempfile.TemporaryDirectory(prefix="ced-benchmark-") as scratch, session(scratch):
        job = training_job(config, arguments.model, Path(scratch))
        connection.disconnect()
        compare(job, arguments, Path(scratch))
        if arguments.ray:
            compare_workers(job, arguments, Path(scratch))


def training_job(config: Config, model: str, scratch: Path) -> TrainJob:
    """A training on labelled examples that are made first."""
    store = Store(scratch)
    prepared = prepare.run(config.prepare, config.images, Session(store))
    classes = edges.run(config.classes, prepared, Session(store))
    labelled = label.run(prepared, classes, Session(store))
    settings = config.classifier if model == "classifier" else config.autoencoder
    paths = {"labelled": str(labelled.path), "classes": str(classes.path / edges.FILE), "classifier": ""}
    paths["examples"] = str(label.examples_of(labelled))
    return TrainJob(
        model=model, out="", network=config.network, train=settings, channels=config.prepare.channels, **paths
    )


def compare(job: TrainJob, arguments: argparse.Namespace, scratch: Path) -> None:
    """The ways in turns, and the ratios of their medians."""
    device, batch_size = torch.device(arguments.device), job.train.batch_size
    with ExitStack() as stack:
        ways: dict[str, Callable[[int], float]] = {}
        trainer, batches = started(job, device, ClusterConfig(data="device"), scratch, stack)
        batch = next(batches)
        ways["step"] = lambda steps: seconds(trainer, steps, lambda: batch)
        if arguments.compile:
            compiled, _ = started(job, device, ClusterConfig(data="device", compile=True), scratch, stack)
            ways["step, compiled"] = lambda steps: seconds(compiled, steps, lambda: batch)
        for how in ("device", "stream"):
            fed, source = started(job, device, ClusterConfig(data=how), scratch, stack)
            ways[how] = lambda steps, fed=fed, source=source: seconds(fed, steps, lambda: next(source))
        begun = time.perf_counter()
        running, examples = started(job, device, ClusterConfig(), scratch, stack, steps=job.train.steps)
        start = time.perf_counter() - begun
        ways["job"] = lambda steps: reported_once(running, examples, steps)
        flops, rate = flops_of(trainer, batch), matrix_rate(device)
        took: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way(10)  # warm
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                took[name].append(way(arguments.steps))
    median = {name: statistics.median(values) / arguments.steps for name, values in took.items()}
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"\n{job.model}, {arguments.recipe}, batches of {batch_size}, {where}, median of {arguments.rounds}")
    for name, value in median.items():
        print(f"  {name:16s} {batch_size / value:8.1f} images a second, {median['step'] / value:.3f} of the step alone")
    size = trainer.loader.examples.bytes / 1e6
    print(f"  the job's first step begins after {start:.1f} s ({size:.0f} MB of examples)")
    share = flops / median["step"] / rate
    print(f"  {flops / 1e9:.1f} GFLOP a step, {share:.2f} of the rate of matrix products, {rate / 1e12:.3f} TFLOP/s")


def started(
    job: TrainJob, device: torch.device, cluster: ClusterConfig, scratch: Path, stack: ExitStack, steps: int = 1_000_000
) -> tuple[Trainer, Iterator[Batch]]:
    """A trainer and its batches; the loader ends with `stack`."""
    longer = dataclasses.replace(job.train, steps=steps)
    out = tempfile.mkdtemp(dir=scratch)
    trainer = Trainer(dataclasses.replace(job, out=out, train=longer), Once(device, cluster=cluster))
    return trainer, stack.enter_context(trainer.loader.batches(trainer.context, 0))


def seconds(trainer: Trainer, steps: int, batch: Callable[[], Batch]) -> float:
    """Of `steps` steps."""
    synchronize(trainer.context.device)
    begun = time.perf_counter()
    for _ in range(steps):
        trainer._step(batch())
    synchronize(trainer.context.device)
    return time.perf_counter() - begun


class Once(PlainContext):
    """A context that wishes the training to stop after each report."""

    reported = False

    def report(self, metrics: dict[str, float]) -> None:
        self.reported = True

    def stopping(self) -> bool:
        return self.reported


def reported_once(trainer: Trainer, batches: Iterator[Batch], steps: int) -> float:
    """Seconds of `steps` steps of the loop, from what it takes from one report to the next."""
    trainer.context.reported = False
    before = trainer.state.step
    begun = time.perf_counter()
    trainer._run(batches, Interrupt())
    return (time.perf_counter() - begun) * steps / (trainer.state.step - before)


def flops_of(trainer: Trainer, batch: Batch) -> float:
    """Floating-point operations of the matrix products of a step, forward and backward."""
    with FlopCounterMode(display=False) as counter, autocast(trainer.context.device):
        trainer.objective.step(trainer.network, batch).loss.backward()
    return counter.get_total_flops()


def matrix_rate(device: torch.device) -> float:
    """Floating-point operations a second of a large matrix product in the number format of the step."""
    size, kind = (8192, torch.bfloat16) if device.type == "cuda" else (2048, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        synchronize(device)
        begun = time.perf_counter()
        a @ b
        synchronize(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compare_workers(job: TrainJob, arguments: argparse.Namespace, scratch: Path) -> None:
    """One Ray Train worker with a thread a core against a worker a core, in turns; Ray's start is measured apart."""
    gpus = 1.0 if arguments.device.startswith("cuda") else 0.0
    ways = {
        f"1 worker, {CORES} threads": ClusterConfig(train_workers=1, threads_per_worker=CORES, gpus_per_worker=gpus),
        f"{CORES} workers": ClusterConfig(train_workers=CORES, threads_per_worker=1, gpus_per_worker=gpus),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    starts: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, cluster in ways.items():
            rate, start = reported(job, cluster, arguments.steps, scratch)
            rates[name].append(rate)
            starts[name].append(start)
    connection.disconnect()
    median = {name: statistics.median(values) for name, values in rates.items()}
    single, several = median.values()
    print(f"\nRay Train, {CORES} cores, median of {arguments.rounds}")
    for name, value in median.items():
        start = statistics.median(starts[name])
        print(f"  {name:20s} {value:8.1f} images a second, {start:.1f} s from the call to the first report's steps")
    print(f"  {CORES} workers train {several / single:.2f} times as many images a second as one")


def reported(job: TrainJob, cluster: ClusterConfig, steps: int, scratch: Path) -> tuple[float, float]:
    """Images a second as the workers report them, the first steps left out, and the seconds before these steps."""
    out = Path(tempfile.mkdtemp(dir=scratch))
    each = max(1, steps // 4)
    short = dataclasses.replace(job.train, steps=5 * each, report_every=each)
    begun = time.time()
    ray_train.fit(dataclasses.replace(job, out=str(out), train=short), cluster)
    reports = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    first = reports[0]
    start = first["time"] - begun - each * short.batch_size / first["images_per_second"]
    return statistics.median(report["images_per_second"] for report in reports[1:]), start


if __name__ == "__main__":
    main()
