"""The end of an evaluation: the spectra of its images, pooled by quality factor and method, and compared (figure 6)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.adapters.storage import Output, write_bytes, write_table
from ced.core.spectrum import Spectrum, likeness
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
        self.added: set[Path] = set()

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
        self.added.add(part)

    def write(self, folder: Path) -> None:
        """Write spectra/*.npz and pooled.parquet.

        A method that failed on some images is compared with the originals of the others alone, and one that failed on
        all has no file and no figures.
        """
        originals = self._totals[ORIGINAL]
        write_bytes(spectrum_file(folder, 0, ORIGINAL), originals.to_bytes())
        rows: list[dict[str, Any]] = []
        for quality, names in self._versions.items():
            for method, name in zip(self._methods, names, strict=True):
                restored = self._totals[name]
                row: dict[str, Any] = {"quality": quality, "method": method, "w1": None, "energy": None}
                if restored.blocks:
                    write_bytes(spectrum_file(folder, quality, method), restored.to_bytes())
                    same = originals.without(self._lost[name]) if name in self._lost else originals
                    row |= likeness(same, restored)._asdict()
                rows.append(row)
        write_table(folder / FILE, pa.Table.from_pylist(rows, schema.POOLED))


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


def figures(output: Output) -> dict[tuple[int, str], tuple[float, float]]:
    """W1 and energy by quality factor and method; nan where a method restored nothing."""
    rows = pq.read_table(output.path / FILE).to_pylist()
    return {(row["quality"], row["method"]): (_number(row["w1"]), _number(row["energy"])) for row in rows}


def _columns(part: Path) -> Iterator[tuple[str, Any]]:
    table = pq.read_table(part)
    return zip(table.column_names, table.columns, strict=True)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
