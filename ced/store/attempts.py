"""How often a task was begun, and at which step its process ended, kept in a file: Ray begins a task again whose worker
died, however often that is.

What ends the process time and again (a photograph, a model whose code crashes or takes too much memory) is passed over
or isolated then; otherwise the job would never end.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ced.store import files

MOST = 3  # ends of the process at the same step, before it is passed over; a node may be lost by chance
_BEGUN, _PAUSE = "", " "  # the lines with which an attempt begins, and between steps


class Attempts:
    """The attempts at one task: `before` is how many there were; this one begins now.

    The name of a step is written down before the step is taken; it holds no line end.
    """

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.before = lines.count(_BEGUN)
        pairs = itertools.pairwise([*lines, _BEGUN])
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
