import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from ced.config import NetworkConfig, TrainConfig
from ced.models.autoencoder import AutoEncoder
from ced.training import optimizers
from ced.training.context import PlainContext
from ced.training.job import WEIGHTS, TrainJob
from ced.training.optimizers import average_decay, learning_rate
from ced.training.state import State, load_checkpoint, save_checkpoint
from ced.training.trainer import train

RATE = 1e-2
TRAIN = TrainConfig(steps=20, warmup_steps=1, learning_rate=RATE, clip_norm=1e9, optimizer="muon")
NETWORK = NetworkConfig(width=24, width_half=16, width_full=16, blocks=1)


def state(optimizer: str = "muon") -> State:
    torch.manual_seed(0)
    train = dataclasses.replace(TRAIN, optimizer=optimizer)
    made = State(AutoEncoder(NETWORK, 1, conditioned=False), train, torch.device("cpu"))
    # The last convolution starts at zero, behind which nothing else has a gradient.
    torch.nn.init.normal_(made.module.decoder.last.weight, std=0.1)
    return made


def loss_of(state: State, seed: int = 0) -> Tensor:
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return (state.module(x) - x.flip(3)).square().mean()


def matrix(weights: Tensor) -> np.ndarray:
    return weights.detach().double().flatten(1).numpy()


def test_a_first_step_turns_along_all_directions_of_the_gradient_alike() -> None:
    """Of the gradient's singular value decomposition U S V^T only U V^T is left, scaled to Adam's size of step. Five
    iterations of Newton and Schulz in bfloat16 bring singular values to 0.68 to 1.13 (Jordan et al.), those far below
    the first less near."""
    mine = state()
    before = {name: weights.detach().clone() for name, weights in mine.module.named_parameters()}
    mine.update(loss_of(mine))
    seen = 0
    for name, weights in mine.module.named_parameters():
        if weights.dim() < 4 or min(len(weights), weights[0].numel()) < 16:
            continue
        u, s, vt = np.linalg.svd(matrix(weights.grad), full_matrices=False)
        step = (matrix(before[name]) - matrix(weights)) / (RATE * 0.2 * max(matrix(weights).shape) ** 0.5)
        along = u.T @ step @ vt.T
        strong = s > s[0] / 30
        assert strong.sum() >= 2, name
        assert np.all(np.abs(np.diag(along)[strong] - 0.9) < 0.3), name
        off = along - np.diag(np.diag(along))
        assert np.abs(off[np.ix_(strong, strong)]).max() < 0.1, name
        seen += 1
    assert seen == 8  # of the blocks 2 x 2, of D's first, and where the resolution changes 1 + 2


def test_what_reads_or_makes_the_image_and_biases_take_adams_steps() -> None:
    muon, adam = state("muon"), state("adam")
    first = muon.module.encoder.to_half.convolution.weight.detach().clone()
    muon.update(loss_of(muon))
    adam.update(loss_of(adam))
    theirs = dict(adam.module.named_parameters())
    same = {name for name, mine in muon.module.named_parameters() if torch.equal(mine, theirs[name])}
    small = {name for name, mine in muon.module.named_parameters() if mine.dim() < 4 or min(mine.shape[:2]) == 1}
    assert same == small and not torch.equal(first, theirs["encoder.to_half.convolution.weight"])


def test_the_schedule_counts() -> None:
    first, later = state(), state()
    later.step = 10
    start = matrix(first.module.decoder.first.convolution.weight)
    first.update(loss_of(first))
    later.update(loss_of(later))
    far, near = (np.linalg.norm(matrix(s.module.decoder.first.convolution.weight) - start) for s in (first, later))
    assert near / far == pytest.approx((1 + np.cos(np.pi * 9 / 19)) / 2, rel=1e-3)


def test_what_has_no_gradient_stays() -> None:
    """D's last convolution starts at zero, so that nothing before it has one; no weight decays either."""
    mine = state()
    torch.nn.init.zeros_(mine.module.decoder.last.weight)
    before = {name: weights.detach().clone() for name, weights in mine.module.named_parameters()}
    mine.update(loss_of(mine))
    moved = {name for name, weights in mine.module.named_parameters() if not torch.equal(weights, before[name])}
    assert moved == {"decoder.last.weight", "decoder.last.bias"}


def test_it_learns() -> None:
    mine = state()
    losses = [loss_of(mine).item()]
    for _ in range(19):
        mine.update(loss_of(mine))
    losses.append(loss_of(mine).item())
    assert losses[1] < 0.6 * losses[0]


