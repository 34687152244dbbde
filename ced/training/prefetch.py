"""Work done ahead of its use, in a thread: reading and copying beside the steps of a training."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

_Item = TypeVar("_Item")

_LOOK = 0.1  # seconds after which a thread that waits looks whether it is still wanted


@contextlib.contextmanager
def ahead(items: Iterator[_Item], depth: int) -> Iterator[Iterator[_Item]]:
    """`items`, up to `depth` of them made ahead by a thread; it ends with the block. Errors are raised where the
    item would have come."""
    made: queue.Queue[tuple[_Item | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_make, args=(items, made, stop), daemon=True)
    thread.start()
    try:
        yield _taken(made)
    finally:
        stop.set()
        thread.join()


def _make(
    items: Iterator[_Item], made: "queue.Queue[tuple[_Item | None, BaseException | None]]", stop: threading.Event
) -> None:
    error: BaseException
    try:
        for item in items:
            if not _put(made, (item, None), stop):
                break
        error = StopIteration()
    except BaseException as raised:  # noqa: BLE001 - raised again in the thread that takes
        error = raised
    if hasattr(items, "close"):  # a generator's `finally` runs in the thread that ran it
        items.close()
    _put(made, (None, error), stop)


def _put(made: "queue.Queue[_Item]", item: _Item, stop: threading.Event) -> bool:
    """Whether the item is in the queue; False once nobody wants it any more."""
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            made.put(item, timeout=_LOOK)
            return True
    return False


def _taken(made: "queue.Queue[tuple[_Item | None, BaseException | None]]") -> Iterator[_Item]:
    while True:
        item, error = made.get()
        if isinstance(error, StopIteration):
            return
        if error is not None:
            raise error
        yield item  # type: ignore[misc]
