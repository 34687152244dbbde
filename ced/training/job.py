"""What is to be trained (plain values, which travel to any worker), and the files of a training: its reports are lines
of metrics.jsonl, each step once however often it was stopped."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced import config, sections
from ced.config import NetworkConfig, TrainConfig
from ced.errors import ConfigError, FormatError, InputError
from ced.networks import NETWORKS
from ced.store import checked, files

# The files in the folder of a training.
WEIGHTS = "model.safetensors"
CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"  # one line a report
PREVIEWS = "strips"  # a folder


@dataclass(frozen=True)
class TrainJob:
    """One training: what is trained on what, with which settings, and the folder its outputs go to.

    Raises ConfigError for an unknown model, or for CED-EST without a classifier.
    """

    model: str  # one of ced.networks.NETWORKS
    examples: str  # folder of part-*.parquet of examples
    labelled: str  # folder of their labels
    classes: str  # path of classes.json; not read by what needs no classes
    classifier: str  # path of C's model.safetensors where it `uses_classifier`, else ""
    out: str  # output folder
    network: NetworkConfig  # of C, E and D
    train: TrainConfig
    channels: int
    start: str = ""  # path of weights to begin with, instead of random ones

    def __post_init__(self) -> None:
        if uses_classifier(self.model, self.train) and not self.classifier:
            raise ConfigError(f"{self.model} is trained with a classifier's estimates; name its model.safetensors")

    @property
    def section(self) -> str:
        """The section of the configuration that `train` comes from."""
        return NETWORKS.get(self.model).section

    def to_json(self) -> str:
        """The job as text, for another machine."""
        return json.dumps(config.as_dict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "job.json") -> "TrainJob":
        """The job of `to_json`. Raises FormatError, naming `name`, for anything else."""
        try:
            return sections.read(cls, json.loads(text), name)
        except (ValueError, TypeError) as error:
            raise FormatError(f"{name}: not a training job ({error}); write it with TrainJob.to_json") from None


def uses_classifier(model: str, train: TrainConfig) -> bool:
    """Whether a training takes a trained C's estimates: CED-EST, and CED-GT for the block effect that they leave."""
    q = NETWORKS.get(model).q
    return q == "estimate" or (q == "truth" and train.block_effect > 0)


def fingerprint(job: TrainJob) -> str:
    """16 hex digits of everything that decides the outcome: settings and contents of inputs, never paths.

    The data count by the manifest.json beside them, where there is one.
    Raises InputError where the classes, the classifier or the weights to start from are missing.
    """
    architecture = NETWORKS.get(job.model)
    manifest = Path(job.labelled, "manifest.json")
    parts: dict[str, Any] = {
        "model": job.model,
        "channels": job.channels,
        "data": _digest(manifest) if manifest.exists() else "",
        "classes": _digest(Path(job.classes)) if architecture.needs_classes else "",
        "classifier": _digest(Path(job.classifier)) if uses_classifier(job.model, job.train) else "",
    }
    if job.start:
        parts["start"] = _digest(Path(job.start))
    network = {} if architecture.baseline else dataclasses.asdict(job.network)
    return config.fingerprint(parts, network, dataclasses.asdict(job.train))


def read(path: str) -> bytes:
    """The bytes of an input file. Raises InputError where it cannot be read, FormatError where it was altered since an
    earlier stage made it."""
    try:
        return checked.part(Path(path)).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file made by an earlier stage") from None


def _digest(path: Path) -> str:
    return hashlib.sha256(read(str(path))).hexdigest()


def append_report(folder: Path, report: dict[str, float]) -> None:
    """Add one report to metrics.jsonl. Raises OutputError where it cannot be written."""
    files.append(folder / METRICS, json.dumps(report, allow_nan=False))


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """The reports so far, in the order of steps; a line that is being written, or was cut short, does not count."""
    try:
        text = (folder / METRICS).read_text(errors="replace")
    except OSError:
        return []
    parsed = map(_report_of, text.rpartition("\n")[0].splitlines())
    return [report for report in parsed if report is not None]


def drop_reports_after(folder: Path, step: int) -> None:
    """Drop what was reported after `step`, which is to be trained again, and a line that was cut short."""
    path = folder / METRICS
    if not path.exists():
        return
    lines = path.read_text(errors="replace").splitlines()
    kept = [line for line in lines if (report := _report_of(line)) is not None and report["step"] <= step]
    files.write(path, "".join(line + "\n" for line in kept).encode())


def _report_of(line: str) -> dict[str, Any] | None:
    """The report of a line, None where it is none."""
    try:
        report: dict[str, Any] = json.loads(line)
        return report if math.isfinite(report["step"]) else None
    except (ValueError, KeyError, TypeError):
        return None
