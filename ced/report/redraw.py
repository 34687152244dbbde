"""A finished evaluation, found again with all that its report was drawn from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced.config import FiguresConfig
from ced.errors import InputError
from ced.report import stage as report
from ced.store import finished
from ced.store.outputs import MANIFEST, Output
from ced.store.session import Session


@dataclass(frozen=True)
class Evaluation:
    """An output of `ced evaluate` or `ced run`, the models it was made with, and what decided its results."""

    evaluated: Output
    trained: dict[str, Output]  # by model; none where it was not made by a pipeline
    told: dict[str, Any]


def find(folder: Path) -> Evaluation:
    """The evaluation in `folder`: the folder itself, or one below it. Raises InputError and FormatError.

    Of several it is the newest that has a report: a publication measures a champion, too, and reports nothing.
    """
    below = finished.find([folder])
    found = _of(below, "evaluate")
    if not found:
        raise InputError(f"{folder}: no finished evaluation in it; make one with ced run or ced evaluate")
    alone = len(below) == 1 and folder.resolve().parent.name == "evaluate"
    beside = finished.find([folder.resolve().parent.parent]) if alone else below
    drawn = {output.manifest.inputs.get("evaluate"): output.manifest for output in _of(beside, "report")}
    evaluated = max(found, key=lambda output: (output.manifest.content in drawn, _age(output)))
    former = drawn.get(evaluated.manifest.content)
    if former is None:
        config = evaluated.manifest.config
        return Evaluation(evaluated, {}, {"images": [], "test_images": config["dataset"], "evaluate": config})
    contents = {output.manifest.content: output for output in beside if output.manifest.stage.startswith("train-")}
    trained = {name: contents[made] for name, made in former.inputs.items() if made in contents}
    return Evaluation(evaluated, trained, former.config["config"])


def _of(found: list[Output], stage: str) -> list[Output]:
    """Those of a stage, the newest last."""
    return sorted((output for output in found if output.manifest.stage == stage), key=_age)


def redraw(evaluation: Evaluation, chosen: FiguresConfig, session: Session) -> Output:
    """Its report, with the figures as `chosen`, or found drawn so. Raises ConfigError."""
    return report.redraw(evaluation.told, chosen, evaluation.evaluated, evaluation.trained, session)


def _age(output: Output) -> float:
    return (output.path / MANIFEST).stat().st_mtime
