"""The end of an evaluation: the spectra of its images, pooled by quality factor and method, and compared (figure 6)."""

import collections
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.adapters.storage import Output, write_bytes, write_table
from ced.core import influence
from ced.core.influence import Influence
from ced.core.spectrum import Spectrum, likeness, load
from ced.stages.measure import ORIGINAL, version

FILE, FOLDER = "pooled.parquet", "spectra"


class Pool:
    """Spectra so far. Sums of integers: the order of the images plays no part, and taking away is exact.

    In memory is one spectrum, 6 MB, for the originals and for each method at each quality factor.
    """

    def __init__(self, qualities: Sequence[int], methods: Sequence[str]):
        self._versions = {quality: [version(quality, method) for method in methods] for quality in qualities}
        self._first, self._methods = qualities[0], methods
        names = [ORIGINAL, *(name for names in self._versions.values() for name in names)]
        self._totals = {name: Spectrum.empty() for name in names}
        self._lost: dict[str, Spectrum] = {}  # the originals that a version has not
        self.added: dict[Path, int] = {}  # parts, and their quality factors

    def add(self, part: Path, quality: int) -> None:
        """Take in the spectra of an image at a quality factor: its part."""
        spectra = {name: column[0].as_py() for name, column in _columns(part)}
        if quality == self._first:  # every part has its original
            self._totals[ORIGINAL].merge_bytes(spectra[ORIGINAL])
        for name in self._versions[quality]:
            if name in spectra:
                self._totals[name].merge_bytes(spectra[name])
            else:
                self._lost.setdefault(name, Spectrum.empty()).merge_bytes(spectra[ORIGINAL])
        self.added[part] = quality

    def write(self, folder: Path) -> None:
        """Write spectra/*.npz and pooled.parquet.

        A method that failed on some images is compared with the originals of the others alone, and one that failed on
        all has no file and no figures.
        """
        # The workers are done, so that all cores are free for threads: most of this is numpy's and zlib's.
        with ThreadPoolExecutor() as threads:
            files = threads.map(
                lambda path, name: write_bytes(path, self._totals[name].to_bytes()), *self._files(folder)
            )
            ends = self._intervals(threads)
            collections.deque(files, maxlen=0)
        rows: list[dict[str, Any]] = []
        for quality, names in self._versions.items():
            for method, name in zip(self._methods, names, strict=True):
                restored = self._totals[name]
                row: dict[str, Any] = {"quality": quality, "method": method}
                if restored.blocks:
                    row |= likeness(self._originals(name), restored)._asdict()
                    for figure, interval in ends[name]._asdict().items() if name in ends else ():
                        row |= {f"{figure}_low": interval.low, f"{figure}_high": interval.high}
                rows.append(row)
        write_table(folder / FILE, pa.Table.from_pylist(rows, schema.POOLED))

    def _files(self, folder: Path) -> tuple[list[Path], list[str]]:
        """Where the spectra go, and their names."""
        wanted = {spectrum_file(folder, 0, ORIGINAL): ORIGINAL}
        for quality, names in self._versions.items():
            for method, name in zip(self._methods, names, strict=True):
                if self._totals[name].blocks:
                    wanted[spectrum_file(folder, quality, method)] = name
        return list(wanted), list(wanted.values())

    def _originals(self, name: str) -> Spectrum:
        """The originals of the images that a version has."""
        originals = self._totals[ORIGINAL]
        return originals.without(self._lost[name]) if name in self._lost else originals

    def _intervals(self, threads: ThreadPoolExecutor) -> dict[str, influence.Intervals]:
        """Of each version's figures: a second look at the parts, in an order that does not depend on the workers."""
        filled = {name: total for name, total in self._totals.items() if name != ORIGINAL and total.blocks}
        found = threads.map(lambda name: Influence.of(self._originals(name), filled[name]), filled)
        tables = {name: table for name, table in zip(filled, found, strict=True) if table is not None}

        def of_part(part: Path) -> dict[str, influence.Added]:
            spectra = {name: load(column[0].as_py()) for name, column in _columns(part)}
            wanted = spectra.keys() & tables.keys()
            return {name: tables[name].added(spectra[ORIGINAL], spectra[name]) for name in wanted}

        added: dict[str, list[influence.Added]] = {name: [] for name in tables}
        for one in threads.map(of_part, sorted(self.added)):
            for name, what in one.items():
                added[name].append(what)
        return {name: influence.pooled_intervals(some) for name, some in added.items()}


def pool(folder: Path, parts: Mapping[int, Sequence[Path]], methods: Sequence[str]) -> None:
    """Pool the parts of each quality factor, one an image, and write what is found."""
    pooled = Pool(list(parts), methods)
    for quality, images in parts.items():
        for part in images:
            pooled.add(part, quality)
    pooled.write(folder)


def spectrum_file(folder: Path, quality: int, method: str) -> Path:
    """Where a pooled spectrum lies in the output: of "original", or of a method at a quality factor."""
    return folder / FOLDER / f"{version(quality, method)}.npz"


class Figures(NamedTuple):
    """W1 and energy; nan where a method restored nothing."""

    w1: float
    energy: float
    intervals: tuple[tuple[str, float, float], ...] = ()  # (figure, low, high)


def figures(output: Output) -> dict[tuple[int, str], Figures]:
    """The pooled figures by quality factor and method."""
    rows = pq.read_table(output.path / FILE).to_pylist()
    return {(row["quality"], row["method"]): _figures(row) for row in rows}


def _figures(row: dict[str, Any]) -> Figures:
    ends = [(name, row[f"{name}_low"], row[f"{name}_high"]) for name in ("w1", "energy")]
    return Figures(_number(row["w1"]), _number(row["energy"]), tuple(one for one in ends if one[1] is not None))


def _columns(part: Path) -> Iterator[tuple[str, Any]]:
    table = pq.read_table(part)
    return zip(table.column_names, table.columns, strict=True)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
