"""The worker's surroundings: all that the loop knows of what runs it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ced.config import ClusterConfig
from ced.errors import ConfigError, first_line
from ced.training.prefetch import ahead

Piece = dict[str, NDArray[np.uint8]]  # some examples: input, target, labels
Read = Callable[[int], Iterator[Piece]]  # the examples at a position of the stream

PIECE = 32 << 20  # bytes of a piece, about


def usable(device: str | torch.device) -> torch.device:
    """The device of that name. Raises ConfigError where there is none, or none that torch can use here."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
        if found.type == "meta":
            raise RuntimeError("it holds no values")
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts that it has it
        reason = first_line(error, 120)
        raise ConfigError(f"device {str(device)!r} cannot be used here ({reason}); use cpu, cuda or cuda:N") from None
    return found


class WorkerContext(Protocol):
    """Rank, device, and ways to wrap the network and to report."""

    @property
    def rank(self) -> int:
        """This worker among `world`; 0 writes the files."""

    @property
    def world(self) -> int:
        """How many workers; above 1 they share torch's default process group."""

    @property
    def device(self) -> torch.device:
        """Where this worker computes."""

    @property
    def cluster(self) -> ClusterConfig:
        """How much of the machine to use."""

    def prepare(self, module: nn.Module) -> nn.Module:
        """`module` with its gradients averaged over all workers; the parameters stay the same objects."""

    def stream(self, read: Read, positions: Sequence[int], size: int) -> AbstractContextManager[Iterator[Piece]]:
        """What `read` gives for each of `positions`, in their order, read ahead; `size` is about how many bytes each
        gives. Ends with the block."""

    def stopping(self) -> bool:
        """Whether whoever runs the workers wishes them to save and leave."""

    def report(self, metrics: dict[str, float]) -> None:
        """Told the metrics of a step; every worker calls it at the same steps."""


class PlainContext:
    """Plain torch: one process, or the processes that torchrun started."""

    def __init__(
        self,
        device: str | torch.device,
        rank: int = 0,
        world: int = 1,
        tell: Callable[[dict[str, float]], None] | None = None,
        cluster: ClusterConfig | None = None,
    ) -> None:
        """`tell` is given each report, on rank 0. Raises ConfigError for a device that this machine lacks."""
        self.device = usable(device)
        self.rank, self.world = rank, world
        self.cluster = cluster or ClusterConfig()
        self._tell = tell

    @classmethod
    @contextlib.contextmanager
    def launched(
        cls, tell: Callable[[dict[str, float]], None] | None = None, cluster: ClusterConfig | None = None
    ) -> "Iterator[PlainContext]":
        """The context of a process that torchrun started, or else of a lone one; on the GPU where there is one."""
        if not distributed.is_torchelastic_launched():
            yield cls("cuda" if torch.cuda.is_available() else "cpu", tell=tell, cluster=cluster)
            return
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", distributed.get_node_local_rank())
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield cls(device, distributed.get_rank(), distributed.get_world_size(), tell, cluster)
        finally:
            distributed.destroy_process_group()

    def prepare(self, module: nn.Module) -> nn.Module:
        """`module` itself in one process, else its distributed wrapper."""
        return DistributedDataParallel(module) if self.world > 1 else module

    def stream(self, read: Read, positions: Sequence[int], size: int) -> AbstractContextManager[Iterator[Piece]]:
        """Read by a thread of this process, one position ahead."""
        return ahead((piece for position in positions for piece in read(position)), 1 + size // PIECE)

    def stopping(self) -> bool:
        """A process of its own is told by signals."""
        return False

    def report(self, metrics: dict[str, float]) -> None:
        """Pass the metrics on to whoever listens."""
        if self.rank == 0 and self._tell is not None:
            self._tell(metrics)
