"""The end of an evaluation: the spectra of its images, pooled by quality factor and method, and compared (figure 6)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.adapters.storage import Output, write_bytes, write_table
from ced.core.spectrum import Spectrum, likeness
from ced.stages.measure import ORIGINAL, version

FILE, FOLDER = "pooled.parquet", "spectra"


def pool(folder: Path, parts: Mapping[int, Sequence[Path]], methods: Sequence[str]) -> None:
    """Write spectra/*.npz and pooled.parquet from the spectra of each image: its part at each quality factor.

    A method that failed on some images is compared with the originals of the others alone, and one that failed on all
    has no file and no figures.
    """
    originals, _ = _pooled(next(iter(parts.values())), 0, ORIGINAL)  # every part has its original
    write_bytes(spectrum_file(folder, 0, ORIGINAL), originals.to_bytes())
    rows: list[dict[str, Any]] = []
    for quality, images in parts.items():
        for method in methods:
            restored, restored_images = _pooled(images, quality, method)
            row: dict[str, Any] = {"quality": quality, "method": method, "w1": None, "energy": None}
            if restored_images:
                write_bytes(spectrum_file(folder, quality, method), restored.to_bytes())
                same = originals if len(restored_images) == len(images) else _pooled(restored_images, 0, ORIGINAL)[0]
                row |= likeness(same, restored)._asdict()
            rows.append(row)
    write_table(folder / FILE, pa.Table.from_pylist(rows, schema.POOLED))


def spectrum_file(folder: Path, quality: int, method: str) -> Path:
    """Where a pooled spectrum lies in the output: of "original", or of a method at a quality factor."""
    return folder / FOLDER / f"{version(quality, method)}.npz"


def figures(output: Output) -> dict[tuple[int, str], tuple[float, float]]:
    """W1 and energy by quality factor and method; nan where a method restored nothing."""
    rows = pq.read_table(output.path / FILE).to_pylist()
    return {(row["quality"], row["method"]): (_number(row["w1"]), _number(row["energy"])) for row in rows}


def _pooled(parts: Sequence[Path], quality: int, method: str) -> tuple[Spectrum, list[Path]]:
    """The merged spectrum of a method, and the parts of the images that it restored."""
    total, found, column = Spectrum.empty(), [], version(quality, method)
    for part in parts:
        with pq.ParquetFile(part) as file:
            if column in file.schema_arrow.names:
                total.merge_bytes(file.read([column])[column][0].as_py())
                found.append(part)
    return total, found


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
