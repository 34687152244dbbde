"""The plain training loop under Ray Train: one worker or many, with the same outcome.

The loop keeps its own checkpoints in its output folder, which all workers share; Ray Train gives it workers,
their process group, and starts them again where one is lost, with fewer of them where that is allowed and a node is
gone. A run's scratch goes with the run.
"""

import contextlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ced import errors
from ced.adapters import ray_cluster
from ced.config import ClusterConfig
from ced.errors import CedError, OutputError, TrainingError
from ced.training.context import Piece, Read
from ced.training.interrupt import Interrupt
from ced.training.job import TrainJob

_RESTARTS = 3  # of the workers, after one is lost
_FAILURE = ".failure.json"  # why a worker gave up, in the output folder
_STOP = ".stop"  # there while the workers are wished to save and leave, in the output folder
_LOOK = 1.0  # seconds between two looks for it
_LEAVING = 60.0  # seconds that workers get for it
_AHEAD = 3  # windows of examples read ahead


class RayContext:
    """The worker's surroundings as Ray Train sets them up (`ced.training.context.WorkerContext`)."""

    def __init__(self, cluster: ClusterConfig, stop: Path) -> None:
        import ray.train
        import ray.train.torch

        context = ray.train.get_context()
        self.rank: int = context.get_world_rank()
        self.world: int = context.get_world_size()
        self.device: torch.device = ray.train.torch.get_device()
        self.cluster = cluster
        self._stop, self._looked, self._stopping = stop, time.monotonic(), False

    def prepare(self, module: nn.Module) -> nn.Module:
        """The module on the worker's device, its gradients averaged over all workers."""
        import ray.train.torch

        prepared: nn.Module = ray.train.torch.prepare_model(module)
        return prepared

    @contextlib.contextmanager
    def stream(self, read: Read, positions: Sequence[int], size: int) -> Iterator[Iterator[Piece]]:
        """Read by Ray Data's tasks, on whichever node has room, some windows ahead.

        The tasks ask for no core: where the workers have them all, training would wait for its own data.
        """
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.preserve_order = True
        room = ray.data.ExecutionResources(object_store_memory=_AHEAD * size)
        context.execution_options.resource_limits = room
        rows = ray.data.from_items([{"position": position} for position in positions])
        pieces = rows.flat_map(lambda row: read(row["position"]), num_cpus=0, concurrency=1).iter_rows()
        # What lies in the object store is not to be written to, and torch would warn of it.
        yield ({name: np.array(values) for name, values in piece.items()} for piece in pieces)

    def stopping(self) -> bool:
        """Whether the driver wishes so."""
        if time.monotonic() - self._looked > _LOOK:
            self._stopping, self._looked = self._stop.exists(), time.monotonic()
        return self._stopping

    def report(self, metrics: dict[str, float]) -> None:
        """Tell Ray Train; all workers meet here."""
        import ray.train

        ray.train.report(metrics)


def fit(job: TrainJob, cluster: ClusterConfig) -> None:
    """Train `job` on `cluster.train_workers` workers, or as few as `cluster.train_workers_least` where there are no
    more. On SIGTERM or Ctrl-C they save and leave.

    Raises the CedError that ended a worker, or TrainingError.
    """
    ray_cluster.ensure()
    scratch = Path(job.out, ".ray-train")  # Ray Train wants a folder that all nodes share
    failure, stop = Path(job.out, _FAILURE), Path(job.out, _STOP)
    for note in (failure, stop):
        note.unlink(missing_ok=True)
    trainer = _trainer(job, cluster, scratch)
    try:
        _fit(trainer.fit, stop)
    except Exception as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise _read(failure) or TrainingError(f"training {job.model} failed on a worker: {told}") from error
    finally:
        stop.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
    noted = _read(failure)
    if noted is not None:
        raise noted
