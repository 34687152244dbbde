"""The end of an evaluation: the spectra of its images (figure 6) and the features of their patches, pooled by quality
factor and method, and compared with the originals'."""

import functools
import io
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ced.core.resampling import GROUPS, PooledDraws
from ced.core.spectrum import CoarseSpectrum, Filled, Likeness, Spectrum, likeness
from ced.evaluation.metrics import Compare, Together, metrics, pooled_schema
from ced.evaluation.runner import ORIGINAL
from ced.store.outputs import Output, write_bytes, write_table

FILE, FOLDER = "pooled.parquet", "spectra"
JUDGED = GROUPS  # images whose patches are judged; of more every so manyth


class Pool:
    """Spectra so far, and parts with the features of patches, which are read at the end, in the images' own order.
    Spectra are sums of integers: the order of the images plays no part, and taking away is exact.

    In memory is one spectrum, 6 MB, for the originals and for each method at each quality factor, and for each of
    these the draws of its intervals (`PooledDraws`).
    """

    def __init__(self, qualities: Sequence[int], methods: Sequence[str], judges: Mapping[str, Compare]):
        """`judges`: how the features that each keeps are compared."""
        self.empty = functools.partial(type(self), qualities, methods, judges)
        self._judges = dict(judges)
        self._named = {version(quality, method): (quality, method) for quality in qualities for method in methods}
        self._first = qualities[0]
        self._totals = {name: Spectrum.empty() for name in (ORIGINAL, *self._named)}
        self._draws = {name: PooledDraws() for name in self._named}
        self._missing: dict[str, Spectrum] = {}  # the originals that a version has not
        self.added: dict[Path, int] = {}  # parts, and their quality factors

    def add(self, part: Path, quality: int) -> None:
        """Take in the spectra of an image at a quality factor: its part."""
        image = _number(part)
        names = [name for name in pq.read_schema(part).names if name in self._totals]
        table = pq.read_table(part, columns=names)
        spectra = {name: Filled.from_bytes(table[name][0].as_py()) for name in names}
        if quality == self._first:  # every part has its original
            self._totals[ORIGINAL].add(spectra[ORIGINAL])
        original = CoarseSpectrum.of(spectra[ORIGINAL])
        for name in (name for name, (of, _) in self._named.items() if of == quality):
            if name in spectra:
                self._totals[name].add(spectra[name])
                self._draws[name].add(image, original, CoarseSpectrum.of(spectra[name]))
            else:
                self._missing.setdefault(name, Spectrum.empty()).add(spectra[ORIGINAL])
        self.added[part] = quality

    def write(self, folder: Path) -> None:
        """Write spectra/*.npz and pooled.parquet.

        A method that failed on some images is compared with the originals of the others alone, and one that failed on
        all has no file and no figures.
        """
        files = {name: spectrum_file(folder, *key) for name, key in self._named.items() if self._totals[name].blocks}
        files[ORIGINAL] = spectrum_file(folder, 0, ORIGINAL)
        # The workers are done, so that all cores are free for threads: most of this is numpy's and zlib's.
        with ThreadPoolExecutor() as threads:
            saved = [threads.submit(self._save, path, name) for name, path in files.items()]
            rows = list(threads.map(self._row, self._named))
            for save in saved:
                save.result()
        write_table(folder / FILE, pa.Table.from_pylist(rows, pooled_schema()))

    def _save(self, path: Path, name: str) -> None:
        write_bytes(path, self._totals[name].to_bytes())

    def _row(self, name: str) -> dict[str, Any]:
        quality, method = self._named[name]
        row: dict[str, Any] = {"quality": quality, "method": method}
        if not self._totals[name].blocks:
            return row
        exact = likeness(self._originals(name), self._totals[name])
        found: dict[str, float] = exact._asdict()
        ends = dict(zip(Likeness._fields, self._draws[name].intervals(exact) or (), strict=False))
        for judge, compare in self._judges.items():
            more, intervals = compare(*self._features(judge, name))
            found, ends = found | more, ends | intervals
        together = Together(**found)
        values = {metric.name: metric.pooled(together) for metric in metrics() if metric.pooled}
        row |= {name: value for name, value in values.items() if not math.isnan(value)}
        for figure, interval in ends.items():
            row |= {f"{figure}_low": interval.low, f"{figure}_high": interval.high}
        return row

    def _features(self, judge: str, name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What a judge kept of the originals and of a version, of the images that have both."""
        columns = [column(ORIGINAL, judge), column(name, judge)]
        pairs = []
        for part in sorted(self.added, key=_number):
            if self.added[part] == self._named[name][0] and set(columns) <= set(pq.read_schema(part).names):
                table = pq.read_table(part, columns=columns)
                pairs.append([np.load(io.BytesIO(table[kept][0].as_py()), allow_pickle=False) for kept in columns])
        originals, restored = zip(*pairs, strict=True) if pairs else ((), ())
        return list(originals), list(restored)

    def _originals(self, name: str) -> Spectrum:
        """The originals of the images that a version has."""
        originals = self._totals[ORIGINAL]
        return originals.without(self._missing[name]) if name in self._missing else originals


def _number(part: Path) -> int:
    """The number of a part's image."""
    return int(part.name.split("-")[1].partition(".")[0])


def column(version: str, judge: str) -> str:
    """The column of a part in which a judge's features of a version are; names of versions have no slash."""
    return f"{version}/{judge}"


def stored(features: np.ndarray) -> bytes:
    """Features as they are in a part."""
    stream = io.BytesIO()
    np.save(stream, features, allow_pickle=False)
    return stream.getvalue()


def version(quality: int, method: str) -> str:
    """What files and columns call a version of an image: "original", or a method at a quality factor."""
    return ORIGINAL if method == ORIGINAL else f"q{quality:03d}-{method}"


def spectrum_file(folder: Path, quality: int, method: str) -> Path:
    """Where a pooled spectrum lies in the output: of "original", or of a method at a quality factor."""
    return folder / FOLDER / f"{version(quality, method)}.npz"


Figures = tuple[dict[str, float], dict[str, tuple[float, float]]]


def figures(output: Output) -> dict[tuple[int, str], Figures]:
    """The pooled figures (W1, energy and whatever else is pooled) and their 95 % intervals, by metric, of each quality
    factor and method; none where a method restored nothing."""
    rows = pq.read_table(output.path / FILE).to_pylist()
    return {(row["quality"], row["method"]): _figures(row) for row in rows}


def _figures(row: dict[str, Any]) -> Figures:
    names = [name for name in row if f"{name}_low" in row]
    values = {name: row[name] for name in names if row[name] is not None}
    ends = {name: (row[f"{name}_low"], row[f"{name}_high"]) for name in names if row[f"{name}_low"] is not None}
    return values, ends
