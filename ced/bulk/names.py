"""What the outputs of photographs are called: as they are, in the same folders, and no two alike.

A photograph has two names: one for its restored file, and its own, for where it is left as it is.
"""

import hashlib
import itertools
import posixpath
import re
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ced.data.sources import Photograph

_FIRST = (".jpg", ".jpeg")  # of several with one name, the one that has it without its suffix


class Pair(NamedTuple):
    """What a photograph's output is called, within the folder."""

    restored: str
    left: str  # where it is left as it is


class Names:
    """The names of all outputs: x.jpg becomes x.png, x.jpeg beside it x.jpeg.png; what is left is called as it was.

    Most of them follow from the photograph's own name and are kept nowhere, since there may be millions: only their
    digests are compared. Those alone are listed that would be alike, or were called otherwise before.
    """

    def __init__(self, photographs: Iterable[Photograph], suffix: str, alone: bool, known: dict[str, str]):
        """`photographs` are gone through twice. `suffix`: of restored files. `alone`: there is one source, whose own
        name is left out. `known`: the last output of each source of former runs; it keeps this name, also with another
        suffix."""
        self._suffix, self._alone, self._known = suffix, alone, known
        gone, wanted = set(known), array("Q")
        for photograph in photographs:
            gone.discard(photograph.name)
            wanted.extend(map(_digest, self._wanted(photograph.name)))
        for source in gone:
            wanted.extend(map(_digest, self._wanted(source)))
        self._all = np.frombuffer(wanted, np.uint64)
        self._all.sort()
        several = set(self._all[1:][self._all[1:] == self._all[:-1]].tolist())
        special = [
            photograph.name
            for photograph in photographs
            if self._kept(photograph.name) not in ("", self._plain(photograph.name).restored)
            or any(_digest(name) in several for name in self._wanted(photograph.name))
        ]
        self._listed = self._chosen(special, gone)
        self._known = {}  # it may be large, and has said all

    def of(self, source: str) -> Pair:
        """The names of a photograph's output, by the photograph's own."""
        return self._listed.get(source) or self._plain(source)

    def _plain(self, source: str) -> Pair:
        within = self._within(source)
        return Pair(posixpath.splitext(within)[0] + self._suffix, within)

    def _kept(self, source: str) -> str:
        """The name that a restored file keeps from a former run, "" without one."""
        former = self._known.get(source)
        if former in (None, self._within(source)):
            return ""
        return posixpath.splitext(former)[0] + self._suffix

    def _within(self, source: str) -> str:
        return (self._alone and source.partition("/")[2]) or source

    def _wanted(self, source: str) -> set[str]:
        """All names that a source would have, or had."""
        return {*self._plain(source), self._kept(source), self._known.get(source, "")} - {""}

    def _chosen(self, special: list[str], gone: Iterable[str]) -> dict[str, Pair]:
        """Names for those that would be alike, or were called otherwise; sources that are gone keep theirs."""
        held: dict[str, str] = {}  # by name, whose it is
        before = [*gone, *(source for source in special if source in self._known)]
        for source in before:
            held[self._known[source]] = source
        for source in before:
            if kept := self._kept(source):
                held.setdefault(kept, source)

        def take(source: str, candidates: Iterator[str]) -> str:
            wanted = self._wanted(source)
            for name in candidates:
                if held.get(name, source) == source and (name in wanted or not self._occurs(name)):
                    held[name] = source
                    return name
            raise AssertionError("the candidates have no end")

        left = {source: take(source, self._own(source)) for source in special}
        restored = {source: take(source, self._new(source)) for source in sorted(special, key=_place)}
        return {source: Pair(restored[source], left[source]) for source in special}

    def _own(self, source: str) -> Iterator[str]:
        within = self._within(source)
        stem, suffix = posixpath.splitext(within)
        former = self._known.get(source, "")
        if re.fullmatch(rf"{re.escape(stem)}-\d+{re.escape(suffix)}", former):  # as it was left before
            yield former
        yield within
        yield from (f"{stem}-{number}{suffix}" for number in itertools.count(2))

    def _new(self, source: str) -> Iterator[str]:
        within = self._within(source)
        yield from filter(None, (self._kept(source), self._plain(source).restored, within + self._suffix))
        yield from (f"{within}-{number}{self._suffix}" for number in itertools.count(2))

    def _occurs(self, name: str) -> bool:
        """Whether a name is one that any source would have."""
        place = int(np.searchsorted(self._all, np.uint64(_digest(name))))
        return place < len(self._all) and int(self._all[place]) == _digest(name)


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _place(source: str) -> int:
    suffix = posixpath.splitext(source)[1].lower()
    return _FIRST.index(suffix) if suffix in _FIRST else len(_FIRST)