def test_a_loaded_state_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    through, first = state(), state()
    for seed in range(8):
        through.update(loss_of(through, seed))
    for seed in range(5):
        first.update(loss_of(first, seed))
    save_checkpoint(tmp_path, "f", first.to_dict())
    resumed = state()
    resumed.load(load_checkpoint(tmp_path, "f"))
    for seed in range(5, 8):
        resumed.update(loss_of(resumed, seed))
    for a, b in zip(through.module.parameters(), resumed.module.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("part", ["muon", "adam"])
def test_both_optimizers_moments_matter(part: str) -> None:
    through, other = state(), state()
    for seed in range(3):
        through.update(loss_of(through, seed))
    stored = {
        **through.to_dict(),
        "optimizer": {**through.optimizer.state_dict(), part: other.to_dict()["optimizer"][part]},
    }
    other.load(stored)
    through.update(loss_of(through, 9))
    other.update(loss_of(other, 9))
    pairs = zip(through.module.parameters(), other.module.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("width", [3, 24])
def test_an_optimizer_for_which_no_weights_are_left_is_left_out(tmp_path: Path, width: int) -> None:
    """A convolution of fewer than 16 inputs or outputs is none of Muon's: a narrow network is trained by Adam alone."""
    network = NetworkConfig(width=width, width_half=3, width_full=3, blocks=1)
    module = AutoEncoder(network, 1, conditioned=False)
    mine, resumed = (State(module, TRAIN, torch.device("cpu")) for _ in range(2))
    mine.update(loss_of(mine))
    assert set(mine.optimizer.state_dict()) == ({"adam"} if width == 3 else {"muon", "adam"})
    save_checkpoint(tmp_path, "f", mine.to_dict())
    resumed.load(load_checkpoint(tmp_path, "f"))


def test_a_classifier_of_8_features_is_trained_with_muon_too(job_of: Callable[..., TrainJob]) -> None:
    job = job_of("classifier", optimizer="muon")
    assert job.network.width == 8
    train(job, PlainContext("cpu"))
    assert Path(job.out, WEIGHTS).is_file()


def test_a_network_without_biases_is_trained_by_muon_alone() -> None:
    wide = torch.nn.Conv2d(16, 16, 3, bias=False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    only = optimizers.Muon(wide.parameters(), RATE)
    before = wide.weight.detach().clone()
    wide(torch.rand(1, 16, 8, 8)).square().mean().backward()
    only.step()
    assert set(only.state_dict()) == {"muon"} and not torch.equal(wide.weight, before)


def test_weights_are_not_held_twice() -> None:
    mine = state()
    optimizer = mine.optimizer
    assert isinstance(optimizer, optimizers.Muon)
    trained = {tensor.data_ptr() for group in optimizer.param_groups for tensor in group["params"]}
    assert trained == {weights.data_ptr() for weights in mine.module.parameters()}
    mine.update(loss_of(mine))
    assert all(matrix.grad is None for matrix in optimizer.param_groups[0]["params"]), "nor gradients, after a step"


def test_no_step_reads_a_value() -> None:
    """On fake tensors, which have shapes and no values: a GPU is never waited for."""
    mine = state()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for module in (*mine.module.modules(), *mine.average.modules()):
            for name, weight in list(module.named_parameters(recurse=False)):
                setattr(module, name, torch.nn.Parameter(mode.from_tensor(weight.detach()), weight.requires_grad))
        mine.optimizer = optimizers.build(mine.module, mine.train)
        norm = mine.update(mine.module(torch.rand(2, 1, 16, 16)).square().mean())
        assert norm.shape == ()


SCHEDULE = TrainConfig(steps=110, warmup_steps=10, learning_rate=2.0, average_decay=0.9)


def test_the_warm_up_is_linear_and_ends_at_the_peak() -> None:
    assert [learning_rate(SCHEDULE, step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])


def test_the_cosine_starts_at_the_peak_passes_half_and_ends_near_zero() -> None:
    assert learning_rate(SCHEDULE, 10) == 2.0
    assert learning_rate(SCHEDULE, 60) == pytest.approx(1.0)
    assert 0 < learning_rate(SCHEDULE, 109) < 0.001


def test_it_never_rises_after_the_warm_up() -> None:
    rates = [learning_rate(SCHEDULE, step) for step in range(10, 110)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("warmup", [0, 1, 12, 50])
def test_any_warm_up_fits_any_number_of_steps(warmup: int) -> None:
    train = TrainConfig(steps=12, warmup_steps=warmup, learning_rate=1.0)
    assert all(0 < learning_rate(train, step) <= 1.0 for step in range(12))


def test_the_average_follows_quickly_at_first_and_slowly_later() -> None:
    assert average_decay(SCHEDULE, 0) == pytest.approx(0.1)
    assert average_decay(SCHEDULE, 8) == pytest.approx(0.5)
    assert average_decay(SCHEDULE, 1000) == 0.9
