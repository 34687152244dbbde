"""The plain training loop under Ray Train: one worker or many, with the same outcome.

The loop keeps its own checkpoints in its output folder, which all workers share; Ray Train gives it workers,
their process group, and starts them again where one is lost. A run's scratch goes with the run.
"""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ced import errors
from ced.adapters import ray_cluster
from ced.config import ClusterConfig
from ced.errors import CedError, OutputError, TrainingError
from ced.training.job import TrainJob

_RESTARTS = 3  # of the workers, after one is lost
_FAILURE = ".failure.json"  # why a worker gave up, in the output folder


class RayContext:
    """The worker's surroundings as Ray Train sets them up (`ced.training.context.WorkerContext`)."""

    def __init__(self) -> None:
        import ray.train
        import ray.train.torch

        context = ray.train.get_context()
        self.rank: int = context.get_world_rank()
        self.world: int = context.get_world_size()
        self.device: torch.device = ray.train.torch.get_device()

    def prepare(self, module: nn.Module) -> nn.Module:
        """The module on the worker's device, its gradients averaged over all workers."""
        import ray.train.torch

        prepared: nn.Module = ray.train.torch.prepare_model(module)
        return prepared

    def report(self, metrics: dict[str, float]) -> None:
        """Tell Ray Train; all workers meet here."""
        import ray.train

        ray.train.report(metrics)


def fit(job: TrainJob, cluster: ClusterConfig) -> None:
    """Train `job` on `cluster.train_workers` workers. Raises the CedError that ended a worker, or TrainingError."""
    ray_cluster.ensure()
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    scratch = Path(job.out, ".ray-train")  # Ray Train wants a folder that all nodes share
    threads = cluster.threads_per_worker or _threads(cluster.train_workers)
    gpus = {"GPU": cluster.gpus_per_worker} if cluster.gpus_per_worker else {}
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"job": job, "threads": threads},
        scaling_config=ScalingConfig(
            num_workers=cluster.train_workers,
            use_gpu=bool(gpus),
            resources_per_worker={"CPU": min(threads, 1), **gpus},
        ),
        # A name of its own for each run: a name used before would silently resume that run.
        run_config=RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(scratch.resolve()),
            failure_config=FailureConfig(max_failures=_RESTARTS),
        ),
    )
    failure = Path(job.out, _FAILURE)
    failure.unlink(missing_ok=True)
    try:
        trainer.fit()
    except Exception as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise _read(failure) or TrainingError(f"training {job.model} failed on a worker: {told}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    noted = _read(failure)
    if noted is not None:
        raise noted


def _worker(config: dict[str, Any]) -> None:
    """What each worker runs. A mistake outside the program would only come again, so no worker is started for it."""
    from ced.training.loop import train

    job: TrainJob = config["job"]
    torch.set_num_threads(config["threads"])
    context = RayContext()
    try:
        train(job, context)
    except CedError as error:
        try:
            Path(job.out, _FAILURE).write_text(json.dumps({"kind": type(error).__name__, "text": str(error)}))
        except OSError:
            raise error from None
        # All workers meet the same mistake, but for a full disk: only rank 0 writes, and the others wait for it.
        if isinstance(error, OutputError) and context.world > 1:
            raise


def _read(path: Path) -> CedError | None:
    if not path.exists():
        return None
    noted = json.loads(path.read_text())
    kind: type[CedError] = getattr(errors, noted["kind"], TrainingError)
    return kind(noted["text"])


def _threads(workers: int) -> int:
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)) // workers)
