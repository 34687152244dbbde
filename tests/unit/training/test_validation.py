from collections.abc import Callable

import numpy as np
import pytest
import torch

from ced.training import prepared as module
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.prepared import prepare
from ced.training.validation import autocast, validate

MakeJob = Callable[..., TrainJob]
CPU = torch.device("cpu")
CONTEXT = PlainContext(CPU)


def test_the_mean_over_held_out_examples(job_of: MakeJob) -> None:
    ready = prepare(job_of("ed", validation_fraction=0.6), CONTEXT)
    assert len(ready.validation["input"]) == 24  # two batches, the second a smaller one
    one_by_one = [
        ready.task.validate(ready.network, ready.planes(np.array([i]), CPU))["psnr"].item()
        for i in ready.split.validation
    ]
    assert validate(ready, ready.network)["validation_psnr"] == pytest.approx(np.mean(one_by_one), abs=1e-4)


def test_the_classifiers_accuracy_of_all_stages(job_of: MakeJob) -> None:
    ready = prepare(job_of("classifier"), CONTEXT)
    measured = validate(ready, ready.network)
    assert list(measured) == ["validation_loss", "validation_accuracy_stage_1", "validation_accuracy_stage_2"]
    with torch.no_grad():
        logits = ready.network(ready.validation["input"] / 255)
    labels = ready.validation["labels"]
    for t, stage in enumerate(logits, start=1):
        hits = (stage.argmax(2) == labels).float().mean().item()
        assert measured[f"validation_accuracy_stage_{t}"] == pytest.approx(hits, abs=1e-6)


def test_at_most_64_examples(job_of: MakeJob) -> None:
    ready = prepare(job_of("ed"), CONTEXT)
    assert len(module.data.spread(np.arange(1000), module._VALIDATED)) == 64
    assert len(ready.validation["input"]) == len(ready.split.validation) == 8


def test_nothing_held_out_measures_nothing(job_of: MakeJob) -> None:
    ready = prepare(job_of("ed", validation_fraction=0.0), CONTEXT)
    assert validate(ready, ready.network) == {}


def test_no_gradients_are_kept(job_of: MakeJob) -> None:
    ready = prepare(job_of("ed"), CONTEXT)
    validate(ready, ready.network)
    assert all(parameter.grad is None for parameter in ready.network.parameters())


@pytest.mark.parametrize(
    "precision, expected", [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_half_precision_is_for_gpus_and_for_who_asks(precision: str, expected: torch.dtype) -> None:
    a = torch.rand(4, 4)
    with autocast(CPU, precision):
        assert (a @ a).dtype == expected
