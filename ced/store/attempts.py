"""What a task was at when its process ended, remembered in a file: Ray begins such a task again, however often that is.

What ends the process time and again is passed over then, where the job would otherwise never end: a model whose code
ends it, or that takes more memory than there is.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ced.store import files

MOST = 3  # ends of the process at the same step, before it is passed over; a node may be lost by chance
_BEGUN, _PAUSE = "", " "  # the lines with which an attempt begins, and between steps


class Attempts:
    """The attempts at one task so far, and the present one. Steps are told before they are taken; names without line
    ends."""

    def __init__(self, path: Path):
        self._path = path
        before = path.read_text().splitlines() if path.exists() else []
        pairs = itertools.pairwise([*before, _BEGUN])
        self._ended = Counter(step for step, after in pairs if after == _BEGUN != step)
        files.make_folder(path.parent)
        self._note(_BEGUN)

    def take(self, step: str, refusal: Callable[[], Exception]) -> None:
        """A step is taken now, or, where the process ended at it too often, refused: `refusal` is raised."""
        if self._ended[step] >= MOST:
            raise refusal()
        self._note(step)

    def pause(self) -> None:
        """No step is under way: should the process end now, at another task, none of these was to blame."""
        self._note(_PAUSE)

    def end(self) -> None:
        """The task is done."""
        self._path.unlink(missing_ok=True)

    def _note(self, step: str) -> None:
        """No fsync: what a power cut takes away was no fault of the step."""
        with self._path.open("a") as file:
            file.write(f"{step}\n")
