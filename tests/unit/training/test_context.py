import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

from ced.errors import ConfigError
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.trainer import train


def test_one_process_is_rank_0_of_1() -> None:
    context = PlainContext("cpu")
    assert (context.rank, context.world, context.device) == (0, 1, torch.device("cpu"))


def test_one_process_leaves_the_network_as_it_is() -> None:
    module = nn.Linear(1, 1)
    assert PlainContext(torch.device("cpu")).prepare(module) is module


def test_reports_are_passed_on_by_rank_0_alone() -> None:
    told: list[dict[str, float]] = []
    for rank in (0, 1):
        PlainContext("cpu", rank, world=2, tell=told.append).report({"step": rank})
    assert told == [{"step": 0}]
    PlainContext("cpu").report({"step": 1})


def test_outside_torchrun_the_process_is_alone() -> None:
    with PlainContext.launched() as context:
        assert (context.rank, context.world) == (0, 1)
        assert context.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["banana", "cuda:77"])
def test_a_device_that_is_not_there_is_told_in_a_line(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' cannot be used here .*; use cpu, cuda or cuda:N") as raised:
        PlainContext(name)
    assert "\n" not in str(raised.value)


def test_under_torchrun_the_workers_find_each_other(job_of: Callable[..., TrainJob], start: Callable) -> None:
    """Two workers, with 3 and 2 examples, agree with one that has all; the sums differ in their last bits only."""
    together = job_of(out="together", batch_size=5)
    process = start(together, workers=2)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    several = [json.loads(line) for line in out.splitlines()]

    alone: list[dict[str, float]] = []
    train(job_of(out="alone", batch_size=5), PlainContext("cpu", tell=alone.append))

    assert [report["step"] for report in several] == [report["step"] for report in alone] == [5, 10, 12]
    for mine, theirs in zip(several, alone, strict=True):
        for name in ("loss", "gradient_norm", "validation_psnr"):
            assert abs(mine[name] - theirs[name]) <= 1e-4 * abs(theirs[name]), name
