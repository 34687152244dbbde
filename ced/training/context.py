"""The worker's surroundings: all that the trainer knows of what runs it. Rank, device, reading ahead, signals."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ced.config import ClusterConfig
from ced.errors import ConfigError, first_line

Piece = dict[str, NDArray[np.uint8]]  # some examples: input, target, labels
Read = Callable[[int], Iterator[Piece]]  # the examples at a position of the stream
Listener = Callable[[dict[str, float]], None]  # is given the metrics of each report

PIECE = 32 << 20  # bytes of a piece, about
_POLL = 0.1  # seconds after which a prefetching thread looks whether it is still wanted

_Item = TypeVar("_Item")


def checked_device(device: str | torch.device) -> torch.device:
    """The device of that name. Raises ConfigError where there is none, or none that torch can use here."""
    try:
        checked = torch.device(device)
        torch.empty(1, device=checked)
        if checked.type == "meta":
            raise RuntimeError("it holds no values")
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts that it has it
        reason = first_line(error, 120)
        raise ConfigError(f"device {str(device)!r} cannot be used here ({reason}); use cpu, cuda or cuda:N") from None
    return checked


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
        """What `read` gives for each of `positions`, in their order, prefetched until the block ends; each gives about
        `size` bytes."""

    def stopping(self) -> bool:
        """Whether whoever runs the workers asks them to save and leave."""

    def report(self, metrics: dict[str, float]) -> None:
        """Pass on the metrics of a step; every worker calls it at the same steps."""


class PlainContext:
    """Plain torch: one process, or the processes that torchrun started."""

    def __init__(
        self,
        device: str | torch.device,
        rank: int = 0,
        world: int = 1,
        on_report: Listener | None = None,
        cluster: ClusterConfig | None = None,
    ) -> None:
        """`on_report` gets each report, on rank 0. Raises ConfigError for a device that this machine lacks."""
        self.device = checked_device(device)
        self.rank, self.world = rank, world
        self.cluster = cluster or ClusterConfig()
        self._on_report = on_report

    @classmethod
    @contextlib.contextmanager
    def launched(
        cls, on_report: Listener | None = None, cluster: ClusterConfig | None = None
    ) -> "Iterator[PlainContext]":
        """The context of a process that torchrun started, or else of a single one; on the GPU where there is one."""
        if not distributed.is_torchelastic_launched():
            yield cls("cuda" if torch.cuda.is_available() else "cpu", on_report=on_report, cluster=cluster)
            return
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", distributed.get_node_local_rank())
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield cls(device, distributed.get_rank(), distributed.get_world_size(), on_report, cluster)
        finally:
            distributed.destroy_process_group()

    def prepare(self, module: nn.Module) -> nn.Module:
        """`module` itself in one process, else its distributed wrapper."""
        return DistributedDataParallel(module) if self.world > 1 else module

    def stream(self, read: Read, positions: Sequence[int], size: int) -> AbstractContextManager[Iterator[Piece]]:
        """Read by a thread of this process, one position ahead."""
        return prefetched((piece for position in positions for piece in read(position)), 1 + size // PIECE)

    def stopping(self) -> bool:
        """A process of its own hears of it by signals."""
        return False

    def report(self, metrics: dict[str, float]) -> None:
        """Pass the metrics on to whoever listens."""
        if self.rank == 0 and self._on_report is not None:
            self._on_report(metrics)


@contextlib.contextmanager
def prefetched(items: Iterator[_Item], depth: int) -> Iterator[Iterator[_Item]]:
    """`items`, up to `depth` of them taken in advance by a thread, which ends with the block. Errors are raised where
    the item would have come."""
    ready: queue.Queue[tuple[_Item | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, stop), daemon=True)
    thread.start()
    try:
        yield _drain(ready)
    finally:
        stop.set()
        thread.join()


def _fill(
    items: Iterator[_Item], ready: "queue.Queue[tuple[_Item | None, BaseException | None]]", stop: threading.Event
) -> None:
    error: BaseException
    try:
        for item in items:
            if not _put(ready, (item, None), stop):
                break
        error = StopIteration()
    except BaseException as raised:  # noqa: BLE001 - raised again in the thread that takes
        error = raised
    if hasattr(items, "close"):  # a generator's `finally` runs in the thread that ran it
        items.close()
    _put(ready, (None, error), stop)


def _put(ready: "queue.Queue[_Item]", item: _Item, stop: threading.Event) -> bool:
    """Whether the item is in the queue; False once nobody wants it any more."""
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(item, timeout=_POLL)
            return True
    return False


def _drain(ready: "queue.Queue[tuple[_Item | None, BaseException | None]]") -> Iterator[_Item]:
    while True:
        item, error = ready.get()
        if isinstance(error, StopIteration):
            return
        if error is not None:
            raise error
        yield item  # type: ignore[misc]


class Interrupt:
    """While entered, notes the first SIGTERM or SIGINT instead of dying of it, so that the state can be saved first; a
    second one acts at once.

    Python delivers signals to the main thread only; entered in another one, this does nothing.
    """

    def __init__(self) -> None:
        self.signal = 0  # the signal that came, or 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) != signal.SIG_IGN:  # what is to be ignored (nohup, say) stays ignored
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def leave(self) -> None:
        """Hand the signal to whoever handled it before; leaves with exit code 128 + signal where nobody did.

        Raises KeyboardInterrupt for a Ctrl-C that nobody handles in another way, otherwise SystemExit.
        """
        former = self._former.get(self.signal)
        self._restore()
        if callable(former):
            signal.raise_signal(self.signal)
        raise SystemExit(128 + self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
