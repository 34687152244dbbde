"""The plain training loop under Ray Train: one worker or many, with the same outcome.

The loop keeps its own checkpoints in its output folder, which all workers share; Ray Train gives it workers,
their process group, and starts them again where one is lost, with fewer of them where that is allowed and a node is
gone. A run's scratch goes with the run.
"""

import contextlib
import json
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ced import environment, errors
from ced.cluster import connection
from ced.config import ClusterConfig
from ced.errors import CedError, ConfigError, FormatError, OutputError, TrainingError
from ced.training.context import Interrupt, Piece, Read
from ced.training.job import CHECKPOINT, TrainJob

logger = logging.getLogger("ced")

_RESTARTS = 3  # of the workers, after one is lost
_FAILURE = ".failure.json"  # why a worker gave up, in the output folder
_STOP = ".stop"  # there while the workers are asked to save and leave, in the output folder
_POLL = 1.0  # seconds between two looks for it
_LEAVING = 60.0  # seconds that workers get for it
_SETTINGS = {"CPU": "train_workers", "GPU": "gpus_per_worker"}  # the settings that say how much a training wants
_PREFETCHED = 3  # windows of examples read ahead


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
        room = ray.data.ExecutionResources(object_store_memory=_PREFETCHED * size)
        context.execution_options.resource_limits = room
        rows = ray.data.from_items([{"position": position} for position in positions])
        pieces = rows.flat_map(lambda row: read(row["position"]), num_cpus=0, concurrency=1).iter_rows()
        # What lies in the object store is not to be written to, and torch would warn of it.
        yield ({name: np.array(values) for name, values in piece.items()} for piece in pieces)

    def stopping(self) -> bool:
        """Whether the driver asks for it."""
        if time.monotonic() - self._looked > _POLL:
            self._stopping, self._looked = self._stop.exists(), time.monotonic()
        return self._stopping

    def report(self, metrics: dict[str, float]) -> None:
        """Report to Ray Train; all workers meet here."""
        import ray.train

        ray.train.report(metrics)


def fit(job: TrainJob, cluster: ClusterConfig) -> None:
    """Train `job` on `cluster.train_workers` workers, or as few as `cluster.train_workers_least` where there are no
    more. On SIGTERM or Ctrl-C they save and leave.

    Raises the CedError that ended a worker, or TrainingError.
    """
    connection.ensure()
    _check_room(job, cluster)
    scratch = Path(job.out, ".ray-train")  # Ray Train wants a folder that all nodes share
    failure, stop = Path(job.out, _FAILURE), Path(job.out, _STOP)
    for note in (failure, stop):
        note.unlink(missing_ok=True)
    try:
        while not _trained(_trainer(job, cluster, scratch).fit, job, failure, stop):
            logger.info("%s: workers were lost too often at a time; going on from the last checkpoint", job.model)
    finally:
        stop.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
    cause = _read(failure)
    if cause is not None:
        raise cause


def _check_room(job: TrainJob, cluster: ClusterConfig) -> None:
    """Workers that a private instance has no room for would be waited for in silence, for ever. Raises ConfigError."""
    import ray

    least, available = cluster.train_workers_least or cluster.train_workers, ray.cluster_resources()
    wanted = {"CPU": ("cores", float(least)), "GPU": ("GPUs", least * cluster.gpus_per_worker)}
    for resource, (name, count) in wanted.items():
        if count <= available.get(resource, 0):
            continue
        has = f"where Ray has {available.get(resource, 0):g}"
        shortage = f"workers of Ray Train want {name}: {count:g} for {least} of them, {has}"
        if connection.private():
            raise ConfigError(f"{shortage}; lower cluster.{_SETTINGS[resource]}, or name a cluster with --ray-address")
        logger.warning("%s: %s; waiting for the cluster to grow", job.model, shortage)


def _trained(fit: Callable[[], object], job: TrainJob, failure: Path, stop: Path) -> bool:
    """Whether `fit` came to its end. False where workers were lost, but the training had come further meanwhile."""
    before = _written(job)
    try:
        _fit(fit, stop)
    except Exception as error:
        cause = _read(failure)
        if cause is None and _written(job) != before:
            return False
        last_line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise cause or TrainingError(f"training {job.model} failed on a worker: {last_line}") from error
    return True


