"""How a network is judged on the examples that are held out."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ced.training import batches
from ced.training.context import PlainContext
from ced.training.data import spread
from ced.training.job import TrainJob
from ced.training.trainer import Trainer, autocast, validate

MakeJob = Callable[..., TrainJob]
CPU = torch.device("cpu")
CONTEXT = PlainContext(CPU)


def test_the_mean_over_held_out_examples(job_of: MakeJob) -> None:
    trainer = Trainer(job_of("ed", validation_fraction=0.6), CONTEXT)
    assert len(trainer.held_out["input"]) == 24  # two batches, the second a smaller one
    one_by_one = [
        trainer.objective.validate(trainer.state.module, trainer.loader.planes(np.array([i]), CPU))["psnr"].item()
        for i in trainer.loader.split.validation
    ]
    assert validate(trainer.objective, trainer.held_out, trainer.state.module)["validation_psnr"] == pytest.approx(
        np.mean(one_by_one), abs=1e-4
    )


def test_the_classifiers_accuracy_of_all_stages(job_of: MakeJob) -> None:
    trainer = Trainer(job_of("classifier"), CONTEXT)
    measured = validate(trainer.objective, trainer.held_out, trainer.state.module)
    assert list(measured) == ["validation_loss", "validation_accuracy_stage_1", "validation_accuracy_stage_2"]
    with torch.no_grad():
        logits = trainer.state.module(trainer.held_out["input"] / 255)
    labels = trainer.held_out["labels"]
    for t, stage in enumerate(logits, start=1):
        hits = (stage.argmax(2) == labels).float().mean().item()
        assert measured[f"validation_accuracy_stage_{t}"] == pytest.approx(hits, abs=1e-6)


def test_at_most_64_examples(job_of: MakeJob) -> None:
    trainer = Trainer(job_of("ed"), CONTEXT)
    assert len(spread(np.arange(1000), batches._VALIDATED)) == 64
    assert len(trainer.held_out["input"]) == len(trainer.loader.split.validation) == 8


def test_nothing_held_out_measures_nothing(job_of: MakeJob) -> None:
    trainer = Trainer(job_of("ed", validation_fraction=0.0), CONTEXT)
    assert validate(trainer.objective, trainer.held_out, trainer.state.module) == {}


def test_no_gradients_are_kept(job_of: MakeJob) -> None:
    trainer = Trainer(job_of("ed"), CONTEXT)
    validate(trainer.objective, trainer.held_out, trainer.state.module)
    assert all(parameter.grad is None for parameter in trainer.state.module.parameters())


@pytest.mark.parametrize(
    "precision, expected", [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_half_precision_is_for_gpus_and_for_who_asks(precision: str, expected: torch.dtype) -> None:
    a = torch.rand(4, 4)
    with autocast(CPU, precision):
        assert (a @ a).dtype == expected
