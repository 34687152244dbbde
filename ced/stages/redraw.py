"""A finished evaluation, found again with all that its report was drawn from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ced.adapters.storage import MANIFEST, Output, Place
from ced.config import FiguresConfig
from ced.errors import InputError
from ced.stages import outputs, report


@dataclass(frozen=True)
class Evaluation:
    """An output of `ced evaluate` or `ced run`, the models it was made with, and what decided its results."""

    evaluated: Output
    trained: dict[str, Output]  # by model; () where it was not made by a pipeline
    told: dict[str, Any]


def find(folder: Path) -> Evaluation:
    """The evaluation in `folder`: the folder itself, or the newest below it. Raises InputError and FormatError."""
    below = outputs.find([folder])
    evaluations = [output for output in below if output.manifest.stage == "evaluate"]
    if not evaluations:
        raise InputError(f"{folder}: no finished evaluation in it; make one with ced run or ced evaluate")
    evaluated = max(evaluations, key=_age)
    store = evaluated.path.parent.parent
    beside = outputs.find([store]) if evaluated.path.parent.name == "evaluate" else below
    content = evaluated.manifest.content
    drawn = [o for o in beside if o.manifest.stage == "report" and o.manifest.inputs.get("evaluate") == content]
    if not drawn:
        config = evaluated.manifest.config
        return Evaluation(evaluated, {}, {"images": [], "test_images": config["dataset"], "evaluate": config})
    former = max(drawn, key=_age).manifest
    contents = {output.manifest.content: output for output in beside if output.manifest.stage.startswith("train-")}
    trained = {name: contents[made] for name, made in former.inputs.items() if made in contents}
    return Evaluation(evaluated, trained, former.config["config"])


def redraw(evaluation: Evaluation, chosen: FiguresConfig, place: Place) -> Output:
    """Its report, with the figures as `chosen`, or found drawn so. Raises ConfigError."""
    return report.redraw(evaluation.told, chosen, evaluation.evaluated, evaluation.trained, place)


def _age(output: Output) -> float:
    return (output.path / MANIFEST).stat().st_mtime
