"""Restoring all photographs of some sources into a folder, as far as that is not done already."""

import contextlib
import logging
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ced.bulk import record
from ced.bulk.listing import Listing
from ced.bulk.places import place
from ced.bulk.record import Record
from ced.bulk.work import Answer, Job, Unit
from ced.data.sources import Photograph, redacted
from ced.data.sources.photograph import is_uri
from ced.progress import Progress
from ced.store.outputs import locked

logger = logging.getLogger("ced")

NAMED = 20  # files that a summary names


@dataclass
class Summary:
    """What became of the files. The counts add up: restored + left + there + aside = files."""

    files: int
    out: str
    there: int = 0  # were there already
    restored: int = 0
    left: int = 0
    aside: int = 0
    left_named: list[str] = field(default_factory=list)  # the first ones, with the reason
    aside_named: list[str] = field(default_factory=list)

    def count(self, answer: Answer) -> None:
        """Take in what became of one more."""
        row, name = answer.row, redacted(answer.row.source)
        if answer.there:
            self.there += 1
        elif row.done == record.ASIDE:
            self.set_aside(name, row.reason)
        else:
            self.add(name, row.reason, row.warning)

    def add(self, name: str, left: str, warning: str) -> None:
        """One that was restored, or left for the reason `left`."""
        if warning:
            logger.warning("%s: %s", name, warning)
        if not left:
            self.restored += 1
            return
        self.left += 1
        if len(self.left_named) < NAMED:
            self.left_named.append(f"{name}: {left}")

    def set_aside(self, name: str, why: str) -> None:
        """One that cannot be restored; it is said at once."""
        logger.warning("%s: %s; left out", name, why)
        self.aside += 1
        if len(self.aside_named) < NAMED:
            self.aside_named.append(f"{name}: {why}")

    def lines(self) -> list[str]:
        """For a terminal; what was set aside was said at once."""
        there = f"; {self.there} were there already" if self.there else ""
        lines = [f"restored {self.restored} of {self.files} images to {redacted(self.out)}{there}"]
        if self.left:
            lines.append(f"{self.left} left as {'it is' if self.left == 1 else 'they are'}:")
            lines += [f"  {text}" for text in self.left_named]
        if self.left > NAMED:
            lines.append(f"  and {self.left - NAMED} more; {record.FOLDER} names them")
        return lines

    def markdown(self) -> str:
        """As a page."""
        counted = f"{self.there:,} there already + {self.restored:,} restored + {self.left:,} left as they are"
        lines = [
            f"{self.files:,} files = {counted} + {self.aside:,} set aside; "
            f"`{redacted(self.out)}/{record.FOLDER}` has a row for each.",
            "",
        ]
        for what, count, named in (("left", self.left, self.left_named), ("set aside", self.aside, self.aside_named)):
            lines += [f"- {what}: `{_code(text)}`" for text in named]
            lines += [f"- {what}: {count - NAMED:,} more"] if count > NAMED else []
        return "\n".join(lines)

    def refusal(self) -> str:
        """What is said where files were set aside."""
        return f"{self.aside} of {self.files} images could not be restored; see the lines above"


class Units:
    """What there is to do, made one by one: there may be millions."""

    def __init__(self, job: Job, listed: Listing):
        self._job, self._listed = job, listed
        self._numbers, self.size = array("q"), 0  # `size`: bytes of all of them; -1: not known
        for number, photograph in enumerate(listed.photographs):
            if _unit(job, listed, number, photograph) is not None:
                self._numbers.append(number)
                self.size = -1 if min(self.size, photograph.size) < 0 else self.size + photograph.size

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Unit]:
        wanted = iter(self._numbers)
        next_one = next(wanted, None)
        for number, photograph in enumerate(self._listed.photographs):
            if number == next_one:
                unit = _unit(self._job, self._listed, number, photograph)
                assert unit is not None
                yield unit
                next_one = next(wanted, None)


def run(job: Job, listed: Listing, restore: Callable[[Job, Units], Iterator[Answer]]) -> Summary:
    """Restore what is not there already, by one of the ways of `ced.bulk.workers`. Raises CedError."""
    summary = Summary(len(listed.photographs), job.out)
    progress = Progress("restore", summary.files, "images")
    with contextlib.nullcontext() if is_uri(job.out) else locked(Path(job.out, record.FOLDER)):
        units = Units(job, listed)
        summary.there = summary.files - len(units)
        progress.skip(summary.there)
        for answer in restore(job, units):
            summary.count(answer)
            progress.advance()
        Record(place(job.out), whole=job.run).close()
    return summary


def _unit(job: Job, listed: Listing, number: int, photograph: Photograph) -> Unit | None:
    """What there is to do for a photograph, None where it is done."""
    names, there = listed.names.of(photograph.name), listed.there.get(photograph.name, {})
    ours = tuple(name for name, digest in there.items() if digest)
    former = listed.record.newest(photograph.name) if ours or listed.as_recorded[number] else None
    if former is not None and listed.as_recorded[number]:
        there, ours = {former.output: former.output_digest}, (former.output,)
    if former is None or former.done == record.ASIDE or former.settings != job.settings:
        return Unit(photograph, names, ours)
    if there.get(former.output) != former.output_digest:
        return Unit(photograph, names, ours)
    return None if former.stamp == photograph.stamp else Unit(photograph, names, ours, former)


def _code(text: str) -> str:
    """A name in one line, and in one piece of code of a page."""
    return text.replace("\n", "\\n").replace("`", "'")