def _written(job: TrainJob) -> int:
    """When the checkpoint was written, in nanoseconds; 0 where there is none."""
    try:
        return Path(job.out, CHECKPOINT).stat().st_mtime_ns
    except OSError:
        return 0


def _trainer(job: TrainJob, cluster: ClusterConfig, scratch: Path) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    least, most = cluster.train_workers_least or cluster.train_workers, cluster.train_workers
    gpus = {"GPU": cluster.gpus_per_worker} if cluster.gpus_per_worker else {}
    return TorchTrainer(
        _worker,
        train_loop_config={"job": job, "cluster": cluster},
        torch_config=_meeting_in_a_file() if connection.private() else TorchConfig(),
        scaling_config=ScalingConfig(
            num_workers=most if least == most else (least, most),
            use_gpu=bool(gpus),
            resources_per_worker={"CPU": 1, **gpus},
            placement_strategy="PACK" if gpus else "SPREAD",  # on CPU a worker wants a node's cores for itself
        ),
        # A name of its own for each run: a name used before would silently resume that run.
        run_config=RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(scratch.resolve()),
            failure_config=FailureConfig(max_failures=_RESTARTS),
        ),
    )


def _meeting_in_a_file() -> Any:
    """How the workers of one machine find each other: torch's own way is a port that is open to every network."""
    from ray.train.torch import TorchConfig
    from ray.train.torch.config import _set_torch_distributed_env_vars, _setup_torch_process_group, _TorchBackend

    class Backend(_TorchBackend):  # type: ignore[misc]
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            gpus = worker_group.get_resources_per_worker().get("GPU", 0)
            worker_group.execute(_set_torch_distributed_env_vars)
            meeting = f"file://{worker_group.execute_single(0, environment.scratch_file)}"
            count = len(worker_group)
            settings = {"backend": "nccl" if gpus else "gloo", "world_size": count, "init_method": meeting}
            ready = [
                worker_group.execute_single_async(rank, _setup_torch_process_group, world_rank=rank, **settings)
                for rank in range(count)
            ]
            import ray

            ray.get(ready)

    class Config(TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type[Backend]:
            return Backend

    return Config()


def _fit(fit: Callable[[], object], stop: Path) -> None:
    """`fit` in a thread, so that a signal can be passed on to the workers before this process leaves."""
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            fit()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    with Interrupt() as interrupt:
        thread.start()
        while thread.is_alive() and not interrupt.signal:
            thread.join(0.2)
        if interrupt.signal and connection.lost():
            interrupt.leave()
        if interrupt.signal:
            logger.info("stopping: the workers save first, within %.0f s; once more to leave at once", _LEAVING)
            with contextlib.suppress(OSError):
                stop.touch()
            thread.join(_LEAVING)
            interrupt.leave()
    if raised:
        raise raised[0]


def _worker(config: dict[str, Any]) -> None:
    """What each worker runs. A mistake outside the program would only come again, so no worker is started for it."""
    from ced.training.trainer import train

    job: TrainJob = config["job"]
    cluster: ClusterConfig = config["cluster"]
    failure = Path(job.out, _FAILURE)
    if failure.exists():  # a worker gave up for good, and Ray Train started all of them again
        return
    torch.set_num_threads(cluster.threads_per_worker or _threads())
    context = RayContext(cluster, Path(job.out, _STOP))
    try:
        train(job, context)
    except CedError as error:
        try:
            failure.write_text(json.dumps({"kind": type(error).__name__, "text": str(error)}))
        except OSError:
            raise error from None
        # All workers meet the same mistake, but for a full disk (only rank 0 writes), a bad part and too little memory:
        # there the others wait for the one that met it.
        if isinstance(error, OutputError | FormatError | TrainingError) and context.world > 1:
            raise


def _read(path: Path) -> CedError | None:
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    kind: type[CedError] = getattr(errors, stored["kind"], TrainingError)
    return kind(stored["text"])


def _threads() -> int:
    """This node's cores, shared among the workers on it."""
    import ray
    import ray.train

    own = ray.get_runtime_context().get_node_id()
    cores = next(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["NodeID"] == own)
    workers: int = ray.train.get_context().get_local_world_size()
    return max(1, int(cores) // workers)
